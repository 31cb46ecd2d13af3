# SPDX-License-Identifier: Apache-2.0
"""Compares Caisson with stock torch; ctest runs it with the paths of tools.

run.py read   --dump-tool PATH [--count N] [--seed N]
  torch.save writes, the dump tool reads: its text must be that of canonical.py
  for what torch.load returns. Also archives that Python's zipfile packed
  again, stored, deflated and turned to big-endian.
run.py legacy --dump-tool PATH [--count N] [--seed N]
  The same of files that torch.save writes in its format of before 1.6.
run.py write  --convert-tool "PATH convert" [--count N] [--seed N] [--identical]
  torch.save writes, Caisson converts .pt to .pt, torch.load reads, with and
  without mmap, and with torch's own check of calculated offsets. Also files
  turned to big-endian.
run.py verify --caisson PATH [--flips N] [--seed N]
  Caisson must name the record and the tensors of each flipped bit, and report
  what it could not check.

Exit status: 0 all agree, 1 a difference, 2 the comparison could not run.
"""

import argparse
import json
import os
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile

import torch

import canonical
import torch_states
from big_endian import big_twin

_BATCH = 64  # files per run of the dump tool
_SHOWN = 20  # failures printed in full


class Report:
    """Counts comparisons and prints those that fail."""

    def __init__(self):
        self.compared = 0
        self.failed = 0

    def check(self, name, problem):
        """`problem` is what went wrong with `name`, None if nothing did."""
        self.compared += 1
        if problem is None:
            return
        self.failed += 1
        if self.failed <= _SHOWN:
            print(f"FAILED {name}: {problem}")

    def status(self):
        print(f"{self.compared - self.failed} agree, {self.failed} differ")
        return 1 if self.failed or not self.compared else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    read = commands.add_parser("read")
    read.add_argument("--dump-tool", required=True)
    legacy = commands.add_parser("legacy")
    legacy.add_argument("--dump-tool", required=True)
    write = commands.add_parser("write")
    write.add_argument("--convert-tool", required=True)
    write.add_argument(
        "--identical",
        action="store_true",
        help="the converted file must have the bytes of the stock file",
    )
    verify = commands.add_parser("verify")
    verify.add_argument("--caisson", required=True)
    verify.add_argument("--flips", type=int, default=100)
    for command in (read, legacy, write):
        command.add_argument("--count", type=int, default=200)
    for command in (read, legacy, write, verify):
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--keep", help="a folder for the files; kept")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    run = {
        "read": run_read, "legacy": run_legacy, "write": run_write,
        "verify": run_verify,
    }  # fmt: skip
    if options.keep:
        folder = pathlib.Path(options.keep)
        folder.mkdir(parents=True, exist_ok=True)
        return run[options.command](options, folder)
    with tempfile.TemporaryDirectory(prefix="caisson_peers_") as folder:
        return run[options.command](options, pathlib.Path(folder))


def cases(count, seed):
    """Yields (name, state, weights_only)."""
    for name, state in torch_states.random_states(count, seed):
        yield name, state, True
    for name, state in torch_states.special_states():
        yield name, state, True
    for n in range(1, 7):
        yield f"golden_{n}", torch_states.golden(n), True
    yield "module", torch_states.module_state(), True
    yield "adamw", torch_states.adamw_state(), True
    for name, state in torch_states.full_pickle_states():
        yield name, state, False


def run_read(options, folder):
    report = Report()
    expected = {}
    for i, (name, state, weights_only) in enumerate(
        cases(options.count, options.seed)
    ):
        path = folder / f"{name}.pt"
        torch.save(state, path)
        text = canonical.dump(torch.load(path, weights_only=weights_only))
        expected[path] = text
        if packed_again(i, name):
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                again = folder / f"{name}_zip{method}.pt"
                repack(path, again, method)
                expected[again] = text
            big = folder / f"{name}_big.pt"
            big_twin(path, big)
            expected[big] = text
            turned = canonical.dump(torch.load(big, weights_only=weights_only))
            report.check(f"{big.name} by stock", first_difference(text, turned))
    texts = dump_all(shlex.split(options.dump_tool), list(expected))
    for path, text in expected.items():
        found, error = texts.get(path, (None, "no output"))
        report.check(path.name, error or first_difference(text, found))
    return report.status()


def run_legacy(options, folder):
    """The same of files as torch.save wrote them before 1.6."""
    report = Report()
    expected = {}
    for name, state, weights_only in cases(options.count, options.seed):
        path, twin = folder / f"{name}.pt", folder / f"{name}.zip.pt"
        torch.save(state, path, _use_new_zipfile_serialization=False)
        # Stock does not read its own legacy files of untyped storages.
        torch.save(state, twin)
        expected[path] = canonical.dump(
            torch.load(twin, weights_only=weights_only))
        twin.unlink()
    texts = dump_all(shlex.split(options.dump_tool), list(expected))
    for path, text in expected.items():
        found, error = texts.get(path, (None, "no output"))
        report.check(path.name, error or first_difference(text, found))
    return report.status()


def packed_again(i, name):
    """Whether case number `i` is also tried in archives of another make."""
    return i % 5 == 0 or not name[0].isdigit()


def repack(source, target, method):
    """The records of `source` in an archive of Python's making."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(
        target, "w", method
    ) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))


def dump_all(tool, paths):
    """{path: (text, error)}; a batch that fails is run again file by file."""
    texts = {}
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        done = execute(tool + [str(p) for p in batch])
        found = split_dump(done.stdout, batch)
        if done.returncode == 0 and len(found) == len(batch):
            texts.update((path, (text, None)) for path, text in found.items())
            continue
        for path in batch:
            done = execute(tool + [str(path)])
            text = split_dump(done.stdout, [path]).get(path)
            problem = None
            if done.returncode != 0 or text is None:
                problem = f"exit {done.returncode}: {tail(done.stderr)}"
            texts[path] = (text, problem)
    return texts


def split_dump(output, paths):
    """The text below each `== FILE`; one file may come without that line."""
    known = {str(path): path for path in paths}
    texts = {}
    current = paths[0] if len(paths) == 1 else None
    for line in output.decode("utf-8", "replace").splitlines(keepends=True):
        if line.startswith("== "):
            current = known.get(line[3:].rstrip("\n"))
            texts.setdefault(current, [])
        else:
            texts.setdefault(current, []).append(line)
    return {p: "".join(t) for p, t in texts.items() if p is not None}


def first_difference(expected, found):
    """The first line in which two texts differ, None if there is none."""
    if expected == found:
        return None
    left, right = expected.split("\n"), found.split("\n")
    for number in range(max(len(left), len(right))):
        a = left[number] if number < len(left) else "<end>"
        b = right[number] if number < len(right) else "<end>"
        if a != b:
            return f"line {number + 1}: expected {clip(a)}, found {clip(b)}"
    return "the texts differ"


def clip(line):
    return repr(line if len(line) <= 160 else line[:160] + "...")


def tail(output):
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return clip(lines[-1]) if lines else "no message"


def execute(command):
    try:
        return subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr)
        sys.exit(2)


def run_write(options, folder):
    # torch.load then compares each offset that it calculates from
    # .format_version with the one in the archive.
    os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"
    from torch.utils.serialization import config

    config.load.calculate_storage_offsets = True
    tool = shlex.split(options.convert_tool)
    report = Report()
    for i, (name, state, weights_only) in enumerate(
        cases(options.count, options.seed)
    ):
        source = folder / f"{name}.pt"
        target = folder / f"{name}.out.pt"
        big = folder / f"{name}_big.pt"
        torch.save(state, source)
        problem = converted_problem(
            tool, source, target, weights_only, options.identical
        )
        report.check(name, problem)
        if packed_again(i, name):
            big_twin(source, big)
            problem = converted_problem(
                tool, big, target, weights_only, identical=False
            )
            report.check(big.name, problem)
        for path in (source, target, big):
            if not options.keep:
                path.unlink(missing_ok=True)
    return report.status()


def converted_problem(tool, source, target, weights_only, identical):
    """What is wrong with `target` once `tool` made it of `source`, or None."""
    done = execute([*tool, str(source), str(target)])
    if done.returncode != 0:
        return f"exit {done.returncode}: {tail(done.stderr)}"
    return written_problem(source, target, weights_only, identical)


def written_problem(source, target, weights_only, identical):
    """What differs between two .pt files as stock reads them, or None."""
    expected = canonical.dump(torch.load(source, weights_only=weights_only))
    for mmap in (False, True):
        try:
            state = torch.load(target, weights_only=weights_only, mmap=mmap)
            found = canonical.dump(state)
        except Exception as error:  # whatever stock raises is a finding
            return f"mmap={mmap}: torch.load: {clip(str(error))}"
        difference = first_difference(expected, found)
        if difference:
            return f"mmap={mmap}: {difference}"
    with zipfile.ZipFile(target) as archive:
        bad = archive.testzip()
    if bad is not None:
        return f"zipfile.testzip: {bad}"
    if identical and source.read_bytes() != target.read_bytes():
        return byte_difference(source.read_bytes(), target.read_bytes())
    return None


def byte_difference(expected, found):
    shorter = min(len(expected), len(found))
    at = next((i for i in range(shorter) if expected[i] != found[i]), shorter)
    return (
        f"bytes differ at {at}: expected {expected[at : at + 16].hex()}, "
        f"found {found[at : at + 16].hex()}; "
        f"{len(expected)} and {len(found)} bytes"
    )


def verify_state(seed):
    """A state, and for each storage record the names that view it."""
    rng = random.Random(f"verify:{seed}")
    names = {}
    key = 0

    def storage(elems, dtype):
        return torch.tensor(
            [rng.randrange(256) for _ in range(elems)], dtype=dtype
        )

    def note(tensor_names):
        nonlocal key
        names[f"data/{key}"] = sorted(tensor_names)
        key += 1

    layers = []
    for i in range(40):
        dtype = rng.choice([torch.float32, torch.int64, torch.uint8])
        weight = storage(rng.choice([1, 10, 100, 1000]), dtype)
        layers.append({"weight": weight, "view": weight[len(weight) // 2 :]})
        note([f"layers.{i}.weight", f"layers.{i}.view"])
    bias = torch.nn.Parameter(storage(64, torch.float32))
    note(["head.bias", "tied.bias"])
    grid = storage(48, torch.float32).view(6, 8)
    note(["head.grid.0", "head.grid.1"])
    scale = storage(3, torch.uint16)
    note(["head.scale"])
    nothing = torch.empty(0)
    note(["nothing"])
    last = storage(5, torch.int16)
    note(["last"])
    state = {
        "layers": layers,
        "head": {"bias": bias, "grid": (grid, grid.t()), "scale": scale},
        "tied": {"bias": bias},
        "nothing": nothing,
        "last": last,
    }
    return state, names


def payloads(path):
    """{record: (header offset, data offset, data end, crc)} of an archive."""
    data = path.read_bytes()
    extents = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            at = info.header_offset
            name_bytes = int.from_bytes(data[at + 26 : at + 28], "little")
            extra_bytes = int.from_bytes(data[at + 28 : at + 30], "little")
            start = at + 30 + name_bytes + extra_bytes
            record = info.filename.partition("/")[2]
            extents[record] = (at, start, start + info.file_size, info.CRC)
    return extents


def verify_json(caisson, path):
    """(exit status, parsed answer, problem) of `caisson verify --json`."""
    done = execute([*shlex.split(caisson), "verify", "--json", str(path)])
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return done.returncode, None, f"not JSON: {tail(done.stderr)}"
    keys = {"ok", "checked", "unchecked", "damage"}
    if not isinstance(answer, dict) or not keys <= answer.keys():
        return done.returncode, None, f"keys missing: {clip(str(answer))}"
    return done.returncode, answer, None


def run_verify(options, folder):
    report = Report()
    state, names = verify_state(options.seed)
    path = folder / "verify.pt"
    torch.save(state, path)
    extents = payloads(path)
    report.check("sound file", sound_problem(options.caisson, path, extents))

    rng = random.Random(f"flips:{options.seed}")
    records = [r for r in names if extents[r][1] < extents[r][2]]
    sound = path.read_bytes()
    damaged = folder / "damaged.pt"
    for _ in range(options.flips):
        record = rng.choice(records)
        header, start, end, _ = extents[record]
        at = rng.randrange(start, end)
        data = bytearray(sound)
        data[at] ^= 1 << rng.randrange(8)
        damaged.write_bytes(data)
        problem = damage_problem(
            options.caisson, damaged, record, names[record], (header, end)
        )
        report.check(f"flip at {at} in {record}", problem)

    unchecked = folder / "unchecked.pt"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, unchecked)
    finally:
        torch.serialization.set_crc32_options(True)
    problem = sound_problem(options.caisson, unchecked, payloads(unchecked))
    report.check("file without CRCs", problem)

    # One record without a CRC among checked ones: zero the CRC of data/0 in
    # the descriptor and in the central directory.
    shutil.copy(path, unchecked)
    clear_crc(unchecked, "data/0")
    problem = sound_problem(options.caisson, unchecked, payloads(unchecked))
    report.check("file with one CRC missing", problem)
    return report.status()


def clear_crc(path, record):
    _, _, end, crc = payloads(path)[record]
    data = bytearray(path.read_bytes())
    assert data[end : end + 8] == b"PK\x07\x08" + crc.to_bytes(4, "little")
    data[end + 4 : end + 8] = bytes(4)
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    name = data.find(f"/{record}".encode(), directory)
    central = data.rfind(b"PK\x01\x02", 0, name)
    data[central + 16 : central + 20] = bytes(4)
    path.write_bytes(data)


def sound_problem(caisson, path, extents):
    """What is wrong with the answer for a file without damage, or None."""
    status, answer, problem = verify_json(caisson, path)
    if problem:
        return problem
    if status != 0 or answer["ok"] is not True or answer["damage"]:
        return f"exit {status}: {clip(json.dumps(answer))}"
    full = [e for e in extents.values() if e[1] < e[2]]
    unchecked = sum(1 for e in full if e[3] == 0)
    least, most = len(full) - unchecked, len(extents) - unchecked
    if answer["unchecked"] != unchecked:
        return f"unchecked: expected {unchecked}, found {answer['unchecked']}"
    if not least <= answer["checked"] <= most:
        return (
            f"checked: expected {least} to {most}, found {answer['checked']}"
        )
    return None


def damage_problem(caisson, path, record, names, extent):
    """What is wrong with the answer for one flipped bit, or None."""
    status, answer, problem = verify_json(caisson, path)
    if problem:
        return problem
    if status != 1 or answer["ok"] is not False or len(answer["damage"]) != 1:
        return f"exit {status}: {clip(json.dumps(answer))}"
    damage = answer["damage"][0]
    if damage.get("file") != str(path):
        return f"file: expected {path}, found {damage.get('file')}"
    if damage.get("record") != record:
        return f"record: expected {record}, found {damage.get('record')}"
    if sorted(damage.get("tensors", [])) != names:
        return f"tensors: expected {names}, found {damage.get('tensors')}"
    if not extent[0] <= damage.get("offset", -1) < extent[1]:
        return f"offset: expected in {extent}, found {damage.get('offset')}"
    if not damage.get("problem"):
        return "problem: expected a text"
    return None


if __name__ == "__main__":
    sys.exit(main())
