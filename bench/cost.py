#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says what each kernel file costs: seconds to compile, bytes of code.

Compiles every source of a directory alone, without ccache, by the command of
compile_commands.json, and prints a markdown table. The seconds are those of
the CPU, the least of some runs; the bytes are the column `text` of `size`.

  bench/cost.py [--build build/release] [--runs 3] [DIRECTORY]
"""

import argparse
import json
import pathlib
import resource
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def commands(build, directory):
    """{source: (folder, argv)} of the sources below `directory`."""
    path = build / "compile_commands.json"
    if not path.exists():
        sys.exit(f"no {path}: cmake --preset release")
    found = {}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        source = pathlib.Path(entry["file"])
        if source.suffix == ".cc" and source.is_relative_to(directory):
            found[source] = (entry["directory"], shlex.split(entry["command"]))
    if not found:
        sys.exit(f"{path}: compiles nothing in {directory}")
    return found


def alone(argv, target):
    """The command without ccache, writing the object file to `target`."""
    if pathlib.Path(argv[0]).name == "ccache":
        argv = argv[1:]
    argv = list(argv)
    argv[argv.index("-o") + 1] = str(target)
    return argv


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cost(folder, argv, target, runs):
    """(seconds, bytes of code) of one source."""
    seconds = []
    for _ in range(runs):
        start = cpu_seconds()
        subprocess.run(alone(argv, target), cwd=folder, check=True)
        seconds.append(cpu_seconds() - start)
    size = subprocess.run(["size", str(target)], capture_output=True,
                          text=True, check=True)
    return min(seconds), int(size.stdout.splitlines()[1].split()[0])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=pathlib.Path,
                        default=ROOT / "kernels/cpu")
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build/release")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    directory = options.directory.resolve()
    total_seconds, total_code = 0.0, 0
    print("| file | seconds to compile | bytes of code |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        target = pathlib.Path(scratch) / "alone.o"
        for source, (folder, argv) in sorted(
                commands(options.build.resolve(), directory).items()):
            seconds, code = cost(folder, argv, target, options.runs)
            total_seconds += seconds
            total_code += code
            print(f"| {source.relative_to(directory)} | {seconds:.1f} "
                  f"| {code:,} |", flush=True)
    print(f"| all | {total_seconds:.1f} | {total_code:,} |")


if __name__ == "__main__":
    main()
