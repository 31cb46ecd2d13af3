# SPDX-License-Identifier: Apache-2.0
"""Compares `caisson` with the safetensors library.

safetensors_peer.py states  --caisson "PATH" [--count N] [--seed N]
  Random states over every dtype that both have. The library loads what
  `convert` writes of a torch.save file; `convert` of the library's file without
  checksums is that file, byte for byte, and torch loads what it becomes.
safetensors_peer.py headers --caisson "PATH"
  Files that are malformed, each in its own way: both must give one error.

Exit status: as run.py.
"""

import argparse
import itertools
import pathlib
import random
import shlex
import struct
import subprocess
import sys
import tempfile

import safetensors
import safetensors.torch
import torch

from run import Report, byte_difference

_DTYPES = [
    getattr(torch, name)
    for name in """bool uint8 int8 int16 int32 int64 uint16 uint32 uint64
        float16 bfloat16 float32 float64 complex64 float8_e4m3fn float8_e5m2
        float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz""".split()
    if hasattr(torch, name)
]

# How the library spells its errors, and what they are called in its source.
_ERRORS = (
    ("header too small", "HeaderTooSmall"),
    ("header too large", "HeaderTooLarge"),
    ("invalid header length", "InvalidHeaderLength"),
    ("invalid UTF-8 in header", "InvalidHeader"),
    ("invalid JSON in header", "InvalidHeaderDeserialization"),
    ("invalid offset for tensor", "InvalidOffset"),
    ("overflow computing buffer size", "ValidationOverflow"),
    ("The slice is slicing for subbytes", "MisalignedSlice"),
    ("invalid shape, data type, or offset", "TensorInvalidInfo"),
    ("incomplete metadata", "MetadataIncompleteBuffer"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("states", "headers"))
    parser.add_argument("--caisson", required=True)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="caisson_safetensors_") as folder:
        run = {"states": run_states, "headers": run_headers}[options.command]
        return run(options, pathlib.Path(folder))


def caisson(options, *args):
    return subprocess.run(
        [*shlex.split(options.caisson), *map(str, args)],
        capture_output=True, text=True,
    )


def convert(options, *args):
    done = caisson(options, "convert", *args)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def random_state(rng):
    state = {}
    for i in range(rng.randrange(0, 12)):
        name = rng.choice(["w", "a.b", "\u00fc", 'q"', "x\ty", ""]) + str(i)
        shape = [rng.choice([0, 1, 2, 3, 7]) for _ in range(rng.randrange(4))]
        dtype = rng.choice(_DTYPES)
        count = torch.Size(shape).numel()
        raw = bytes(
            rng.randrange(2 if dtype == torch.bool else 256)
            for _ in range(count * dtype.itemsize)
        )
        flat = torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else (
            torch.empty(0, dtype=torch.uint8))
        state[name] = flat.view(dtype).reshape(shape)
    return state


def state_difference(expected, found):
    if set(expected) != set(found):
        return f"names {sorted(expected)}, found {sorted(found)}"
    for name, a in expected.items():
        b = found[name]
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{name!r}: {a.dtype} {a.shape}, found {b.dtype} {b.shape}"
        if a.contiguous().view(-1).view(torch.uint8).tolist() != (
                b.contiguous().view(-1).view(torch.uint8).tolist()):
            return f"{name!r}: other bytes"
    return None


def run_states(options, folder):
    report = Report()
    pt, ours = folder / "m.pt", folder / "m.safetensors"
    theirs, again = folder / "t.safetensors", folder / "u.safetensors"
    for i in range(options.count):
        state = random_state(random.Random(options.seed + i))
        torch.save(state, pt)
        metadata = {"format": "pt"} if i % 2 else None
        safetensors.torch.save_file(state, theirs, metadata=metadata)

        convert(options, pt, ours)
        loaded = safetensors.torch.load_file(ours)
        report.check(f"{i} load", state_difference(state, loaded))
        convert(options, theirs, again, "--no-checksums")
        expected, found = theirs.read_bytes(), again.read_bytes()
        same = expected == found
        report.check(f"{i} same bytes",
                     None if same else byte_difference(expected, found))
        convert(options, theirs, pt)
        report.check(f"{i} to pt", state_difference(state, torch.load(pt)))
        verified = caisson(options, "verify", ours)
        report.check(f"{i} verify", verified.stderr or None)
    return report.status()


def file_of(header, data=b"abcd", length=None):
    if isinstance(header, str):
        header = header.encode()
    size = len(header) if length is None else length
    return struct.pack("<Q", size) + header + data


def one(dtype='"F32"', shape="[1]", offsets="[0,4]", more=""):
    return (f'{{"a":{{"dtype":{dtype},"shape":{shape},'
            f'"data_offsets":{offsets}{more}}}}}')


def two(second):
    return ('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},'
            f'"b":{{"dtype":"U8","shape":[2],"data_offsets":{second}}}}}')


def malformed():
    yield from (b"", b"\0" * 7, b"\0" * 8)
    yield struct.pack("<Q", 10**8 + 1) + b"{}" * 8
    yield struct.pack("<Q", 2**64 - 1) + b"{}"
    yield file_of("{}", b"", length=3)
    yield file_of("{}", b"", length=10**8)
    for text in (b"{\xff}", b'{"\xed\xa0\x80":1}', b"\xc0\x80", b"{}\x80"):
        yield file_of(text)
    for text in (
        "", " ", "{", "{}}", "{} x", "[]", "null", "1", '"a"', "{}\0", "\0{}",
        "\ufeff{}", "// c\n{}", "{/**/}", "{'a':1}", "{a:1}", '{"a":1}',
        '{"a":null}', '{"a":{}}', '{"a":"F32"}', '{"__metadata__":1}',
        '{"__metadata__":{"k":1}}', '{"__metadata__":{"k":null}}',
        '{"__metadata__":{},"__metadata__":{}}', '{"a":{"dtype":"F32"',
        '{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        '{"\x01":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        one() + ",", one('"f32"'), one('"F31"'), one("32"), one("null"),
        one(shape="1"), one(shape="null"), one(shape="[1.0]"),
        one(shape="[1e0]"), one(shape="[-1]"), one(shape="[-0]"),
        one(shape='["1"]'), one(shape="[[1]]"), one(shape="[01]"),
        one(shape="[1,]"), one(shape="[18446744073709551616]"),
        one(shape="[true]"), one(shape="[NaN]"), one(offsets="[0]"),
        one(offsets="[]"), one(offsets="[0,4,8]"), one(offsets="[0,-4]"),
        one(offsets="[0,4.0]"), one(more=',"dtype":"F32"'),
        one(more=',"shape":[1]'), one(more=',"x":nul'), one(more=',"x":1e999'),
        one(more=',"x":' + "[" * 126 + "]" * 126), one(more=","),
        '{"a":{"shape":[1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1]}}',
        # What only the layout shows.
        "{}", one(offsets="[1,5]"), one(offsets="[4,0]"), one(shape="[2]"),
        one(shape="[0]"), one('"F64"'), one('"U8"', "[4294967296,4294967296]"),
        one('"U8"', "[18446744073709551615]"), one('"F4"', "[3]"),
        one('"F6_E3M2"', "[]", "[0,1]"), two("[0,2]"), two("[1,3]"),
        two("[3,5]"), two("[2,1]"), two("[2,3]"),
    ):  # fmt: skip
        yield file_of(text)
    for data in (b"", b"abc", b"abcde"):
        yield file_of(one(), data)


def their_error(data):
    try:
        safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        for text, name in _ERRORS:
            if text in str(error):
                return name
        return f"unknown: {error}"
    return "none"


def run_headers(options, folder):
    report = Report()
    path = folder / "m.safetensors"
    for i, data in enumerate(malformed()):
        path.write_bytes(data)
        theirs = their_error(data)
        ours = caisson(options, "ls", path).stderr
        problem = None
        if f": {theirs}: " not in ours:
            problem = f"{data[8:80]!r}: theirs {theirs}, ours {ours or 'none'}"
        report.check(f"header {i}", problem)
    # Every cut of a file that is sound.
    sound = safetensors.torch.save({"a": torch.arange(6.0)})
    for cut in itertools.chain(range(len(sound)), [len(sound) + 1]):
        data = (sound + b"x")[:cut]
        path.write_bytes(data)
        ours = caisson(options, "ls", path).stderr
        theirs = their_error(data)
        report.check(
            f"cut {cut}",
            None if f": {theirs}: " in ours else f"{theirs}, ours {ours}")
    return report.status()


if __name__ == "__main__":
    sys.exit(main())
