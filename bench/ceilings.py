#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the disk's ceilings of `caisson bench` beside fio's rates.

  bench/ceilings.py --dir DIR [--size 2GiB] [--runs 7] [--rounds 3]

In each run the bench measures raw_write and raw_read in some rounds, and fio
writes and reads a file of the same size as often: O_DIRECT, blocks of 8 MiB,
depth 8, fsync at the end, huge pages. Who goes first changes with each run. A
run's rate is the median of its rounds; a ratio is the median of the runs', its
extremes beside it. The machine should be idle. Needs fio.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from compare_torch import ROOT, parse_size
from checkpoint_peers import Fio, settle


def ours(options):
    done = subprocess.run(
        [options.caisson, "bench", "--ceilings", "--json", "--dir",
         options.dir, "--size", str(options.size), "--rounds",
         str(options.rounds)],
        stdout=subprocess.PIPE, check=True)
    ceilings = json.loads(done.stdout)["machine"]["ceilings"]
    return ceilings["raw_write"]["gbps"], ceilings["raw_read"]["gbps"]


def theirs(options, folder):
    fio = Fio(options.size, huge=True)
    path = pathlib.Path(folder) / "fio"
    rates = []
    for _ in range(options.rounds):
        path.unlink(missing_ok=True)
        settle()  # the bench measures memory between its files
        rates.append([options.size / 1e9 / fio.save(path)["seconds"],
                      options.size / 1e9 / fio.load(path)["seconds"]])
    path.unlink()
    return [statistics.median(rate) for rate in zip(*rates)]


def spread(values):
    return (f"{statistics.median(values):.2f} "
            f"({min(values):.2f} to {max(values):.2f})")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--size", type=parse_size, default=2 << 30)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--caisson", type=pathlib.Path,
                        default=ROOT / "build/release/cli/caisson")
    options = parser.parse_args()
    pairs = []
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        for run in range(options.runs):
            print(f"run {run + 1} of {options.runs}", file=sys.stderr)
            answers = {}
            order = ["ours", "fio"] if run % 2 == 0 else ["fio", "ours"]
            for who in order:
                settle()
                answers[who] = (ours(options) if who == "ours"
                                else theirs(options, folder))
            pairs.append((answers["ours"], answers["fio"]))
    print("| ceiling | bench, GB/s | fio, GB/s | bench / fio |")
    print("|---|---|---|---|")
    for i, name in enumerate(("raw_write", "raw_read")):
        mine = [a[i] for a, _ in pairs]
        fios = [b[i] for _, b in pairs]
        ratios = [a / b for a, b in zip(mine, fios)]
        print(f"| {name} | {spread(mine)} | {spread(fios)} | "
              f"{spread(ratios)} |")


if __name__ == "__main__":
    main()
