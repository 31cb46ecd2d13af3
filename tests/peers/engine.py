# SPDX-License-Identifier: Apache-2.0
"""Compares every kind of engine with stock torch.

engine.py --matrix-tool PATH [--count N] [--every N] [--seed N]
  torch.save writes N random states and the special ones; the tool loads each
  and saves it with engines of many sizes, threads and queues. All files must
  be the stock files. Each engine saves every N-th state (default 8), another
  share of them for each engine.

Exit status: as run.py.
"""

import argparse
import pathlib
import shlex
import subprocess
import tempfile
import warnings

import torch

from run import cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix-tool", required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="caisson_engines_") as name:
        folder = pathlib.Path(name)
        (folder / "out").mkdir()
        paths = []
        for state_name, state, _ in cases(options.count, options.seed):
            paths.append(folder / f"{state_name}.pt")
            torch.save(state, paths[-1])
        print(f"{len(paths)} states", flush=True)
        return subprocess.run(
            [
                *shlex.split(options.matrix_tool),
                folder / "out",
                str(options.every),
                *paths,
            ]
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
