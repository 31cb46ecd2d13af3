# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints: what is in them, whether it is intact, and as one file."""

import os
from typing import Any

from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    Metadata,
)

from caisson import _api, _caisson, _options
from caisson.dcp import _manifest, _stock


def _metadata(path: Any) -> Metadata:
    folder = os.fspath(path)
    found = _manifest.read(folder)
    if found is None:
        found = _stock.read(folder)
    if found is None:
        raise _manifest.incomplete(folder)
    return found


def ls(path: Any) -> list:
    """A dict for each tensor: name, dtype, shape, chunks."""
    return [
        {"name": fqn,
         "dtype": str(what.properties.dtype).removeprefix("torch."),
         "shape": list(what.size),
         "chunks": [{"offsets": list(chunk.offsets),
                     "sizes": list(chunk.sizes)} for chunk in what.chunks]}
        for fqn, what in _metadata(path).state_dict_metadata.items()
        if not isinstance(what, BytesStorageMetadata)
    ]


def verify(path: Any) -> dict:
    """Reads every shard and reports all damage, as caisson.verify() does."""
    return _api.verify(path)


def merge(path: Any, target: Any, **options: Any) -> dict:
    """Writes a checkpoint as one .pt or .safetensors, by caisson.convert() with
    its `options`: in windows, never whole in memory unless it is cast. Values
    are read as data; one that would run something is refused by name."""
    _api.check_loadable(_caisson.File.open(_options.path_of(path)))
    return _api.convert(path, target, **options)
