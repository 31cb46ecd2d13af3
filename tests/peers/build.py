# SPDX-License-Identifier: Apache-2.0
"""Compares files that Caisson builds from nothing with those of stock torch.

build.py --build-tool PATH --convert-tool "PATH convert"
  The states of built_states.py, by Writer and by torch.save: the same bytes at
  every alignment, with and without CRCs, under every kind of file name; loaded
  by stock with and without mmap. 1000 views share 10 storages. Records by
  PyTorchStreamWriter and by torch._C.PyTorchFileWriter. Records that are holes
  at first and filled in the file later.

Exit status: 0 all agree, 1 a difference, 2 the comparison could not run.
"""

import argparse
import os
import pathlib
import shlex
import sys
import tempfile
import warnings
import zipfile

import torch
from torch.utils.serialization import config

import built_states
import canonical
import run
import zip_layout

_ALIGNMENTS = (1, 8, 64, 256, 4096, 32768)
_NAMES = (
    "a/b/model.v1.pt", "x.tar.gz", "noext", "a b.bin", "m\u00fc.pt",
    "\u4e2d/weights.pt", "a.b.c", "trailing.", "UPPER.PT",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-tool", required=True)
    parser.add_argument("--convert-tool", required=True)
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
        for check in (check_states, check_names, check_records, check_holes):
            check(tool, folder, report)
        convert = shlex.split(options.convert_tool)
        check_many_views(tool, convert, folder, report)
    return report.status()


def build(tool, *arguments):
    done = run.execute([*tool, *map(str, arguments)])
    if done.returncode != 0:
        return f"exit {done.returncode}: {run.tail(done.stderr)}"
    return None


def pair(folder, name):
    """The paths of ours and of stock's file, which have one name."""
    ours, stock = folder / "ours" / name, folder / "stock" / name
    for path in (ours, stock):
        path.parent.mkdir(parents=True, exist_ok=True)
    return ours, stock


class Saving:
    """Stock writes with that alignment, with or without CRCs."""

    def __init__(self, alignment, crc):
        self._wanted = (alignment, crc)

    def __enter__(self):
        self._exchange()

    def __exit__(self, *args):
        self._exchange()

    def _exchange(self):
        old = (config.save.storage_alignment, config.save.compute_crc32)
        config.save.storage_alignment, config.save.compute_crc32 = self._wanted
        self._wanted = old


def same_bytes(ours, stock):
    found, expected = ours.read_bytes(), stock.read_bytes()
    return None if found == expected else run.byte_difference(expected, found)


def load_problem(ours, state):
    """What stock makes of our file, against what it was built from."""
    expected = canonical.dump(state)
    for mmap in (False, True):
        try:
            loaded = torch.load(ours, weights_only=True, mmap=mmap)
        except Exception as error:  # whatever stock raises is a finding
            return f"mmap={mmap}: torch.load: {run.clip(str(error))}"
        problem = run.first_difference(expected, canonical.dump(loaded))
        if problem:
            return f"mmap={mmap}: {problem}"
    return None


def check_states(tool, folder, report):
    for name in built_states.NAMES:
        state = built_states.built(name)
        for alignment in _ALIGNMENTS:
            for crc in (True, False):
                options = ["--alignment", alignment]
                options += [] if crc else ["--no-crc"]
                ours, stock = pair(folder, f"{name}.{alignment}.{crc}.pt")
                with Saving(alignment, crc):
                    torch.save(state, stock)
                problem = (
                    build(tool, "state", name, ours, *options)
                    or same_bytes(ours, stock)
                    or zip_layout.layout_problem(ours, alignment, crc)
                    or load_problem(ours, state)
                )
                if problem is None and crc:
                    with zipfile.ZipFile(ours) as archive:
                        problem = archive.testzip()
                report.check(f"{name} at {alignment}, crc {crc}", problem)


def check_names(tool, folder, report):
    state = built_states.built("bits")
    for name in _NAMES:
        ours, stock = pair(folder, name)
        torch.save(state, stock)
        problem = (
            build(tool, "state", "bits", ours)
            or same_bytes(ours, stock)
            or load_problem(ours, state)
        )
        report.check(f"file name {name}", problem)
    for name in (".hidden", "a/.pt"):
        ours, stock = pair(folder, name)
        try:
            torch.save(state, stock)
            problem = "stock took it"
        except RuntimeError:
            problem = None if build(tool, "state", "bits", ours) else "no error"
        if ours.exists() or list(ours.parent.glob(".*")):
            problem = "a file is left"
        report.check(f"file name {name}", problem)


def stock_records(path, alignment, crc):
    """What state_build.cc writes in WriteRecords."""
    writer = torch._C.PyTorchFileWriter(str(path), crc, alignment)
    for name, content in (
        ("a", b"hello"),
        ("empty", b""),
        ("dir/c", b"x" * 1000),
        (".data/serialization_id", b"mine"),
        ("quirk", b"PK\x07\x08 and more"),
        ("data/../../x", b"a key, no path"),
        ("back\\slash", b"y" * 70),
    ):
        writer.write_record(name, content, len(content))
    writer.write_record_metadata("hole", 100)
    writer.write_end_of_file()


def check_records(tool, folder, report):
    for alignment in _ALIGNMENTS:
        for crc in (True, False):
            ours, stock = pair(folder, f"records.{alignment}.{crc}.pt")
            stock_records(stock, alignment, crc)
            options = ["--alignment", alignment, *([] if crc else ["--no-crc"])]
            problem = (
                build(tool, "records", ours, *options)
                or same_bytes(ours, stock)
                or zip_layout.layout_problem(ours, alignment, crc)
                or stock_reads_records(ours, alignment)
            )
            report.check(f"records at {alignment}, crc {crc}", problem)


def stock_reads_records(path, alignment):
    reader = torch._C.PyTorchFileReader(str(path))
    expected = {"a": b"hello", "empty": b"", "hole": bytes(100)}
    expected["data/../../x"] = b"a key, no path"
    for name, content in expected.items():
        found = reader.get_record(name)
        if found != content:
            return f"{name}: expected {content}, found {found}"
    for name in reader.get_all_records():
        offset = reader.get_record_offset(name)
        if offset % alignment:
            return f"{name}: data at {offset}"
    return None


def check_holes(tool, folder, report):
    """Room for the storages first, their bytes later, in the same file."""
    for name in ("dtypes", "views", "training"):
        state = built_states.built(name)
        ours, stock = pair(folder, f"{name}.holes.pt")
        with torch.serialization.skip_data():
            torch.save(state, stock)
        torch.save(state, folder / "filled.pt")
        problem = (
            build(tool, "holes", name, ours)
            or same_bytes(ours, stock)
            or zip_layout.layout_problem(ours)
            or zeros_problem(ours)
        )
        report.check(f"{name} with holes", problem)
        if problem is None:
            fill(ours, folder / "filled.pt")
            problem = zip_layout.layout_problem(ours)
            report.check(f"{name} filled", problem or load_problem(ours, state))


def fill(path, source):
    """Puts the payloads of `source` into the holes of `path`."""
    holes, places = zip_layout.places_of(path), zip_layout.places_of(source)
    content = source.read_bytes()
    with open(path, "r+b") as file:
        for name, hole in holes.items():
            if name.startswith("data/"):
                file.seek(hole.data)
                file.write(content[places[name].data : places[name].end])


def zeros_problem(path):
    for mmap in (False, True):
        state = torch.load(path, weights_only=True, mmap=mmap)
        for storage in storages(state):
            if any(canonical.storage_bytes(storage)):
                return f"mmap={mmap}: not zero"
    return None


def storages(node):
    """Every storage of the tensors in dicts and lists."""
    if isinstance(node, torch.Tensor):
        return [node.untyped_storage()]
    if isinstance(node, dict):
        node = list(node.values())
    found = []
    if isinstance(node, (list, tuple)):
        for item in node:
            found += storages(item)
    return found


def check_many_views(tool, convert, folder, report):
    saved = folder / "many_views.saved.pt"
    torch.save(built_states.built("many_views"), saved)
    built, converted = folder / "many_views.pt", folder / "converted.pt"
    problem = build(tool, "state", "many_views", built)
    report.check("1000 views, built", problem or sharing_problem(built))
    problem = build(convert, saved, converted)
    report.check("1000 views, converted", problem or sharing_problem(converted))


def sharing_problem(path):
    """Whether stock sees view i on storage i mod 10, and ten records."""
    records = [n for n in zip_layout.places_of(path) if n.startswith("data/")]
    if records != [f"data/{i}" for i in range(10)]:
        return f"records {records}"
    for mmap in (False, True):
        state = torch.load(path, weights_only=True, mmap=mmap)
        starts = [state[f"view{i}"].untyped_storage() for i in range(10)]
        starts = [storage.data_ptr() for storage in starts]
        if len(set(starts)) != 10:
            return f"mmap={mmap}: {len(set(starts))} storages"
        for i in range(1000):
            view = state[f"view{i}"]
            if view.untyped_storage().data_ptr() != starts[i % 10]:
                return f"mmap={mmap}: view{i} is on another storage"
            if view.data_ptr() != starts[i % 10] + i // 10 * 4:
                return f"mmap={mmap}: view{i} starts elsewhere"
    return None


if __name__ == "__main__":
    sys.exit(main())
