# SPDX-License-Identifier: Apache-2.0
"""Storage for torch.distributed.checkpoint, of torch 2.4 and later.

    dcp.save(state, storage_writer=CaissonWriter("step100"))
    dcp.load(state, storage_reader=CaissonReader("step100"))

Each rank writes one archive, which torch.load and `caisson ls` open. The
manifest caisson.json appears last, whole or not at all: a directory without it
is an incomplete checkpoint. docs/python.md has its grammar.
"""

from caisson.dcp._reader import CaissonReader
from caisson.dcp._whole import ls, merge, verify
from caisson.dcp._writer import CaissonWriter

__all__ = ["CaissonReader", "CaissonWriter", "ls", "merge", "verify"]
