# SPDX-License-Identifier: Apache-2.0
"""CaissonWriter: one archive for each rank, then the manifest."""

import contextlib
import io
import os
import re
import uuid
from typing import Any, Optional

import torch
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, WriteItemType
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from caisson import _api, _caisson, _options
from caisson._arrays import Dense
from caisson.dcp import _manifest
from caisson.errors import InvalidArgumentError, UnsupportedError

# What only a CaissonWriter makes, and may remove; and what stock's makes.
SHARD = re.compile(r"__(\d+)_[0-9a-f]{32}\.pt$")
RANK_MANIFEST = re.compile(r"caisson\.\d+\.json$")
STOCK_SHARD = re.compile(r"__\d+_\d+\.distcp$")


class CaissonWriter(StorageWriter):
    """Writes a checkpoint into the directory `path`. What was there stays
    readable until the new one is in place, and is then removed. `fsync`: all
    shards and the manifest are on the device when the save is done."""

    def __init__(self, path: Any, *, compress: Optional[str] = None,
                 fsync: bool = True):
        super().__init__()
        _options.check_compress(compress)
        self._compress = compress
        self._path = os.fspath(path)
        self._fsync = fsync
        self._rank = 0
        self._alone: Optional[int] = None  # the rank, if ranks do not talk
        self._save_id = ""

    @property
    def checkpoint_id(self) -> str:
        return self._path

    def reset(self, checkpoint_id: Any = None) -> None:
        if checkpoint_id:
            self._path = os.fspath(checkpoint_id)
        self._save_id = str(uuid.uuid4())

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any,
                              **kwargs: Any) -> None:
        rank = kwargs.get("rank")
        if rank is None:
            distributed = torch.distributed.is_initialized()
            rank = torch.distributed.get_rank() if distributed else 0
        self._rank = rank
        self._alone = None if kwargs.get("use_collectives", True) else rank

    def storage_meta(self) -> StorageMeta:
        return StorageMeta(checkpoint_id=self._path, save_id=self._save_id)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        os.makedirs(self._path, exist_ok=True)
        joint = os.path.join(self._path, _manifest.name_of())
        if self._alone is not None and os.path.exists(joint):
            raise InvalidArgumentError(
                f"{self._path}: holds a checkpoint that the ranks wrote "
                "together, which one rank alone may not replace"
            )
        return plan

    def prepare_global_plan(self, plans: list) -> list:
        return plans

    def write_data(self, plan: SavePlan, planner: Any) -> Future:
        future: Future = Future()
        future.set_result(self._write(plan, planner))
        return future

    def _write(self, plan: SavePlan, planner: Any) -> list:
        if not plan.items:
            return []
        state, keys = {}, []
        for item in plan.items:
            key = item.index.fqn
            if item.type != WriteItemType.BYTE_IO and item.index.offset:
                key += "@" + ",".join(str(at) for at in item.index.offset)
            while key in state:
                key += "'"
            keys.append(key)
            state[key] = _payload(item, planner.resolve_data(item))
        name = f"__{self._rank}_{uuid.uuid4().hex}.pt"
        path = os.path.join(self._path, name)
        _api.save(state, path, compress=self._compress, fsync=self._fsync)
        del state
        stored = {facts[1][0]: facts
                  for facts in _caisson.File.open(path).tensors()}
        results = []
        for item, key in zip(plan.items, keys):
            facts = stored[key]
            chunk = _manifest.Chunk(file=name, record=facts[5], at=facts[6],
                                    bytes=facts[7], crc32=facts[9] or 0)
            results.append(WriteResult(index=item.index,
                                       size_in_bytes=chunk.bytes,
                                       storage_data=chunk))
        return results

    def finish(self, metadata: Metadata, results: list) -> None:
        metadata.storage_data = {result.index: result.storage_data
                                 for rank in results for result in rank}
        metadata.storage_meta = self.storage_meta()
        content = _manifest.to_json(metadata)
        os.makedirs(self._path, exist_ok=True)
        _manifest.commit(self._path, _manifest.name_of(self._alone), content)
        self._remove_others({chunk.file
                             for chunk in metadata.storage_data.values()})

    def _remove_others(self, kept: set) -> None:
        """What the manifest replaced, and shards of saves that died."""
        together = self._alone is None
        old = [".metadata"] if together else []
        for name in os.listdir(self._path):
            shard = SHARD.match(name)
            if shard and (together or int(shard[1]) == self._alone):
                old += [] if name in kept else [name]
            elif together and (RANK_MANIFEST.match(name)
                               or STOCK_SHARD.match(name)):
                old.append(name)
        for name in old:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._path, name))

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        return isinstance(checkpoint_id, (str, os.PathLike))


def _payload(item: Any, value: Any) -> Any:
    """What goes into the archive: only the bytes of the item."""
    if isinstance(value, io.BytesIO):
        content = value.getbuffer()
        if len(content) == 0:
            return torch.empty(0, dtype=torch.uint8)
        return torch.frombuffer(content, dtype=torch.uint8)
    if not isinstance(value, torch.Tensor):
        raise UnsupportedError(
            f"'{item.index.fqn}': resolved to a {type(value).__name__}"
        )
    value = value.detach()
    if value.layout != torch.strided or value.is_quantized:
        raise UnsupportedError(f"'{item.index.fqn}': a {value.layout} tensor")
    value = value.resolve_conj().resolve_neg().cpu().contiguous()
    return Dense(value)
