# SPDX-License-Identifier: Apache-2.0
"""Compares packed files with stock torch, zipfile and the files they are of.

compressed.py --caisson PATH [--count N] [--seed N]
  Files of stock torch.save, small random ones and large ones, go through
  `convert --compress deflate`, `--compress auto` and `pack`, and back.
  * unpacking gives the source byte for byte, and so does a packed file that is
    packed again with another codec first;
  * torch.load(weights_only=True, mmap=False) reads a deflated file as the
    source; zipfile's testzip passes on every file;
  * where a storage has gone through the plane codec, torch.load stops with an
    error, with mmap and without;
  * verify passes, and fails for a file with a flipped bit in a storage.

Exit status: 0 if all of it holds, else 1.
"""

import argparse
import pathlib
import random
import shlex
import sys
import tempfile
import warnings
import zipfile

import torch

import canonical
import torch_states
from run import execute, tail


def large_states():
    """Yields (name, state) with storages of several chunks."""
    torch.manual_seed(3)
    weight = torch.randn(700, 800) * 0.02
    yield "dtypes", {
        "bf16": weight.to(torch.bfloat16),
        "fp16": weight.to(torch.float16),
        "fp32": weight,
        "fp64": weight[:100].double(),
        "fp8": weight.to(torch.float8_e4m3fn),
        "ints": torch.arange(100000),
        "noise": torch.randint(0, 256, (300000,), dtype=torch.uint8),
        "bools": weight > 0,
        "zeros": torch.zeros(300000),
        "complex": torch.complex(weight[:50], weight[50:100]),
        "step": 3,
        "shared": [weight[3:], weight.t()],
    }
    model = torch.nn.Sequential(torch.nn.Linear(300, 400),
                                torch.nn.Linear(400, 300))
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 300)).square().mean().backward()
        optimizer.step()
    yield "training", {"model": model.state_dict(),
                       "optimizer": optimizer.state_dict()}
    yield "many", [torch.randn(5000).to(torch.bfloat16) for _ in range(40)]
    yield "one byte short of a chunk", torch.randint(
        0, 3, ((256 << 10) - 1,), dtype=torch.uint8)
    yield "one chunk", torch.randint(0, 3, (256 << 10,), dtype=torch.uint8)
    yield "one byte more", torch.randint(
        0, 3, ((256 << 10) + 1,), dtype=torch.uint8)


class Check:
    def __init__(self, tool, folder, rng):
        self._tool = shlex.split(tool)
        self._folder = folder
        self._rng = rng
        self.problems = []
        self.seen = {"plane": 0, "deflate": 0, "none": 0}
        for name in ("source", "packed", "again", "back"):
            (folder / name).mkdir()

    def path(self, name):
        # One stem for all: torch.save names the archive's folder after it.
        return self._folder / name / "state.pt"

    def run(self, *arguments, status=0):
        done = execute([*self._tool, *map(str, arguments)])
        if done.returncode != status:
            self.note(f"{' '.join(map(str, arguments))}: {tail(done.stderr)}")
        return done

    def note(self, problem):
        self.problems.append(f"{self.name}: {problem}")

    def file(self, name, data, load):
        """Checks the file that holds `data`; `load` if weights_only takes it."""
        self.name = name
        source = self.path("source")
        source.write_bytes(data)
        # What stock makes of it, where it makes anything of it.
        wanted = None
        if load:
            wanted = canonical.dump(torch.load(source, weights_only=True))
        for mode in ("deflate", "plane", "auto"):
            packed = self.path("packed")
            if mode == "plane":
                self.run("pack", source, packed)
            else:
                self.run("convert", source, packed, "--compress", mode)
            self.packed(packed, mode, wanted)
            self.back(packed, data, mode)
            again = self.path("again")
            other = "plane" if mode == "deflate" else "deflate"
            self.run("convert", packed, again, "--compress", other)
            self.back(again, data, f"{mode}, then {other}")

    def back(self, packed, data, how):
        self.run("unpack", packed, self.path("back"))
        if self.path("back").read_bytes() != data:
            self.note(f"{how}: unpacking does not give the source")

    def packed(self, path, mode, wanted):
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
            names = archive.namelist()
            deflated = [info for info in archive.infolist()
                        if info.compress_type == zipfile.ZIP_DEFLATED]
        if bad is not None:
            self.note(f"{mode}: testzip says {bad}")
        planes = [name for name in names if "/plane/" in name]
        self.seen["plane"] += len(planes)
        self.seen["deflate"] += len(deflated)
        if not planes and not deflated:
            self.seen["none"] += 1
        for name in names:
            own = name.split("/", 1)[1]
            if own in (".format_version", ".storage_alignment") and (
                planes or deflated
            ):
                self.note(f"{mode}: has a record {own}")
        self.run("verify", path)
        self.loads(path, mode, wanted, planes)
        if planes or deflated:
            self.flipped(path, mode)

    def loads(self, path, mode, wanted, planes):
        if planes:
            for mmap in (False, True):
                try:
                    torch.load(path, weights_only=True, mmap=mmap)
                except Exception:  # whatever stock says
                    continue
                self.note(f"{mode}: torch.load(mmap={mmap}) reads planes")
        elif wanted is not None:
            loaded = torch.load(path, weights_only=True, mmap=False)
            if canonical.dump(loaded) != wanted:
                self.note(f"{mode}: torch.load gives another state")

    def flipped(self, path, mode):
        """A bit of a storage's record."""
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist()
                     if "/plane/" in info.filename
                     or "/data/" in info.filename]
        info = self._rng.choice([i for i in infos if i.compress_size > 0])
        at = info.header_offset
        name = int.from_bytes(data[at + 26:at + 28], "little")
        extra = int.from_bytes(data[at + 28:at + 30], "little")
        at += 30 + name + extra + self._rng.randrange(info.compress_size)
        data[at] ^= 1 << self._rng.randrange(8)
        bad = self.path("again")
        bad.write_bytes(data)
        self.run("verify", bad, status=1)


def corpus(count, seed):
    """Yields (name, bytes, whether weights_only=True loads it)."""
    with tempfile.TemporaryDirectory(prefix="caisson_corpus_") as folder:
        path = pathlib.Path(folder) / "state.pt"
        for name, state in (*large_states(),
                            *torch_states.random_states(count, seed),
                            *torch_states.special_states()):
            torch.save(state, path)
            loads = True
            try:
                torch.load(path, weights_only=True)
            except Exception:  # not a state that this test is about
                loads = False
            yield name, path.read_bytes(), loads
    data = pathlib.Path(__file__).parent.parent / "data"
    for path in sorted((*data.glob("*.pt"), *data.glob("golden/g*_torch_*.pt"))):
        yield path.name, path.read_bytes(), False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--caisson", required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    files = 0
    with tempfile.TemporaryDirectory(prefix="caisson_packed_") as folder:
        check = Check(options.caisson, pathlib.Path(folder),
                      random.Random(options.seed))
        for name, data, loads in corpus(options.count, options.seed):
            check.file(name, data, loads)
            files += 1
    for problem in check.problems:
        print(problem)
    print(f"{files} files, each in 3 codecs: records with planes "
          f"{check.seen['plane']}, deflated {check.seen['deflate']}; "
          f"{check.seen['none']} files with nothing to compress; "
          f"{len(check.problems)} problems")
    some = check.seen["plane"] > 0 and check.seen["deflate"] > 0
    return 0 if some and not check.problems else 1


if __name__ == "__main__":
    sys.exit(main())
