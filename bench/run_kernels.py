#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the host's kernels beside their peers and prints the tables.

All contestants of a comparison run one after the other, again and again, in
one process. Everything takes about six minutes; the machine should be idle.

  bench/run_kernels.py [--out FILE]     measure, write FILE, print the tables
  bench/run_kernels.py --report FILE    print the tables of a file
"""

import argparse
import json
import pathlib
import platform
import subprocess
import sys
import tempfile

import report
from results import Results

ROOT = pathlib.Path(__file__).resolve().parent.parent

# (what, the names, seconds that one contestant runs at least in each round). A
# pass over 1 GiB takes long, so only what has a target or stands for others is
# measured in that size. No CPU in use today has SSSE3 and not SSE4.
STAGES = (
    ("up to 1 MiB",
     r"(?!stores_|.*-ssse3).*/(16|256|4096|65536|1048576)$", 0.02),
    ("stores", "stores_", 0.02),
    ("crc32_combine", r"crc32_combine/.*/(67108864|1073741824)$", 0.02),
    ("64 MiB", r"(?!stores_|crc32_combine|.*-ssse3).*/67108864$", 0.03),
    ("1 GiB",
     r"(crc32|copy|copy_crc32|(byte_swap4|fp32_to_bf16|bf16_to_fp32)(_crc32)?)/"
     r"(caisson|caisson-avx2|caisson-sse4|isal|libdeflate|memcpy"
     r"|memcpy-libdeflate)/1073741824$", 0.01),
)

# What is kept of each run.
FIELDS = ("name", "repetition_index", "error_occurred", "error_message")
RATES = ("bytes_per_second", "items_per_second", "stored")


def cpu_name():
    """The name of the CPU, with family and model where Linux tells them."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields and "model" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return name


def commit():
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty",
         "--exclude", "*"], capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def measure(binary, rounds, only):
    """(context, runs) of all stages."""
    context, runs = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for what, names, seconds in STAGES:
            print(f"-- {what}", file=sys.stderr)
            out = pathlib.Path(folder) / "stage.json"
            wanted = f"(?=.*(?:{only}))" if only else ""
            done = subprocess.run(
                [str(binary), f"--rounds={rounds}", f"--out={out}",
                 f"--benchmark_min_time={seconds}",
                 f"--benchmark_filter=^{wanted}{names}"], check=False)
            if done.returncode != 0 and not only:
                sys.exit(f"{binary}: exit status {done.returncode}")
            document = json.loads(out.read_text(encoding="utf-8"))
            context = document["context"]
            runs += map(kept_of, document["benchmarks"])
    context["machine"] = {"cpu": cpu_name(), "commit": commit(),
                          "system": platform.platform()}
    return context, runs


def kept_of(run):
    """What the tables and pictures need of a run of Google Benchmark."""
    kept = {key: run[key] for key in FIELDS if key in run}
    kept.update({key: float(f"{run[key]:.5g}") for key in RATES if key in run})
    return kept


def write(path, context, runs):
    """A file in the form of Google Benchmark's, a line for each run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(run) for run in runs)
    path.write_text(f'{{"context": {json.dumps(context, indent=1)},\n'
                    f'"benchmarks": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"-- wrote {path}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path,
                        default=ROOT / "build/release/bench/kernels_bench")
    parser.add_argument("--out", type=pathlib.Path,
                        default=ROOT / "build/kernels.json")
    parser.add_argument("--rounds", type=int, default=9,
                        help="default: %(default)s; at least 7 say something")
    parser.add_argument("--only", metavar="REGEX",
                        help="measure benchmarks whose name this matches")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE",
                        help="measure nothing, print the tables of FILE")
    options = parser.parse_args()
    if options.report:
        path = options.report
    else:
        path = options.out
        if not options.binary.exists():
            sys.exit(f"no {options.binary}: cmake --build --preset release "
                     "--target kernels_bench")
        write(path, *measure(options.binary, options.rounds, options.only))
    for line in report.lines(Results.load(path)):
        print(line)


if __name__ == "__main__":
    main()
