#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures saves and loads of Caisson beside torch, safetensors and the disk.

  bench/compare_torch.py --dir DIR [--size 2GiB] [--pairs N] [--out FILE]
  bench/compare_torch.py --report FILE    print the tables of a file

Run it with the Python of .venv, which scripts/test makes. Needs checkpoint_bench
in the build, and fio for the disk's own rates. The machine should be idle.

Two states, each held by all contestants: bfloat16 weights with fp32 moments,
and 100 000 tensors of 16 bytes; all bits random. In each round ours and a peer
each write a fresh file, fsynced, and then read it cold: a pair is two runs one
after the other, in turns who is first, and with nothing in the page cache. A
ratio is the median of those of the pairs, their middle half beside it. Only ours
checks what it reads. The memory of a save is that of a process of its own, which
has made the state and done nothing else.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile

from checkpoint_peers import (Caisson, Fio, SafeTensors, Torch, make_state,
                              save_memory, settle)
from results import Spread, size_name
from run_kernels import commit, cpu_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
TINY_BYTES = 16  # of a tiny tensor

VERBS = {
    "save": "save, fsynced",
    "load": "load, cold, into new memory",
    "load_into": "load, cold, in place",
}


def parse_size(text):
    for unit in sorted(UNITS, key=len, reverse=True):
        if unit and text.endswith(unit):
            return int(float(text.removesuffix(unit)) * UNITS[unit])
    return int(float(text))


class Contest:
    """One state, and what its contestants needed for it."""

    def __init__(self, name, count, size, folder, wait):
        self.name, self.count, self.size = name, count, size
        self.folder, self.wait = folder, wait
        self.rounds = 0
        self.memory = {}  # who: {"resident", "peak"} of a save
        # who: verb: one {"seconds", "resident", "peak"} for each round
        self.runs = {}

    def measure(self, who, verb, path):
        if verb == "save":
            path.unlink(missing_ok=True)
        # Also what the other left there, which would be the next one's memory.
        for file in self.folder.iterdir():
            drop(file)
        settle(self.wait)
        answer = getattr(who, verb)(path)
        self.runs.setdefault(who.name, {}).setdefault(verb, []).append(answer)

    def round(self, ours, peers):
        """Ours beside each peer; each pair has a run of ours of its own."""
        for peer in peers:
            mine = self.folder / f"{self.name}.caisson"
            theirs = self.folder / f"{self.name}.peer"
            pair = PairOf(ours, peer.name)
            for verb, their_verb in [("save", "save"), *peer.loads.items()]:
                turn = [(pair, verb, mine), (peer, their_verb, theirs)]
                for one in turn if self.rounds % 2 == 0 else reversed(turn):
                    self.measure(*one)
            mine.unlink()
            theirs.unlink()
        self.rounds += 1

    def document(self):
        return {"name": self.name, "tensors": self.count, "bytes": self.size,
                "runs": self.runs, "save_memory": self.memory}


class PairOf:
    """Ours, under the name of the peer that it runs beside."""

    def __init__(self, ours, peer):
        self.name = f"caisson beside {peer}"
        self.save, self.load = ours.save, ours.load
        self.load_into = ours.load_into


def drop(path):
    """Takes a file out of the page cache."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def run(options, folder):
    contests = []
    with Caisson(options.bench) as ours:
        for name, count in (("model", None), ("tiny", options.tiny)):
            size = options.size if count is None else count * TINY_BYTES
            state = make_state(size, count)
            contest = Contest(name, len(state), size, folder, options.wait)
            peers = [Torch(state), SafeTensors(state)]
            if count is None and shutil.which("fio"):
                peers += [Fio(size, huge=False), Fio(size, huge=True)]
            torch_alone = peers[0]
            peers = [peer for peer in peers
                     if peer.name.split(",")[0] in options.peers]
            source = folder / f"{name}.source"
            torch_alone.save(source)
            ours.hold(source)
            source.unlink()
            for number in range(options.pairs):
                print(f"{name}: round {number + 1} of {options.pairs}",
                      file=sys.stderr, flush=True)
                contest.round(ours, peers)
            contests.append(contest)
            del state, peers, torch_alone
    model = contests[0]
    for who in (Caisson.name, Torch.name, SafeTensors.name):
        path = folder / "memory"
        model.memory[who] = save_memory(who, options.bench, path, options.size)
        path.unlink()
    import safetensors  # pylint: disable=import-outside-toplevel
    import torch  # pylint: disable=import-outside-toplevel
    return {
        "machine": {
            "cpu": cpu_name(), "cores": os.cpu_count(),
            "kernel": platform.release(), "commit": commit(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
                timespec="seconds"),
            "directory": str(options.dir), "torch": torch.__version__,
            "safetensors": safetensors.__version__,
        },
        "contests": [contest.document() for contest in contests],
    }


def spread_text(spread, digits=2):
    return (f"{spread.median:.{digits}f} "
            f"({spread.low:.{digits}f} to {spread.high:.{digits}f})")


def rows(contest):
    """(what, peer, ours and theirs in seconds, the Spread of rate ratios)."""
    runs = contest["runs"]
    for peer in (who for who in runs if not who.startswith("caisson")):
        mine = "load_into" if peer.startswith("fio") else "load"
        for verb, theirs in (("save", "save"), (mine, "load")):
            ours = [r["seconds"] for r in runs[f"caisson beside {peer}"][verb]]
            peers = [r["seconds"] for r in runs[peer][theirs]]
            ratio = Spread.of([b / a for a, b in zip(ours, peers)])
            yield VERBS[verb], peer, Spread.of(ours), Spread.of(peers), ratio


def memory_rows(contest):
    """(who, verb, MiB beyond what was resident before, as a Spread)."""
    for who, save in contest.get("save_memory", {}).items():
        yield (who, "save", Spread.of(
            [(save["peak"] - save["resident"]) / (1 << 20)]))
    for who, verbs in contest["runs"].items():
        if who.startswith("caisson") and who != "caisson beside torch":
            continue
        for verb, runs in verbs.items():
            # What saves here has loaded before; its pool was resident.
            if verb != "save" and all("peak" in r for r in runs):
                yield (who.removesuffix(" beside torch"), verb, Spread.of(
                    [(r["peak"] - r["resident"]) / (1 << 20) for r in runs]))


def tables(document):
    machine = document["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, torch "
             f"{machine['torch']}, safetensors {machine['safetensors']}, "
             f"commit {machine['commit']}, {machine['date'][:10]}"]
    for contest in document["contests"]:
        size = contest["bytes"]
        lines += ["", f"### {contest['name']}: {size_name(size)} in "
                  f"{contest['tensors']} tensors", "",
                  "| what | peer | ours, s | peer, s | ours, GB/s | "
                  "ours / peer, rate |", "|---|---|---|---|---|---|"]
        for what, peer, ours, theirs, ratio in rows(contest):
            lines.append(
                f"| {what} | {peer} | {spread_text(ours)} | "
                f"{spread_text(theirs)} | {size / ours.median / 1e9:.2f} | "
                f"{spread_text(ratio)} |")
        lines += ["", "| who | what | peak memory beyond the state, MiB |",
                  "|---|---|---|"]
        for who, verb, more in memory_rows(contest):
            lines.append(f"| {who} | {verb} | {spread_text(more, 0)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--size", type=parse_size, default=2 << 30)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--peers", nargs="+",
                        default=["torch", "safetensors", "fio"])
    parser.add_argument("--wait", type=float, default=5,
                        help="seconds before each: see settle()")
    parser.add_argument("--tiny", type=int, default=100_000,
                        help="how many tiny tensors")
    parser.add_argument("--bench", type=pathlib.Path,
                        default=ROOT / "build/release/bench/checkpoint_bench")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path)
    options = parser.parse_args()
    if options.report:
        print(tables(json.loads(options.report.read_text())), end="")
        return
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        document = run(options, pathlib.Path(folder))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(tables(document), end="")


if __name__ == "__main__":
    main()
