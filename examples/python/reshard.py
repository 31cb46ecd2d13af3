# SPDX-License-Identifier: Apache-2.0
"""Saves a model from 4 processes and loads it in 2.

    python reshard.py DIR
"""

import os
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as multiprocessing
from caisson.dcp import CaissonReader, CaissonWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

WEIGHT = torch.arange(64.0).reshape(16, 4)


def join(rank, world, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    return init_device_mesh("cpu", (world,))


def save(rank, world, port, folder):
    mesh = join(rank, world, port)
    state = {"w": distribute_tensor(WEIGHT, mesh, [Shard(0)]), "step": 7}
    dcp.save(state, storage_writer=CaissonWriter(folder))
    dist.destroy_process_group()


def load(rank, world, port, folder):
    mesh = join(rank, world, port)
    state = {"w": distribute_tensor(torch.zeros(16, 4), mesh, [Shard(1)]),
             "step": 0}
    dcp.load(state, storage_reader=CaissonReader(folder))
    mine = state["w"].to_local()
    assert torch.equal(mine, WEIGHT.chunk(world, dim=1)[rank])
    assert state["step"] == 7
    print(f"rank {rank} of {world}: {list(mine.shape)}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    port = 20000 + os.getpid() % 20000
    start = multiprocessing.start_processes
    start(save, (4, port, sys.argv[1]), nprocs=4, start_method="fork")
    start(load, (2, port + 1, sys.argv[1]), nprocs=2, start_method="fork")
