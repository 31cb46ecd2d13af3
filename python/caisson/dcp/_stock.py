# SPDX-License-Identifier: Apache-2.0
"""Stock DCP's `.metadata`, read as data: a pickle of which every name that is
not in the list below is refused, and every name in it stands for a record of
ours, so that nothing of the file is ever called."""

import io
import os
import pickle
import zipfile
from typing import Any, NamedTuple, Optional

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from caisson.dcp._check import check_chunks, plain_name
from caisson.errors import CaissonError, CorruptError, UnsupportedError

_CHECKPOINT = "torch.distributed.checkpoint."
_OLD = "torch.distributed._shard.sharded_tensor.metadata"


class Item(NamedTuple):
    """A complete archive within a file."""

    file: str
    offset: int
    bytes: int


class _Record:
    """What stands for an object: its attributes."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, "state", {}).get(name, default)


class _Index(_Record):
    """A MetadataIndex: a key, whose hint does not count."""

    def _key(self) -> tuple:
        return self.get("fqn"), self.get("offset")

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Index) and self._key() == other._key()


class _Metadata(_Record): ...


class _Tensor(_Record): ...


class _Bytes(_Record): ...


class _Chunk(_Record): ...


class _Properties(_Record): ...


class _Storage(_Record): ...


class _Meta(_Record): ...


def _size(items: Any = ()) -> tuple:
    return tuple(items)


def _encoding(value: Any) -> Any:
    return value


def _nothing(*_: Any) -> None:
    return None


_NAMES = {
    (_CHECKPOINT + "metadata", "Metadata"): _Metadata,
    (_CHECKPOINT + "metadata", "TensorStorageMetadata"): _Tensor,
    (_CHECKPOINT + "metadata", "BytesStorageMetadata"): _Bytes,
    (_CHECKPOINT + "metadata", "ChunkStorageMetadata"): _Chunk,
    (_CHECKPOINT + "metadata", "TensorProperties"): _Properties,
    (_CHECKPOINT + "metadata", "_MEM_FORMAT_ENCODING"): _encoding,
    (_CHECKPOINT + "metadata", "MetadataIndex"): _Index,
    (_CHECKPOINT + "metadata", "StorageMeta"): _Meta,
    (_CHECKPOINT + "filesystem", "_StorageInfo"): _Storage,
    ("torch.distributed._shard.metadata", "ShardMetadata"): _Chunk,
    (_OLD, "TensorProperties"): _Properties,
    (_OLD, "MEM_FORMAT_ENCODING"): _encoding,
    ("torch", "Size"): _size,
    ("torch.serialization", "_get_layout"): _nothing,
    ("pathlib", "PosixPath"): _nothing,
    ("pathlib._local", "PosixPath"): _nothing,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch":
            kind = getattr(torch, name, None)
            if isinstance(kind, torch.dtype):
                return kind
        try:
            return _NAMES[module, name]
        except KeyError:
            raise UnsupportedError(
                f".metadata names {module}.{name}, which is none of its parts"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise UnsupportedError(".metadata names a storage")


def read(folder: str, rank: Optional[int] = None) -> Optional[Metadata]:
    """The metadata of `folder`; None if there is none."""
    name = ".metadata" if rank is None else f"__{rank}.metadata"
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    try:
        return _convert(parse(content), whole=rank is None)
    except CaissonError as error:
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:  # whatever a damaged pickle does
        raise CorruptError(f"{path}: no metadata: {error!r}") from error


def parse(content: bytes) -> Any:
    """The records of a bare pickle, or of one within a torch.save archive."""
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inner = [name for name in archive.namelist()
                     if name.endswith("/data.pkl")]
            if len(inner) != 1:
                raise CorruptError("an archive without one data.pkl")
            content = archive.read(inner[0])
    return _Reader(io.BytesIO(content)).load()


def _convert(found: Any, whole: bool) -> Metadata:
    if not isinstance(found, _Metadata):
        raise CorruptError("its pickle is no Metadata")
    state = {fqn: _what(fqn, what)
             for fqn, what in found.get("state_dict_metadata").items()}
    storage = {}
    for index, info in (found.get("storage_data") or {}).items():
        if info.get("transform_descriptors"):
            raise UnsupportedError(
                f"'{index.get('fqn')}' is transformed by "
                f"{info.get('transform_descriptors')}"
            )
        offset, size = info.get("offset"), info.get("length")
        if not (isinstance(offset, int) and isinstance(size, int)
                and offset >= 0 and size >= 0):
            raise CorruptError(f"'{index.get('fqn')}': a bad offset or length")
        key = MetadataIndex(index.get("fqn"), index.get("offset"),
                            index.get("index"))
        storage[key] = Item(plain_name(info.get("relative_path")), offset, size)
    check_chunks(state, storage, whole)
    return Metadata(state_dict_metadata=state,
                    planner_data=found.get("planner_data"),
                    storage_data=storage)


def _what(fqn: str, what: Any) -> Any:
    if isinstance(what, _Bytes):
        return BytesStorageMetadata()
    if not isinstance(what, _Tensor):
        raise CorruptError(f"'{fqn}': neither a tensor nor bytes")
    properties = what.get("properties").state
    if isinstance(properties, dict):  # of early versions
        properties = (properties["dtype"], None,
                      properties.get("requires_grad", False))
    chunks = [ChunkStorageMetadata(
        offsets=torch.Size(chunk.get("offsets", chunk.get("shard_offsets"))),
        sizes=torch.Size(chunk.get("sizes", chunk.get("shard_sizes"))),
    ) for chunk in what.get("chunks")]
    return TensorStorageMetadata(
        properties=TensorProperties(dtype=properties[0],
                                    requires_grad=properties[2]),
        size=torch.Size(what.get("size")),
        chunks=chunks,
    )
