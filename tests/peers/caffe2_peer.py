# SPDX-License-Identifier: Apache-2.0
"""Compares `caisson` with torch and with protobuf's own compiler.

caffe2_peer.py states --caisson "PATH" [--count N] [--seed N]
  Random states go from torch.save through safetensors and each of Caffe2's
  databases back to torch: bit for bit, but for what is named as lost.
caffe2_peer.py protoc --caisson "PATH" --protoc PATH --proto FILE
  `protoc --decode` reads what we write: of a protodb it gives our text form,
  character for character, and what it encodes of that is the same bytes.

Exit status: as run.py.
"""

import argparse
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import torch

from run import Report, byte_difference
from safetensors_peer import caisson, convert, state_difference

_CARRIED = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64"
_LOST = "complex64 float8_e4m3fn uint32 uint64"
_SUFFIXES = (".minidb", ".pb", ".pbtxt")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("states", "protoc"))
    parser.add_argument("--caisson", required=True)
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--proto", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="caisson_caffe2_") as folder:
        run = {"states": run_states, "protoc": run_protoc}[options.command]
        return run(options, pathlib.Path(folder))


def random_tensor(rng, name):
    dtype = getattr(torch, name)
    shape = [rng.choice([0, 1, 2, 3, 70]) for _ in range(rng.randrange(4))]
    raw = bytearray(
        rng.randrange(2 if dtype == torch.bool else 256)
        for _ in range(torch.Size(shape).numel() * dtype.itemsize)
    )
    if not raw:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(raw, dtype=torch.uint8).view(dtype).reshape(shape)


def random_state(rng, with_lost):
    names = _CARRIED.split() + (_LOST.split() if with_lost else [])
    return {
        rng.choice(["w", "a.b", "\u00fc", 'q"', "x\ty"]) + str(i):
            random_tensor(rng, rng.choice(names))
        for i in range(rng.randrange(1, 12))
    }


def odd_nans(state):
    """Those whose NaN text does not keep."""
    odd = set()
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float32, torch.float64):
            continue
        wide = tensor.dtype == torch.float64
        words = tensor.contiguous().view(-1).view(
            torch.int64 if wide else torch.int32).tolist()
        quiet = 0x7FF8 << 48 if wide else 0x7FC0 << 16
        nans = tensor.reshape(-1).isnan().tolist()
        if any(nan and word != quiet for nan, word in zip(nans, words)):
            odd.add(name)
    return odd


def run_states(options, folder):
    report = Report()
    pt, flat, back = (folder / name for name in
                      ("m.pt", "m.safetensors", "back.pt"))
    for i in range(options.count):
        rng = random.Random(options.seed + i)
        state = random_state(rng, with_lost=i % 4 == 3)
        lost = {name for name, tensor in state.items()
                if str(tensor.dtype).removeprefix("torch.") in _LOST.split()}
        kept = {k: v for k, v in state.items() if k not in lost}
        torch.save(state, pt)
        convert(options, pt, flat)
        for suffix in _SUFFIXES:
            path = folder / ("m" + suffix)
            named = set(lost)
            expected = dict(kept)
            if suffix == ".pbtxt":
                named |= odd_nans(kept)
            args = ["--drop"] if named else []
            if named:
                refused = caisson(options, "convert", flat, path)
                report.check(f"{i} {suffix} refuses",
                             None if refused.returncode == 2 else "it does not")
            dropped = convert(options, flat, path, *args)
            # Names with blanks or quotes are escaped.
            missing = [name for name in named
                       if name.isidentifier() and name not in dropped]
            report.check(f"{i} {suffix} names",
                         str(missing) if missing else None)
            convert(options, path, back)
            found = torch.load(back)
            if suffix == ".pbtxt":
                for name in odd_nans(kept):
                    for tensors in (expected, found):
                        tensors[name] = tensors[name].nan_to_num(nan=1.0)
            report.check(f"{i} {suffix}", state_difference(expected, found))
    return report.status()


def protoc(options, mode, kind, content):
    return subprocess.run(
        [options.protoc, f"--{mode}=caisson.caffe2.{kind}",
         f"--proto_path={options.proto.parent}", options.proto.name],
        input=content, capture_output=True, check=True,
    ).stdout


def records(content):
    at = 0
    while at < len(content):
        key, value = struct.unpack_from("<2i", content, at)
        yield content[at + 8 + key:at + 8 + key + value]
        at += 8 + key + value


def run_protoc(options, folder):
    report = Report()
    pt = folder / "m.pt"
    for i in range(options.count):
        state = random_state(random.Random(options.seed + i), with_lost=False)
        torch.save(state, pt)
        for suffix in _SUFFIXES:
            convert(options, pt, folder / ("m" + suffix), "--drop")
        binary = (folder / "m.pb").read_bytes()
        text = protoc(options, "decode", "TensorProtos", binary)
        ours = (folder / "m.pbtxt").read_bytes()
        report.check(f"{i} text",
                     None if text == ours else byte_difference(text, ours))
        again = protoc(options, "encode", "TensorProtos", text)
        nans = odd_nans(state)  # which text loses
        report.check(f"{i} bytes", None if nans or again == binary
                     else byte_difference(again, binary))
        for record in records((folder / "m.minidb").read_bytes()):
            text = protoc(options, "decode", "BlobProto", record)
            again = protoc(options, "encode", "BlobProto", text)
            same = again == record or b"nan" in text
            report.check(f"{i} blob",
                         None if same else byte_difference(again, record))
    return report.status()


if __name__ == "__main__":
    sys.exit(main())
