# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints: what is in them, whether it is intact, and as one file."""

import os
import tempfile
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    Metadata,
    MetadataIndex,
)

from caisson import _api, _caisson, _engine, _objects
from caisson.dcp import _manifest, _stock
from caisson.errors import CorruptError, UnsupportedError


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
    """Writes a checkpoint as one .pt or .safetensors, by caisson.save() with
    `options`. The tensors lie in a temporary file beside the target meanwhile,
    not in memory. Values are read as data; one that would run something is
    refused by name."""
    metadata = _metadata(path)
    folder = os.fspath(path)
    beside = os.path.dirname(os.path.abspath(os.fspath(target)))
    files: dict = {}
    with tempfile.TemporaryDirectory(dir=beside) as scratch:
        state: dict = {}
        for i, (fqn, what) in enumerate(metadata.state_dict_metadata.items()):
            if isinstance(what, BytesStorageMetadata):
                place = metadata.storage_data[MetadataIndex(fqn)]
                value = _value(folder, place)
            else:
                value = _tensor(folder, metadata, fqn, what, files,
                                os.path.join(scratch, str(i)))
            steps = (metadata.planner_data or {}).get(fqn, (fqn,))
            _put(state, tuple(steps), value)
        return _api.save(_lists(state), target, **options)


def _tensor(folder: str, metadata: Metadata, fqn: str, what: Any,
            files: dict, scratch: str) -> torch.Tensor:
    dtype = what.properties.dtype
    size = torch.Size(what.size)
    if size.numel() == 0:
        return torch.empty(size, dtype=dtype)
    made = torch.from_file(scratch, shared=True, size=size.numel(),
                           dtype=dtype).reshape(size)
    name = str(dtype).removeprefix("torch.")
    for chunk in what.chunks:
        place = metadata.storage_data[MetadataIndex(fqn, chunk.offsets)]
        file = _open(folder, place, files)
        position, facts = _find(file, place)
        if facts[2] != name or list(facts[3]) != list(chunk.sizes):
            raise CorruptError(f"{file.path}: '{fqn}': not its chunk")
        part = made
        for d, (at, count) in enumerate(zip(chunk.offsets, chunk.sizes)):
            part = part.narrow(d, at, count)
        into = part if part.is_contiguous() else torch.empty_like(
            part, memory_format=torch.contiguous_format)
        if into.numel():
            _caisson.read(_engine.current(), file,
                          [(position, [], into.data_ptr(),
                            into.numel() * into.element_size())], None)
        if into is not part:
            part.copy_(into)
    return made


def _open(folder: str, place: Any, files: dict) -> Any:
    path = os.path.join(folder, place.file)
    if isinstance(place, _stock.Item):
        return _caisson.File.open_part(path, place.offset, place.bytes)
    if path not in files:
        files[path] = _caisson.File.open(path)
    return files[path]


def _find(file: Any, place: Any) -> tuple:
    for position, facts in enumerate(file.tensors()):
        if isinstance(place, _stock.Item) or facts[5] == place.record:
            return position, facts
    raise CorruptError(f"{file.path}: no tensor of the metadata")


def _value(folder: str, place: Any) -> Any:
    path = os.path.join(folder, place.file)
    if isinstance(place, _stock.Item):
        file = _caisson.File.open_part(path, place.offset, place.bytes)
    else:
        shard = _caisson.File.open(path)
        position, facts = _find(shard, place)
        content = torch.empty(facts[4], dtype=torch.uint8)
        _caisson.read(_engine.current(), shard,
                      [(position, [], content.data_ptr(), facts[4])], None)
        file = _caisson.File.open_bytes(bytes(memoryview(content.numpy())))
    for module, name in file.unknown():
        if (module, name) not in _api._PLAIN:
            raise UnsupportedError(f"{path}: uses {module}.{name}")
    return _caisson.load(_engine.current(), file, [], [], True, False,
                         _objects, None, None)


def _put(state: dict, steps: tuple, value: Any) -> None:
    for step in steps[:-1]:
        state = state.setdefault(step, {})
    state[steps[-1]] = value


def _lists(state: Any) -> Any:
    """Dicts of 0, 1, 2, ... were lists before they were flattened, unless a
    rank's optimizer used ints, which no planner can tell apart."""
    if not isinstance(state, dict):
        return state
    made = {key: _lists(value) for key, value in state.items()}
    if made and all(type(key) is int for key in made):
        if sorted(made) == list(range(len(made))):
            return [made[i] for i in range(len(made))]
    return made
