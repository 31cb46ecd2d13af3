# SPDX-License-Identifier: Apache-2.0
"""caisson.json: what a checkpoint holds and where, as plain JSON."""

import json
import os
import zlib
from typing import Any, NamedTuple, Optional

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from caisson.dcp._check import check_chunks, plain_name
from caisson.errors import (
    CorruptError,
    IncompleteCheckpointError,
    UnsupportedError,
)

FORMAT = "caisson.dcp"
VERSION = 1
_NO_CRC = "00000000"


class Chunk(NamedTuple):
    """Where a chunk of a tensor, or a value, is: a record of a shard."""

    file: str
    record: str
    at: int  # of the record's data in the file
    bytes: int
    crc32: int


def name_of(rank: Optional[int] = None) -> str:
    """The manifest's name; of one rank where ranks save without talking."""
    return "caisson.json" if rank is None else f"caisson.{rank}.json"


def to_json(metadata: Metadata) -> bytes:
    state = {}
    for fqn, what in metadata.state_dict_metadata.items():
        state[fqn] = _describe(fqn, what)
    storage = []
    for index, chunk in metadata.storage_data.items():
        offset = None if index.offset is None else list(index.offset)
        storage.append({"fqn": index.fqn, "offset": offset,
                        "index": index.index, **chunk._asdict()})
    manifest = {"format": FORMAT, "version": VERSION, "crc32": _NO_CRC,
                "state": state, "planner": _planner(metadata.planner_data),
                "storage": storage}
    text = json.dumps(manifest, separators=(",", ":")).encode()
    crc = b"%08x" % zlib.crc32(text)
    return text.replace(_NO_CRC.encode(), crc, 1)


def _describe(fqn: str, what: Any) -> dict:
    if isinstance(what, BytesStorageMetadata):
        return {"bytes": True}
    if not isinstance(what, TensorStorageMetadata):
        raise UnsupportedError(f"'{fqn}': a {type(what).__name__}")
    chunks = [{"offsets": list(chunk.offsets), "sizes": list(chunk.sizes)}
              for chunk in what.chunks]
    return {"dtype": str(what.properties.dtype).removeprefix("torch."),
            "size": list(what.size),
            "requires_grad": what.properties.requires_grad,
            "chunks": chunks}


def _planner(data: Any) -> Any:
    """The default planner's paths; those of others must be as plain."""
    if data is None:
        return None
    plain = isinstance(data, dict) and all(
        isinstance(path, (tuple, list))
        and all(isinstance(step, (str, int)) for step in path)
        for path in data.values()
    )
    if not plain:
        raise UnsupportedError("a planner whose data is no dict of paths")
    return {fqn: list(path) for fqn, path in data.items()}


def read(folder: str, rank: Optional[int] = None) -> Optional[Metadata]:
    """The manifest of `folder`, checked; None if there is none."""
    path = os.path.join(folder, name_of(rank))
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        return _parse(text, whole=rank is None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, (CorruptError, UnsupportedError)):
            raise
        raise CorruptError(f"{path}: no manifest: {error!r}") from error


def _parse(text: bytes, whole: bool) -> Metadata:
    manifest = json.loads(text)
    if manifest["format"] != FORMAT or manifest["version"] != VERSION:
        raise UnsupportedError(
            f"a manifest of {manifest['format']} {manifest['version']}"
        )
    crc = manifest["crc32"]
    bare = text.replace(crc.encode(), _NO_CRC.encode(), 1)
    if crc != f"{zlib.crc32(bare):08x}":
        raise CorruptError("the manifest's CRC-32 differs")
    state = {fqn: _meta(fqn, what) for fqn, what in manifest["state"].items()}
    storage = {}
    for entry in manifest["storage"]:
        index = MetadataIndex(entry["fqn"], entry["offset"], entry["index"])
        storage[index] = Chunk(plain_name(entry["file"]), entry["record"],
                               entry["at"], entry["bytes"], entry["crc32"])
    planner = manifest["planner"]
    if planner is not None:
        planner = {fqn: tuple(path) for fqn, path in planner.items()}
    check_chunks(state, storage, whole)
    return Metadata(state_dict_metadata=state, planner_data=planner,
                    storage_data=storage)


def _meta(fqn: str, what: dict) -> Any:
    if what.get("bytes"):
        return BytesStorageMetadata()
    dtype = getattr(torch, what["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise CorruptError(f"'{fqn}': no dtype {what['dtype']!r}")
    chunks = [ChunkStorageMetadata(offsets=torch.Size(chunk["offsets"]),
                                   sizes=torch.Size(chunk["sizes"]))
              for chunk in what["chunks"]]
    properties = TensorProperties(dtype=dtype,
                                  requires_grad=what["requires_grad"])
    return TensorStorageMetadata(properties=properties,
                                 size=torch.Size(what["size"]), chunks=chunks)


def commit(folder: str, name: str, content: bytes) -> None:
    """Puts the manifest in place: temporary, fsync, rename, fsync."""
    path = os.path.join(folder, name)
    with open(path + ".tmp", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def incomplete(folder: str) -> IncompleteCheckpointError:
    return IncompleteCheckpointError(
        f"{folder}: incomplete checkpoint: neither caisson.json nor .metadata, "
        "so its save never ended"
    )


def with_meta(metadata: Metadata, folder: str, load_id: str) -> Metadata:
    """Notes where the metadata was read, as stock readers do."""
    if metadata.storage_meta is None:
        metadata.storage_meta = StorageMeta()
    metadata.storage_meta.checkpoint_id = folder
    metadata.storage_meta.load_id = load_id
    return metadata
