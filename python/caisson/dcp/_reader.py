# SPDX-License-Identifier: Apache-2.0
"""CaissonReader: reads the bytes that the plan needs, of checkpoints that
CaissonWriter or stock FileSystemWriter wrote."""

import io
import os
import uuid
from collections import defaultdict
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from caisson import _api, _caisson, _engine
from caisson.dcp import _manifest, _stock
from caisson.errors import (
    CorruptError,
    InvalidArgumentError,
    UnsupportedError,
)


class CaissonReader(StorageReader):
    """Reads a checkpoint of the directory `path`. Whole chunks are checked
    against the manifest's and the archive's CRC; a part of a chunk cannot be.
    Values that are no tensors are pickles, which the planner runs: those that
    torch.load(weights_only=True) would refuse are refused here, unless
    `allow_pickle`."""

    def __init__(self, path: Any, *, allow_pickle: bool = False):
        super().__init__()
        self._path = os.fspath(path)
        self._allow_pickle = allow_pickle
        self._load_id = ""
        self._storage: dict = {}
        self._state: dict = {}

    @property
    def checkpoint_id(self) -> str:
        return self._path

    def reset(self, checkpoint_id: Any = None) -> None:
        if checkpoint_id:
            self._path = os.fspath(checkpoint_id)
        self._load_id = str(uuid.uuid4())
        self._storage = {}

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        rank = kwargs.get("rank")
        metadata = _manifest.read(self._path, rank)
        if metadata is None:
            metadata = _stock.read(self._path, rank)
        if metadata is None:
            raise _manifest.incomplete(self._path)
        return _manifest.with_meta(metadata, self._path, self._load_id)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool,
                              *args: Any, **kwargs: Any) -> None:
        self._storage = metadata.storage_data
        self._state = metadata.state_dict_metadata

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list) -> list:
        return plans

    def read_data(self, plan: LoadPlan, planner: Any) -> Future:
        by_place = defaultdict(list)
        for item in plan.items:
            if item.storage_index not in self._storage:
                raise CorruptError(f"{self._path}: '{item.storage_index.fqn}' "
                                   "is stored nowhere")
            place = self._storage[item.storage_index]
            # Stock: an archive for each item. Ours: many items in one.
            key = place if isinstance(place, _stock.Item) else place.file
            by_place[key].append((item, place))
        for key, items in by_place.items():
            self._read_archive(key, items, planner)
        future: Future = Future()
        future.set_result(None)
        return future

    def _file(self, name: str) -> str:
        path = os.path.join(self._path, name)
        if os.path.islink(path):
            raise CorruptError(f"{path}: a shard that is a symbolic link")
        return path

    def _read_archive(self, key: Any, items: list, planner: Any) -> None:
        if isinstance(key, _stock.Item):
            path = self._file(key.file)
            if items[0][0].type == LoadItemType.BYTE_IO:
                return self._load_stock_bytes(path, key, items, planner)
            file = _caisson.File.open_part(path, key.offset, key.bytes)
        else:
            file = _caisson.File.open(self._file(key))
        tensors = list(enumerate(file.tensors()))
        by_record = {facts[5]: (at, facts) for at, facts in tensors}
        wanted, later = [], []
        for item, place in items:
            if isinstance(place, _stock.Item):
                if len(tensors) != 1:
                    raise CorruptError(
                        f"{file.path}: '{item.storage_index.fqn}': expected "
                        f"one tensor, found {len(tensors)}"
                    )
                at, facts = tensors[0]
            else:
                at, facts = self._record(file, by_record, item, place)
            if item.type == LoadItemType.BYTE_IO:
                content = torch.empty(facts[4], dtype=torch.uint8)
                later.append((item, content, None))
                wanted.append((at, [], content.data_ptr(), facts[4]))
                continue
            self._check_tensor(file, item, facts)
            target = planner.resolve_tensor(item).detach()
            if target.size() != torch.Size(item.lengths):
                raise InvalidArgumentError(
                    f"'{item.dest_index.fqn}': the planner gave "
                    f"{list(target.size())} for {list(item.lengths)}"
                )
            into = _room(target, facts[2])
            later.append((item, target, into))
            if into.numel():
                block = [(begin, begin + length) for begin, length in
                         zip(item.storage_offsets, item.lengths)]
                whole = list(item.lengths) == list(facts[3])
                wanted.append((at, [] if whole else block, into.data_ptr(),
                               into.numel() * into.element_size()))
        wanted = [one for one in wanted if one[3]]
        if wanted:
            _caisson.read(_engine.current(), file, wanted, None)
        for item, target, into in later:
            if into is None:
                self._load_bytes(file.path, item, target, planner)
                continue
            if into is not target:
                target.copy_(into)
            planner.commit_tensor(item, target)

    def _record(self, file: Any, by_record: dict, item: Any,
                chunk: Any) -> tuple:
        found = by_record.get(chunk.record)
        same = found is not None and found[1][7] == chunk.bytes and (
            not chunk.bytes or (found[1][9] or 0) == chunk.crc32
        )
        if not same:
            raise CorruptError(
                f"{file.path}: record '{chunk.record}': not the one that the "
                f"manifest has for '{item.storage_index.fqn}'"
            )
        return found

    def _check_tensor(self, file: Any, item: Any, facts: tuple) -> None:
        """That the archive's tensor is the chunk that the metadata has."""
        fqn = item.storage_index.fqn
        known = self._state[fqn]
        dtype = str(known.properties.dtype).removeprefix("torch.")
        offset = item.storage_index.offset
        sizes = [chunk.sizes for chunk in known.chunks
                 if offset is None or chunk.offsets == offset]
        if facts[2] != dtype or not sizes or list(facts[3]) != list(sizes[0]):
            raise CorruptError(
                f"{file.path}: '{fqn}': expected {dtype} "
                f"{[list(size) for size in sizes]}, found {facts[2]} "
                f"{list(facts[3])}"
            )

    def _load_bytes(self, path: str, item: Any, content: Any,
                    planner: Any) -> None:
        value = bytes(memoryview(content.numpy()))
        self._allow(path, item, value)
        planner.load_bytes(item, io.BytesIO(value))

    def _load_stock_bytes(self, path: str, key: Any, items: list,
                          planner: Any) -> None:
        with open(path, "rb") as file:
            file.seek(key.offset)
            value = file.read(key.bytes)
        if len(value) != key.bytes:
            raise CorruptError(f"{path}: needs {key.bytes} bytes at "
                               f"{key.offset}")
        for item, _ in items:
            self._allow(path, item, value)
            planner.load_bytes(item, io.BytesIO(value))

    def _allow(self, path: str, item: Any, value: bytes) -> None:
        """Refuses a pickle that would run what it names."""
        if self._allow_pickle:
            return
        file = _caisson.File.open_bytes(value)
        for name in _api.unsafe(file):
            raise UnsupportedError(
                f"{path}: '{item.storage_index.fqn}' uses {name}, which "
                "loading would run; allow_pickle=True lets it"
            )

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        return isinstance(checkpoint_id, (str, os.PathLike))


def _room(target: torch.Tensor, dtype: str) -> torch.Tensor:
    """Where the stored elements go: the target, if they fit as they are."""
    kind = getattr(torch, dtype)
    if (target.dtype == kind and target.device.type == "cpu"
            and target.is_contiguous() and type(target) is torch.Tensor
            and not target.is_conj() and not target.is_neg()):
        return target
    return torch.empty(target.size(), dtype=kind)
