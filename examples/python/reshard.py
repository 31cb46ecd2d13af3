# SPDX-License-Identifier: Apache-2.0
"""Saves a model from 4 processes and loads it in 2.

    python reshard.py DIR
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as multiprocessing
from caisson.dcp import CaissonReader, CaissonWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

WEIGHT = torch.arange(64.0).reshape(16, 4)


def join(rank, world, meeting):
    dist.init_process_group("gloo", init_method=f"file://{meeting}",
                            rank=rank, world_size=world)
    return init_device_mesh("cpu", (world,))


def save(rank, world, meeting, folder):
    mesh = join(rank, world, meeting)
    state = {"w": distribute_tensor(WEIGHT, mesh, [Shard(0)]), "step": 7}
    dcp.save(state, storage_writer=CaissonWriter(folder))
    dist.destroy_process_group()


def load(rank, world, meeting, folder):
    mesh = join(rank, world, meeting)
    state = {"w": distribute_tensor(torch.zeros(16, 4), mesh, [Shard(1)]),
             "step": 0}
    dcp.load(state, storage_reader=CaissonReader(folder))
    mine = state["w"].to_local()
    assert torch.equal(mine, WEIGHT.chunk(world, dim=1)[rank])
    assert state["step"] == 7
    print(f"rank {rank} of {world}: {list(mine.shape)}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as meetings:
        for run, world in ((save, 4), (load, 2)):
            meeting = os.path.join(meetings, run.__name__)
            multiprocessing.start_processes(
                run, (world, meeting, sys.argv[1]), nprocs=world,
                start_method="fork")
