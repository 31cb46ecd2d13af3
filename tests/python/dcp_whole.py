# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of one to four ranks, as the C++ reader opens them, beside what
dcp.load makes of them.

    dcp_whole.py DIR     exit status 0 if every check held
"""

import os
import pathlib
import sys
import warnings

import caisson
import torch
import torch.distributed.checkpoint as dcp
from caisson.dcp import CaissonWriter
from dcp_ranks import ranks
from same import same
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor._utils import (
    compute_local_shape_and_global_offset,
)


def whole():
    """The state without ranks: sizes that no number of ranks divides, dtypes
    of every width, and values."""
    torch.manual_seed(0)
    return {
        "model": {
            "rows": torch.randn(37, 11),
            "columns": torch.randn(19, 23),
            "cube": torch.arange(7 * 6 * 5).reshape(7, 6, 5),
            "middle": torch.randn(3, 10, 4).bfloat16(),
            "large": torch.arange(700 * 900, dtype=torch.int32)
            .reshape(700, 900),
            "bytes": torch.arange(60).to(torch.uint8).reshape(6, 10),
            "wide": torch.arange(40).to(torch.uint16).reshape(8, 5),
            "complex": torch.randn(5, 6, dtype=torch.complex64),
            "turned": torch.randn(9, 8).t(),
            "few": torch.ones(2, 2),
        },
        "whole": torch.randn(5),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "list": [torch.ones(2), {"x": torch.zeros(3)}, 7],
        "step": 3, "lr": 0.5, "name": "x", "betas": (0.9, 0.99),
        "text": "a long value, " * 3000,
    }


SHARDED = {"rows": 0, "columns": 1, "cube": 2, "middle": 1, "large": 1,
           "bytes": 1, "wide": 1, "complex": 1, "turned": 1, "few": 0}


def part_of(tensor, mesh, ways):
    """This rank's part, a view with the strides of `tensor`. Not by
    distribute_tensor, as gloo does not send every dtype."""
    sizes, offsets = compute_local_shape_and_global_offset(tensor.shape, mesh,
                                                           ways)
    local = tensor[tuple(slice(begin, begin + size)
                         for begin, size in zip(offsets, sizes))]
    return DTensor.from_local(local, mesh, ways, run_check=False,
                              shape=tensor.shape, stride=tensor.stride())


def distributed(world):
    """The same, its model's tensors distributed in one dimension or two."""
    state = whole()
    mesh = init_device_mesh("cpu", (world,))
    for name, dim in SHARDED.items():
        tensor = state["model"][name]
        state["model"][name] = part_of(tensor, mesh, [Shard(dim)])
    if world == 4:
        grid = init_device_mesh("cpu", (2, 2))
        for name, ways in (("cube", [Shard(0), Shard(1)]),
                           ("columns", [Shard(0), Shard(1)]),
                           ("middle", [Replicate(), Shard(2)])):
            state["model"][name] = part_of(whole()["model"][name], grid, ways)
    return state


def save(rank, world, folder):
    warnings.simplefilter("ignore")
    state = distributed(world)
    writers = {
        "stock": dcp.FileSystemWriter(folder / "stock"),
        "stock_many": dcp.FileSystemWriter(folder / "stock_many",
                                           single_file_per_rank=False),
        "stock_threads": dcp.FileSystemWriter(folder / "stock_threads",
                                              thread_count=3),
        "ours": CaissonWriter(folder / "ours"),
        "plane": CaissonWriter(folder / "plane", compress="plane"),
        "deflate": CaissonWriter(folder / "deflate", compress="deflate"),
    }
    for writer in writers.values():
        dcp.save(state, storage_writer=writer)


def blank(value):
    if isinstance(value, dict):
        return {key: blank(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [blank(inner) for inner in value]
    return torch.zeros_like(value) if isinstance(value, torch.Tensor) else None


def dense(value):
    """The same with elements and keys in one order: ranks agree on neither."""
    if isinstance(value, dict):
        return {key: dense(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [dense(inner) for inner in value]
    if isinstance(value, torch.Tensor):
        return value.clone(memory_format=torch.contiguous_format)
    return value


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0] ^ 16
        file.seek(at)
        file.write(bytes([byte]))


def check(folder, kind):
    expected = whole()
    # What torch itself reads, where the shards are its own.
    if kind.startswith("stock"):
        state = blank(whole())
        dcp.load(state, checkpoint_id=folder, no_dist=True)
        assert same(dense(state), dense(expected))
    # The engine opens the same as one file, and streams it into one.
    assert same(dense(caisson.load(folder)), dense(expected)), kind
    converted = folder.with_suffix(".pt")
    caisson.convert(folder, converted)
    assert same(dense(torch.load(converted)), dense(expected)), kind
    names = [tensor["name"] for tensor in caisson.ls(folder)]
    assert names == [tensor["name"] for tensor in caisson.ls(converted)], kind
    # The rest says the same of both.
    with caisson.open(folder) as file:
        for name, tensor in SHARDED.items():
            block = file[f"model.{name}"][1:, 1:2]
            assert torch.equal(block, expected["model"][name][1:, 1:2]), name
    flat = folder.with_suffix(".safetensors")
    caisson.convert(folder, flat, drop=True)
    assert torch.equal(caisson.load(flat)["model.columns"],
                       expected["model"]["columns"])
    into = blank(whole())
    caisson.load_into(folder, into)
    for key in ("model", "whole", "scalar", "list"):
        wanted = expected[key]
        if key == "list":
            into[key], wanted = into[key][:2], wanted[:2]
        assert same(dense(into[key]), dense(wanted)), (kind, key)
    report = caisson.verify(folder)
    assert report["ok"] and report["checked"] > 20, report
    assert not report["unchecked"], report


def check_damage(folder):
    """Every shard with a byte flipped in a tensor's record: verify, load and
    convert name it, whatever shape the chunk has."""
    for name in ("model.columns", "model.rows", "model.large"):
        shard, at = places(folder, name)[-1]
        flip(shard, at)
        report = caisson.verify(folder)
        (damage,) = report["damage"]
        assert damage["file"] == str(shard), damage
        assert damage["tensors"] == [name], damage
        for call in (caisson.load,
                     lambda path: caisson.convert(path, folder / "x.pt")):
            try:
                call(folder)
            except caisson.CorruptError as error:
                assert shard.name in str(error), error
                assert name in str(error), error
            else:
                raise AssertionError(f"{name}: no error")
        assert not (folder / "x.pt").exists()
        flip(shard, at)
    assert caisson.verify(folder)["ok"]


def places(folder, fqn):
    """(path, offset of a byte of its data) of each chunk of a tensor."""
    from caisson import _caisson
    from caisson.dcp._manifest import Chunk
    from caisson.dcp._whole import _metadata

    found = []
    for index, place in _metadata(folder).storage_data.items():
        if index.fqn != fqn:
            continue
        path = folder / place.file
        if isinstance(place, Chunk):
            found.append((path, place.at))
        else:
            part = _caisson.File.open_part(str(path), place.offset,
                                           place.bytes)
            found.append((path, place.offset + part.tensors()[0][6]))
    return found


def main(folder):
    # Forked before anything here has threads.
    for world in (1, 2, 4):
        assert ranks(world, folder / str(world), save) == [0] * world
    for world in (1, 2, 4):
        place = folder / str(world)
        for kind in ("stock", "stock_many", "stock_threads", "ours", "plane",
                     "deflate"):
            check(place / kind, kind)
        check_damage(place / "stock")
        check_damage(place / "ours")


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    main(pathlib.Path(sys.argv[1]))
    os._exit(0)
