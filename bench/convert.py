#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times `caisson convert` of a file that is larger than what it may hold.

  bench/convert.py --dir DIR [--gib N] [--runs N] [--caisson PROGRAM]

Run it with the Python of .venv. Makes a .pt of random tensors of 64 to 256 MiB
and small ones beside them, then converts it to safetensors and back, cold, and
prints seconds, GB/s and the peak RSS of each run. Beside them the disk: `dd`
with O_DIRECT and 8 MiB blocks reads, writes, and does both at once.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def make(path, total):
    # Not in the process that measures: what it has held counts as its children's.
    import torch

    torch.manual_seed(0)
    state, used, i = {}, 0, 0
    while used < total:
        rows = 4096 << i % 3
        weight = torch.randn(rows, 8192)
        for name, tensor in ((f"layer.{i}.w", weight.bfloat16() if i % 2
                              else weight),
                             (f"layer.{i}.b", torch.randn(rows))):
            state[name] = tensor
            used += tensor.numel() * tensor.element_size()
        i += 1
    torch.save(state, path)


def drop_cache(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def convert(program, source, target):
    """Seconds, and the peak RSS in MiB."""
    drop_cache(source)
    began = time.monotonic()
    child = os.posix_spawn(program, [program, "convert", source, target],
                           os.environ, file_actions=[
                               (os.POSIX_SPAWN_OPEN, 1, os.devnull,
                                os.O_WRONLY, 0)])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"convert: status {status}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def dd(*arguments):
    return subprocess.Popen(["dd", "bs=8M", *arguments],
                            stderr=subprocess.PIPE, text=True)


def rate(process):
    text = process.communicate()[1]
    return int(re.search(r"(\d+) bytes", text)[1]) / float(
        re.search(r", ([\d.]+) s,", text)[1]) / 1e9


def disk(source, scratch):
    blocks = os.path.getsize(source) >> 23
    read = [f"if={source}", "of=/dev/null", "iflag=direct"]
    write = ["if=/dev/zero", f"of={scratch}", f"count={blocks}", "oflag=direct"]
    print(f"disk reads {rate(dd(*read)):.2f} GB/s, "
          f"writes {rate(dd(*write)):.2f} GB/s")
    both = dd(*read), dd(*write)
    print("both at once: {:.2f} and {:.2f} GB/s".format(*map(rate, both)))
    os.remove(scratch)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", required=True)
    parser.add_argument("--gib", type=float, default=4.2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--caisson",
                        default=str(ROOT / "build/release/cli/caisson"))
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.make, options.gib * 2**30)
        return
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        pt, flat, back = (os.path.join(folder, name) for name in
                          ("a.pt", "b.safetensors", "c.pt"))
        subprocess.run([sys.executable, __file__, "--make", pt, "--dir", folder,
                        "--gib", str(options.gib)], check=True)
        size = os.path.getsize(pt)
        for _ in range(options.runs):
            for source, target in ((pt, flat), (flat, back)):
                seconds, rss = convert(options.caisson, source, target)
                print(f"{os.path.basename(source)} to "
                      f"{os.path.basename(target)}: {seconds:.2f} s, "
                      f"{size / seconds / 1e9:.2f} GB/s, {rss:.0f} MiB",
                      flush=True)
        disk(pt, os.path.join(folder, "scratch"))


if __name__ == "__main__":
    main()
