# SPDX-License-Identifier: Apache-2.0
"""The contestants of compare_torch.py: each saves one state and loads it.

Every method that is measured answers with "seconds"; those of programs that
hold a state also with "resident" before and "peak" during the work, in bytes of
their process.
"""

import json
import os
import subprocess
import sys
import time

import numpy
import safetensors.torch
import torch

LAYER_ELEMS = 4 << 20  # of a weight and each of its two moments
PAGE = 4096


def make_state(size, count):
    """Tensors of random bits by name, of `size` bytes in all.

    `count` tensors of one size; None: weights and moments as a model has them.
    """
    random = numpy.random.default_rng(1)

    def tensor(size, dtype):
        words = random.integers(0, 1 << 32, size // 4, dtype=numpy.uint32)
        return torch.from_numpy(words.view(numpy.uint8)).view(dtype)

    if count is not None:
        return {f"t{i}": tensor(size // count, torch.float32)
                for i in range(count)}
    state = {}
    kinds = (("weight", torch.bfloat16, 2), ("exp_avg", torch.float32, 4),
             ("exp_avg_sq", torch.float32, 4))
    while size >= 4:
        for kind, dtype, width in kinds:
            part = min(LAYER_ELEMS * width, size) // 4 * 4
            if part:
                state[f"layers.{len(state) // 3}.{kind}"] = tensor(part, dtype)
            size -= part
    return state


def process_bytes(name):
    """A line of /proc/self/status."""
    with open("/proc/self/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def sync(path):
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def settle(seconds=5):
    """Waits until the memory that nobody uses is as it will be for all.

    A virtual machine gives free memory back to its host after some seconds, and
    must fetch it again for the next who needs it: who comes right after another
    gave memory back finds it for half the price.
    """
    time.sleep(seconds)


def timed(work):
    """What `work` took here. What it returns goes when the clock stands."""
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as refs:
        refs.write("5")  # the peak is that of what follows
    resident = process_bytes("VmRSS")
    start = time.perf_counter()
    kept = work()
    seconds = time.perf_counter() - start
    answer = {"seconds": seconds, "resident": resident,
              "peak": process_bytes("VmHWM")}
    del kept
    return answer


class Torch:
    name = "torch"
    loads = {"load": "load"}  # ours: theirs

    def __init__(self, state):
        self.state = state

    def save(self, path):
        def work():
            torch.save(self.state, path)
            sync(path)
        return timed(work)

    def load(self, path):
        return timed(lambda: torch.load(path))


class SafeTensors:
    name = "safetensors"
    loads = {"load": "load"}

    def __init__(self, state):
        self.state = state

    def save(self, path):
        def work():
            safetensors.torch.save_file(self.state, path)
            sync(path)
        return timed(work)

    def load(self, path):
        def work():
            tensors = safetensors.torch.load_file(path)
            # It maps the file and reads nothing before it is asked.
            for tensor in tensors.values():
                if tensor.nbytes >= PAGE:
                    tensor.view(torch.uint8)[::PAGE].sum()
            return tensors
        return timed(work)


class Fio:
    """The disk's own rates, by fio. Knows nothing of a state.

    `huge`: its memory has huge pages, as ours has. Without, each transfer falls
    into many more segments, and a virtual disk takes half as much again.
    """

    loads = {"load_into": "load"}

    def __init__(self, size, huge):
        self.name = "fio, huge pages" if huge else "fio"
        self.size = size
        # Of glibc 2.35 and later.
        self.env = {**os.environ,
                    "GLIBC_TUNABLES": f"glibc.malloc.hugetlb={int(huge)}"}

    def save(self, path):
        return self._run("write", path, "--end_fsync=1")

    def load(self, path):
        return self._run("read", path)

    def _run(self, verb, path, *more):
        done = subprocess.run(
            ["fio", "--name=job", f"--filename={path}", f"--rw={verb}",
             f"--size={self.size}", "--direct=1", "--bs=8M",
             "--ioengine=libaio", "--iodepth=8", "--output-format=json", *more],
            capture_output=True, text=True, check=True, env=self.env)
        # Older ones say more before it.
        text = done.stdout[done.stdout.index("{"):]
        job = json.loads(text)["jobs"][0][verb]
        # Of whole transfers only, hence as the time of all bytes.
        return {"seconds": self.size / (job["io_bytes"] / job["runtime"] * 1e3)}


def save_memory(contestant, bench, path, size):
    """The memory of one save in a process that did nothing else.

    `contestant`: the name of Torch, SafeTensors or Caisson. Answers with
    "resident", the state included, before and "peak" during the save.
    """
    if contestant == Caisson.name:
        with Caisson(bench) as ours:
            ours.make(size)
            return ours.save(path)
    done = subprocess.run(
        [sys.executable, "-B", __file__, contestant, path, str(size)],
        stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


class Caisson:
    """checkpoint_bench, kept running: one command a line, one answer each."""

    name = "caisson"

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def make(self, size):
        return self._ask("make", size)

    def hold(self, path):
        return self._ask("hold", path)

    def save(self, path):
        return self._ask("save", path)

    def load(self, path):
        return self._ask("load", path)

    def load_into(self, path):
        return self._ask("load_into", path)

    def _ask(self, verb, path):
        self.process.stdin.write(f"{verb} {path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"checkpoint_bench ended while asked to {verb}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"checkpoint_bench: {answer['error']}")
        return answer


def main():
    """NAME PATH SIZE: what save_memory() runs in a process of its own."""
    name, path, size = sys.argv[1:]
    peer = {peer.name: peer for peer in (Torch, SafeTensors)}[name]
    print(json.dumps(peer(make_state(int(size), None)).save(path)))


if __name__ == "__main__":
    main()
