# SPDX-License-Identifier: Apache-2.0
"""Small distributed checkpoints without torch, as stock's writer and ours make
them.

    write_stock(folder, {"w": (WEIGHT, [([0, 0], [2, 3])]), "step": 7})

A tensor comes with its chunks, of which each goes to a file of its own.
"""

import io
import itertools
import json
import pickle
import struct
import zlib

from pt_files import Call, Tensor, data_offset, named, write_pt

METADATA = "torch.distributed.checkpoint.metadata."


def made(dotted, state):
    """An instance whose attributes, or whose state, is `state`."""
    cls = named(dotted)
    cls.__getstate__ = lambda self: self.kept
    instance = cls()
    instance.kept = state
    return instance


def size(numbers):
    return Call("torch.Size", tuple(numbers))


def part(tensor, offsets, sizes):
    """A chunk of a dense float32 tensor."""
    values = struct.unpack(f"<{len(tensor.storage.data) // 4}f",
                           tensor.storage.data)
    picked = [
        values[sum((begin + at) * stride for begin, at, stride in
                   zip(offsets, index, tensor.strides))]
        for index in itertools.product(*map(range, sizes))
    ]
    return Tensor("float32", sizes, struct.pack(f"<{len(picked)}f", *picked))


def archive(state):
    out = io.BytesIO()
    write_pt(out, state)
    return out.getvalue()


def write_stock(folder, items, planner=None):
    folder.mkdir(exist_ok=True)
    state, storage, files = {}, {}, {}

    def store(fqn, offset, content):
        name = f"__{len(storage) % 2}_0.distcp"
        before = files.setdefault(name, b"")
        index = {"fqn": fqn, "index": None}
        if offset is not None:
            index["offset"] = size(offset)
        storage[made(METADATA + "MetadataIndex", index)] = made(
            "torch.distributed.checkpoint.filesystem._StorageInfo",
            {"relative_path": name, "offset": len(before),
             "length": len(content)})
        files[name] = before + content

    for fqn, what in items.items():
        if not (isinstance(what, tuple) and isinstance(what[0], Tensor)):
            state[fqn] = made(METADATA + "BytesStorageMetadata", None)
            store(fqn, None, archive(what))
            continue
        tensor, chunks = what
        properties = made(METADATA + "TensorProperties", (
            named(f"torch.{tensor.dtype}"),
            Call("torch.serialization._get_layout", "torch.strided"), False,
            Call(METADATA + "_MEM_FORMAT_ENCODING", 0), False))
        state[fqn] = made(METADATA + "TensorStorageMetadata", {
            "properties": properties, "size": size(tensor.shape),
            "chunks": [made(METADATA + "ChunkStorageMetadata",
                            {"offsets": size(offsets), "sizes": size(sizes)})
                       for offsets, sizes in chunks]})
        for offsets, sizes in chunks:
            store(fqn, offsets, archive(part(tensor, offsets, sizes)))
    metadata = made(METADATA + "Metadata", {
        "state_dict_metadata": state, "planner_data": planner,
        "storage_data": storage, "version": "1.0.0"})
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata, protocol=4))


def write_ours(folder, items, planner=None):
    """One shard; values that are no tensors are archives within it."""
    folder.mkdir(exist_ok=True)
    name = f"__0_{'0a' * 16}.pt"
    held, state, storage = {}, {}, []
    for fqn, what in items.items():
        chunks = [(None, None)]
        if isinstance(what, tuple) and isinstance(what[0], Tensor):
            tensor, chunks = what
            state[fqn] = {
                "dtype": tensor.dtype, "size": list(tensor.shape),
                "requires_grad": False,
                "chunks": [{"offsets": offsets, "sizes": sizes}
                           for offsets, sizes in chunks]}
        else:
            state[fqn] = {"bytes": True}
        for offsets, sizes in chunks:
            if offsets is None:
                content = archive(what)
                stored = Tensor("uint8", [len(content)], content)
            else:
                stored = part(tensor, offsets, sizes)
            data = stored.storage.data
            storage.append({
                "fqn": fqn, "offset": offsets, "index": None, "file": name,
                "record": f"data/{len(held)}", "at": 0, "bytes": len(data),
                "crc32": zlib.crc32(data)})
            held[f"{fqn}@{offsets}"] = stored
    write_pt(folder / name, held)
    for entry in storage:
        entry["at"] = data_offset(folder / name, entry["record"])
    text = json.dumps({
        "format": "caisson.dcp", "version": 1, "crc32": "00000000",
        "state": state, "planner": planner, "storage": storage})
    crc = f"{zlib.crc32(text.encode()):08x}"
    (folder / "caisson.json").write_text(text.replace("00000000", crc, 1))
    return folder / name
