# SPDX-License-Identifier: Apache-2.0
"""Compares files of more than 4 GiB with those of stock torch.

big.py --build-tool PATH
  A state with a storage of 4 GiB + 7 bytes and storages beyond it. Ours and
  what torch.save writes must be the same bytes; stock and Python's zipfile
  must read ours. The same for records whose sizes and header offsets lie
  around the value from which they need zip64 fields. Nearly all of these files
  is a hole, and nearly all memory is a page of zeros, so that they cost neither
  disk nor memory; where files have no holes the comparison cannot run.

Exit status: 0 all agree, 1 a difference, 2 the comparison could not run.
"""

import argparse
import errno
import os
import pathlib
import shlex
import sys
import tempfile
import warnings
import zipfile

import torch
from torch.utils.serialization import config

import build
import built_states
import run
import zip_layout

_BLOCK = 1 << 20
_ZEROS = bytes(_BLOCK)
_GiB = 1 << 30
_AROUND = (0xFFFFFFFE, 0xFFFFFFFF, 0x100000000)
_DISK = 64 << 20  # more than the stored blocks of any file here


class HoleFile:
    """A file to write to that leaves a hole for each block of zeros."""

    def __init__(self, path):
        self._file = open(path, "wb")
        self._at = 0

    def write(self, content):
        content = memoryview(content).cast("B")
        for start in range(0, len(content), _BLOCK):
            block = bytes(content[start : start + _BLOCK])
            if block != _ZEROS[: len(block)]:
                self._file.seek(self._at)
                self._file.write(block)
            self._at += len(block)
        return len(content)

    def flush(self):
        self._file.truncate(self._at)
        self._file.flush()

    def close(self):
        self.flush()
        self._file.close()


def extents(file, size):
    """Yields [start, end) of what is not a hole."""
    at = 0
    while at < size:
        try:
            start = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole follows
                return
            raise
        at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        yield start, at


def same_bytes(left, right):
    """The first difference of two files, None if there is none."""
    size = left.stat().st_size
    if right.stat().st_size != size:
        return f"{size} and {right.stat().st_size} bytes"
    with open(left, "rb") as a, open(right, "rb") as b:
        for start, end in [*extents(a, size), *extents(b, size)]:
            for at in range(start, end, _BLOCK):
                a.seek(at)
                b.seek(at)
                count = min(_BLOCK, end - at)
                found, expected = a.read(count), b.read(count)
                if found != expected:
                    problem = run.byte_difference(expected, found)
                    return f"in the block at {at}: {problem}"
    return None


def is_sparse(path):
    return path.stat().st_blocks * 512 < _DISK < path.stat().st_size


def state_problem(state, tail=b"tail!", first=0xAB):
    """What is wrong with a state that stock loaded."""
    huge, ends = state["huge"], state["ends"]
    if huge.shape != (built_states.HUGE_BYTES,):
        return f"huge: {huge.shape}"
    if huge[0] != first or bytes(huge[-5:].tolist()) != tail:
        return f"huge: ends {huge[0]} and {huge[-5:].tolist()}"
    if huge[1 : 2**20].any() or huge[2**32 - 2**20 : 2**32].any():
        return "huge: not zero in its middle"
    if ends.untyped_storage().data_ptr() != huge.data_ptr():
        return "ends: a storage of its own"
    if ends.stride() != (2**32 + 5, 1) or ends[1, 1] != tail[-1]:
        return f"ends: {ends.stride()}, {ends}"
    if state["empty"].shape != (0,):
        return f"empty: {state['empty'].shape}"
    return None


def others_problem(state):
    """The storages beside the huge one."""
    for name, (dtype, shape, first) in {
        "before": (torch.uint8, (100,), 1),
        "after": (torch.float32, (1000,), 2),
        "last": (torch.int16, (3,), 4),
    }.items():
        expected = built_states.pattern(dtype, shape, first)
        if not torch.equal(
            state[name].view(torch.uint8), expected.view(torch.uint8)
        ):
            return f"{name}: {state[name]}"
    return None


def load_problem(path, mmap):
    state = torch.load(path, weights_only=True, mmap=mmap)
    return state_problem(state) or others_problem(state)


def zipfile_problem(path):
    """What Python's zipfile finds, above 4 GiB as below."""
    with zipfile.ZipFile(path) as archive:
        huge = archive.getinfo("archive/data/1")
        after = archive.getinfo("archive/data/2")
        if huge.file_size != built_states.HUGE_BYTES or len(huge.extra) != 20:
            return f"data/1: {huge.file_size} bytes, extra {huge.extra.hex()}"
        if after.header_offset < 2**32 or len(after.extra) != 12:
            return f"data/2: {after.header_offset}, extra {after.extra.hex()}"
        bad = archive.testzip()
    return bad and f"testzip: {bad}"


def check_whole(tool, folder, report):
    ours, stock = folder / "ours.pt", folder / "stock.pt"
    report.check("4 GiB, built", build.build(tool, "sparse", "huge", ours))
    report.check("4 GiB, layout", zip_layout.layout_problem(ours))
    for mmap in (True, False):
        if not mmap and memory_available() < 8 * _GiB:
            print("not loaded without mmap: less than 8 GiB are free")
            continue
        problem = load_problem(ours, mmap)
        report.check(f"4 GiB, torch.load with mmap={mmap}", problem)
    report.check("4 GiB, zipfile", zipfile_problem(ours))
    sink = HoleFile(stock)
    torch.save(built_states.built("huge"), sink)
    sink.close()
    for path in (ours, stock):
        report.check(
            f"{path.name}, on disk", None if is_sparse(path) else "no holes"
        )
    report.check("4 GiB, bytes of torch.save", same_bytes(ours, stock))


def check_holes(tool, folder, report):
    ours, stock = build.pair(folder, "huge.pt")
    state = built_states.built("huge")
    with torch.serialization.skip_data():
        torch.save(state, stock)
    report.check("holes, built", build.build(tool, "holes", "huge", ours))
    report.check("holes, layout", zip_layout.layout_problem(ours))
    report.check("holes, bytes of torch.save", same_bytes(ours, stock))
    loaded = torch.load(ours, weights_only=True, mmap=True)
    problem = state_problem(loaded, tail=bytes(5), first=0)
    report.check("holes, before they are filled", problem)
    del loaded
    places = zip_layout.places_of(ours)
    with open(ours, "r+b") as file:
        names = ("before", "huge", "after", "empty", "last")
        for i, name in enumerate(names):
            place = places[f"data/{i}"]
            flat = state[name].reshape(-1).view(torch.uint8)
            # Of the huge one its two ends, as all else is zero.
            for start in {0, max(0, len(flat) - 4096)}:
                file.seek(place.data + start)
                file.write(bytes(flat[start : start + 4096].tolist()))
    report.check("holes, layout once filled", zip_layout.layout_problem(ours))
    report.check("holes, once filled", load_problem(ours, True))
    sparse = None if is_sparse(ours) else "no holes"
    report.check("holes, on disk", sparse)


def check_beyond(tool, folder, report):
    """Sizes and header offsets around the value that needs zip64."""
    sizes = [(size, 1) for size in _AROUND] + [(size, 64) for size in _AROUND]
    # 30 of the header, the name, 4 of the padding, 16 of the descriptor: then
    # the second header lies exactly there.
    sizes += [(at - 30 - len("f/fill") - 4 - 16, 1) for at in _AROUND]
    ours, stock = build.pair(folder, "f.pt")
    for size, alignment in sizes:
        writer = torch._C.PyTorchFileWriter(str(stock), True, alignment)
        writer.write_record_metadata("fill", size)
        writer.write_record("two", b"ab", 2)
        writer.write_record("none", b"", 0)
        writer.write_record_metadata("both", 0xFFFFFFFF)
        writer.write_record("end", b"ab", 2)
        writer.write_end_of_file()
        problem = (
            build.build(tool, "beyond", size, ours, "--alignment", alignment)
            or zip_layout.layout_problem(ours, alignment)
            or same_bytes(ours, stock)
            or beyond_problem(ours, size)
        )
        report.check(f"a record of {size} bytes at {alignment}", problem)


def beyond_problem(path, size):
    """What stock and zipfile read of such a file."""
    reader = torch._C.PyTorchFileReader(str(path))
    places = zip_layout.places_of(path)
    for name in ("fill", "two", "none", "both", "end"):
        if reader.get_record_offset(name) != places[name].data:
            return f"{name}: stock finds it elsewhere"
    if reader.get_record("two") != b"ab" or reader.get_record("end") != b"ab":
        return "stock reads other bytes"
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("f/fill").file_size != size:
            return f"fill: {archive.getinfo('f/fill')}"
        if archive.read("f/two") != b"ab" or archive.read("f/end") != b"ab":
            return "zipfile reads other bytes"
    return None


def memory_available():
    """Bytes, as far as the machine and our control group tell."""
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    free = int(dict(pairs)["MemAvailable"].split()[0]) * 1024
    limit = pathlib.Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and limit.read_text().strip().isdigit():
        free = min(free, int(limit.read_text()))
    return free


def has_holes(folder):
    probe = folder / "probe"
    with open(probe, "wb") as file:
        file.truncate(2 * _DISK)
    holes = is_sparse(probe)
    probe.unlink()
    return holes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-tool", required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    # torch.load then compares each offset that it calculates from
    # .format_version with the one in the archive.
    os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"
    config.load.calculate_storage_offsets = True
    tool = shlex.split(options.build_tool)
    report = run.Report()
    with tempfile.TemporaryDirectory(prefix="caisson_peers_") as name:
        folder = pathlib.Path(name)
        if not has_holes(folder):
            print(f"{folder}: the file system has no holes", file=sys.stderr)
            return 2
        check_whole(tool, folder, report)
        check_holes(tool, folder, report)
        check_beyond(tool, folder, report)
    return report.status()


if __name__ == "__main__":
    sys.exit(main())
