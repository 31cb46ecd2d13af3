#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the CUDA kernels were compiled to: registers, bytes that spill, and the
instructions of a lane.

    bench/gpu/sass_table.py [OBJECT]

OBJECT: transform.cu.o of a build, by default that of the preset `device`. Needs
cuobjdump, of the CUDA toolkit or of the package nvidia-cuda-cuobjdump.

For kernels of packs, the instructions from entry to the last store of a whole
tile. For kernels of sums, the first run without an unconditional branch that
has loads and the 200 or more LOP3 of a slab; stores that stand elsewhere do not
count.
Exit status 1 if a kernel spills.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "build/device/kernels/CMakeFiles/caisson_kernels.dir/cuda"


def dump(*arguments):
    return subprocess.run(["cuobjdump", *arguments], check=True,
                          capture_output=True, text=True).stdout


def resources(path):
    """Registers and local bytes, by mangled name."""
    pattern = r"Function (\S+):\s+REG:(\d+) STACK:\d+ SHARED:\d+ LOCAL:(\d+)"
    return {name: (int(registers), int(local)) for name, registers, local
            in re.findall(pattern, dump("-res-usage", path))}


def code(path):
    """Instructions, by mangled name."""
    functions = {}
    body = None
    for line in dump("-sass", path).splitlines():
        if match := re.match(r"\s+Function : (\S+)", line):
            body = functions.setdefault(match.group(1), [])
        elif match := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            body.append(match.group(1))
    return functions


def readable(name):
    text = subprocess.run(["c++filt", name], check=True, capture_output=True,
                          text=True).stdout.strip()
    for noise in ("void ", "caisson::cuda::", "(LaunchArguments)"):
        text = text.replace(noise, "")
    return text


def until_stores(body):
    """To the last store of the first group of stores that follows loads."""
    last = None
    for i, instruction in enumerate(body):
        if re.search(r"\bSTG?\.E", instruction):
            last = i
        elif last is not None and i > last + 12:
            break
    return last + 1


def count(run, pattern):
    return sum(bool(re.search(pattern, instruction)) for instruction in run)


def slab(body):
    runs = [[]]
    for instruction in body:
        runs[-1].append(instruction)
        if re.match(r"(BRA|EXIT|RET)\b", instruction):
            runs.append([])
    return next(len(run) for run in runs
                if count(run, r"LOP3") >= 200 and count(run, r"\bLDG?\.E") >= 8)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else str(DEFAULT / "transform.cu.o")
    used = resources(path)
    spills = 0
    print(f"{'kernel':<48} registers  spilled  instructions")
    for name, body in code(path).items():
        registers, local = used[name]
        spills += local
        kernel = readable(name)
        length = ""
        if kernel.startswith("MovePacks"):
            length = until_stores(body)
        elif kernel.startswith("SumTiles") and "NoWords" not in kernel:
            length = slab(body)
        print(f"{kernel:<48} {registers:>9}  {local:>7}  {length:>12}")
    return 1 if spills else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FileNotFoundError as error:
        sys.exit(f"sass_table: {error.filename} is not here")
