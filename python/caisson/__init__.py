# SPDX-License-Identifier: Apache-2.0
"""Checkpoints at the speed of the disk, in the files of PyTorch and
safetensors.

    ticket = caisson.save_async(state, "step100.pt")
    ...
    caisson.load_into("step100.pt", state)
"""

from caisson import errors
from caisson._api import (
    Ticket,
    convert,
    load,
    load_into,
    ls,
    open,
    save,
    save_async,
    verify,
)
from caisson._caisson import build_info
from caisson._caisson import version as __version__
from caisson._engine import configure
from caisson._file import File, LazyTensor
from caisson.errors import (
    CaissonError,
    CancelledError,
    CorruptError,
    DeviceError,
    IncompleteCheckpointError,
    InvalidArgumentError,
    NotFoundError,
    OutOfMemoryError,
    StorageError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "CaissonError",
    "CancelledError",
    "CorruptError",
    "DeviceError",
    "File",
    "IncompleteCheckpointError",
    "InvalidArgumentError",
    "LazyTensor",
    "NotFoundError",
    "OutOfMemoryError",
    "StorageError",
    "Ticket",
    "UnavailableError",
    "UnsupportedError",
    "build_info",
    "configure",
    "convert",
    "errors",
    "load",
    "load_into",
    "ls",
    "open",
    "save",
    "save_async",
    "verify",
]
