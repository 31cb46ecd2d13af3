# SPDX-License-Identifier: Apache-2.0
"""How much of its idle rate a Python thread that counts keeps while another
saves and loads, beside torch.save and torch.load in the same run.

    python bench/python_gil.py --dir D [--gib 1] [--runs 5]

Needs the package caisson and torch. The engine has one thread, so that on two
cores one is free.
"""

import argparse
import pathlib
import statistics
import threading
import time

import caisson
import torch


class Counter(threading.Thread):
    """Counts as fast as one Python thread can."""

    def __init__(self):
        super().__init__(daemon=True)
        self.count = 0
        self.start()

    def run(self):
        while True:
            self.count += 1

    def rate_during(self, function):
        before, since = self.count, time.perf_counter()
        function()
        seconds = time.perf_counter() - since
        return (self.count - before) / seconds, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    caisson.configure(threads=1)
    elems = int(options.gib * 2**30 / 4 / 16)
    state = {str(i): torch.randn(elems) for i in range(16)}
    ours, theirs = options.dir / "ours.pt", options.dir / "theirs.pt"
    verbs = {
        "idle": lambda: time.sleep(1),
        "caisson.save_async": lambda: caisson.save_async(state, ours).wait(),
        "caisson.save": lambda: caisson.save(state, ours),
        "torch.save": lambda: torch.save(state, theirs),
        "caisson.load": lambda: caisson.load(ours),
        "caisson.load_into": lambda: caisson.load_into(ours, state),
        "torch.load": lambda: torch.load(theirs),
    }
    counter = Counter()
    rates = {name: [] for name in verbs}
    for _ in range(options.runs):
        for name, verb in verbs.items():
            rates[name].append(counter.rate_during(verb))
    idle = statistics.median(rate for rate, _ in rates["idle"])
    print(f"{options.gib} GiB, median of {options.runs} runs in turns")
    print("verb                 of idle rate   seconds")
    for name, found in rates.items():
        part = statistics.median(rate for rate, _ in found) / idle
        seconds = statistics.median(took for _, took in found)
        print(f"{name:20} {part:12.0%} {seconds:9.2f}")
    for path in (ours, theirs):
        path.unlink()


if __name__ == "__main__":
    main()
