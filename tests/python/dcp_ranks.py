# SPDX-License-Identifier: Apache-2.0
"""Ranks of a job, forked from one process that has torch imported.

    dcp_ranks.py SCENARIO DIR     exit status 0 if every check held
"""

import itertools
import os
import pathlib
import signal
import sys
import time
import traceback
import warnings

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from caisson.dcp import CaissonReader, CaissonWriter, _manifest
from torch.distributed._shard import sharded_tensor
from torch.distributed._shard.sharding_spec import (
    ChunkShardingSpec,
    EnumerableShardingSpec,
    ShardMetadata,
)
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

SIZE = 23  # no rank has the same
WHOLE = torch.arange(float(SIZE))
MATRIX = torch.arange(16 * 12.0).reshape(16, 12)


def ranks(world, folder, function, *args):
    """The exit status of each rank; those that wait for the dead are ended."""
    folder.mkdir(exist_ok=True)
    store = folder.parent / f"{folder.name}.store"
    children = []
    for rank in range(world):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                torch.set_num_threads(1)
                dist.init_process_group("gloo", init_method=f"file://{store}",
                                        rank=rank, world_size=world)
                function(rank, world, folder, *args)
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        children.append(pid)
    statuses = {}
    while len(statuses) < world:
        pid, status = os.wait()
        statuses[pid] = os.waitstatus_to_exitcode(status)
        if statuses[pid] < 0:
            for other in set(children) - set(statuses):
                os.kill(other, signal.SIGKILL)
    store.unlink(missing_ok=True)
    return [statuses[pid] for pid in children]


def specs(world):
    """Those of test_load_with_different_shard_plan, for any world."""
    places = [f"rank:{rank}/cpu" for rank in range(world)]
    yield ChunkShardingSpec(dim=0, placements=places)
    yield ChunkShardingSpec(dim=0, placements=places[::-1])
    yield ChunkShardingSpec(dim=0, placements=places * 2)
    cuts = [0, *range(3, 3 + world - 1), SIZE]
    yield EnumerableShardingSpec([
        ShardMetadata([begin], [end - begin], places[-1 - i])
        for i, (begin, end) in enumerate(zip(cuts, cuts[1:]))
    ])


def place_of(shard):
    return shard.metadata.shard_offsets[0], shard.metadata.shard_sizes[0]


def sharded(spec, source):
    tensor = sharded_tensor.zeros(spec, SIZE)
    for shard in tensor.local_shards():
        at, count = place_of(shard)
        shard.tensor.copy_(source[at:at + count])
    return tensor


def check_shards(tensor):
    for shard in tensor.local_shards():
        at, count = place_of(shard)
        assert torch.equal(shard.tensor, WHOLE[at:at + count])


def pairs(rank, world, folder):
    """Every plan into every plan, from our writer and from stock's, and the
    same from stock's reader."""
    warnings.simplefilter("ignore")
    extra = {"step": 3, "lr": 0.5, "name": "x", "tuple": (1, 2), "whole": WHOLE}
    for i, spec in enumerate(specs(world)):
        state = {"t": sharded(spec, WHOLE), "nested": {"list": [1, WHOLE * 2]},
                 **extra}
        dcp.save(state, storage_writer=CaissonWriter(folder / f"ours{i}"))
        dcp.save(state, storage_writer=dcp.FileSystemWriter(
            folder / f"stock{i}", single_file_per_rank=i % 2 == 0))
    for i, (kind, target) in itertools.product(range(4), itertools.product(
            ["ours", "stock"], [*specs(world), None])):
        blank = torch.zeros(SIZE) if target is None else (
            sharded(target, torch.zeros(SIZE)))
        state = {"t": blank, "nested": {"list": [0, torch.zeros(SIZE)]},
                 "step": 0, "lr": 0.0, "name": "", "tuple": (),
                 "whole": torch.zeros(SIZE)}
        dcp.load(state, storage_reader=CaissonReader(folder / f"{kind}{i}"))
        if target is None:
            assert torch.equal(state["t"], WHOLE)
        else:
            check_shards(state["t"])
        assert {k: state[k] for k in ("step", "lr", "name", "tuple")} == {
            k: extra[k] for k in ("step", "lr", "name", "tuple")}
        assert torch.equal(state["whole"], WHOLE)
        assert torch.equal(state["nested"]["list"][1], WHOLE * 2)
    mesh = init_device_mesh("cpu", (world,))
    ways = [Shard(0), Shard(1), Replicate()]
    for i, way in enumerate(ways):
        state = {"m": distribute_tensor(MATRIX, mesh, [way])}
        dcp.save(state, storage_writer=CaissonWriter(folder / f"mesh{i}"))
        for into in ways:
            state = {"m": distribute_tensor(MATRIX * 0, mesh, [into])}
            reader = CaissonReader(folder / f"mesh{i}")
            dcp.load(state, storage_reader=reader)
            assert torch.equal(state["m"].full_tensor(), MATRIX)
    # Saved again over itself: one shard for each rank stays.
    dcp.save({"m": distribute_tensor(MATRIX, mesh, [Shard(0)])},
             storage_writer=CaissonWriter(folder / "mesh0"))
    dist.barrier()
    assert len(os.listdir(folder / "mesh0")) == world + 1
    # Ranks that do not talk have a manifest each, and read their own.
    for writer in (CaissonWriter(folder / "alone"),
                   dcp.FileSystemWriter(folder / "stock_alone")):
        dcp.save({"m": distribute_tensor(MATRIX, mesh, [Shard(0)])},
                 storage_writer=writer, use_collectives=False)
    for name in ("alone", "stock_alone"):
        state = {"m": distribute_tensor(MATRIX * 0, mesh, [Shard(0)])}
        dcp.load(state, storage_reader=CaissonReader(folder / name))
        assert torch.equal(state["m"].full_tensor(), MATRIX)
    future = dcp.async_save({"m": distribute_tensor(MATRIX, mesh, [Shard(1)])},
                            storage_writer=CaissonWriter(folder / "later"))
    future.result()
    state = {"m": distribute_tensor(MATRIX * 0, mesh, [Shard(0)])}
    dcp.load(state, storage_reader=CaissonReader(folder / "later"))
    assert torch.equal(state["m"].full_tensor(), MATRIX)


def faults(rank, world, folder):
    """A fault of any call, on any rank, is told on all ranks."""
    for kind, base, names in [
        ("save", CaissonWriter, ["set_up_storage_writer", "prepare_local_plan",
                                 "prepare_global_plan", "write_data",
                                 "finish"]),
        ("load", CaissonReader, ["set_up_storage_reader", "prepare_local_plan",
                                 "prepare_global_plan", "read_data"]),
    ]:
        for name, bad in itertools.product(names, range(world)):
            coordinator = name in ("prepare_global_plan", "finish")
            if coordinator and bad != 0:
                continue
            faulty = base(folder / "x")

            def fail(*args, **kwargs):
                raise ValueError("a fault")

            if rank == bad:
                setattr(faulty, name, fail)
            try:
                if kind == "save":
                    dcp.save({"w": WHOLE}, storage_writer=faulty)
                else:
                    dcp.load({"w": WHOLE.clone()}, storage_reader=faulty)
            except CheckpointException as error:
                assert "a fault" in str(error) or bad in error.failures
            else:
                raise AssertionError(f"{name} of rank {bad}: no error")
        if kind == "save":
            dcp.save({"w": WHOLE}, storage_writer=CaissonWriter(folder / "x"))


STEPS = ["resolve", "written", "tmp", "renamed", "removing"]


def killed(rank, world, folder, step, victim):
    """Saves 2 over 1 and dies at a step of it."""
    writer = CaissonWriter(folder)

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    if rank == victim:
        if step == "resolve":
            writer._write = die
        elif step == "written":
            write = writer._write
            writer._write = lambda *args: (write(*args), die())
        elif step == "tmp":
            os.replace = die
        elif step == "renamed":
            _manifest.sync_folder = die
        else:
            writer._remove_others = die
    state = {str(i): torch.full((8,), 2.0) for i in range(world)}
    state["step"] = 2
    dcp.save(state, storage_writer=writer)


def old(rank, world, folder):
    state = {str(i): torch.full((8,), 1.0) for i in range(world)}
    state["step"] = 1
    dcp.save(state, storage_writer=CaissonWriter(folder))


def read_alone(folder, world):
    """The step that a directory holds, which all of its parts agree on."""
    state = {str(i): torch.zeros(8) for i in range(world)}
    state["step"] = 0
    dcp.load(state, storage_reader=CaissonReader(folder), no_dist=True)
    values = {float(v) for i in range(world) for v in state[str(i)]}
    assert values == {float(state["step"])}, values
    return state["step"]


def in_child(function, *args):
    """Its answer, as the driver itself must stay free of threads."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            warnings.simplefilter("ignore")
            torch.set_num_threads(1)
            status = function(*args)
        except BaseException as error:
            status = 98 if "incomplete checkpoint" in str(error) else 99
            if status == 99:
                traceback.print_exc()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(folder):
    world = 2
    for step, victim, over in itertools.product(STEPS, range(world),
                                                [True, False]):
        if victim != 0 and step not in ("resolve", "written"):
            continue  # the coordinator's own steps
        place = folder / f"{step}{victim}{int(over)}"
        place.mkdir()
        if over:
            assert ranks(world, place, old) == [0, 0]
        statuses = ranks(world, place, killed, step, victim)
        assert statuses[victim] == -signal.SIGKILL, statuses
        found = in_child(read_alone, place, world)
        if step in ("renamed", "removing"):
            assert found == 2, (step, found)
        else:
            assert found == (1 if over else 98), (step, over, found)
        # What the dead left does not hinder the next save, which removes it.
        if step == "written" and over:
            assert ranks(world, place, old) == [0, 0]
            assert in_child(read_alone, place, world) == 1
            assert len(list(place.glob("__*.pt"))) <= world


def main(scenario, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if scenario == "kill":
        kill(folder)
    elif scenario == "faults":
        assert ranks(2, folder / "f", faults) == [0, 0]
    else:
        for world in (1, 2, 4):
            since = time.monotonic()
            statuses = ranks(world, folder / f"w{world}", pairs)
            assert statuses == [0] * world, (world, statuses)
            print(f"{world} ranks: {time.monotonic() - since:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
