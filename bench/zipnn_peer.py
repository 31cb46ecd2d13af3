#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ZipNN beside the plane codec: what is left, and how fast.

  bench/zipnn_peer.py [--state DIR] [--mib 64] [--rounds 5] [--json FILE]
    [--caisson PROGRAM]

Needs zipnn and torch from PyPI, in an environment of their own. Sets are
weights of N(0, 0.02), and those that bench/real_state.py left in DIR. ZipNN is
called on one thread; GB/s are of the bytes before, medians. Sizes of ours are
of the file that `caisson pack` makes; its speed on one thread is in
kernels_bench, plane_encode and plane_decode.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time

import torch
from zipnn import ZipNN

ROOT = pathlib.Path(__file__).resolve().parent.parent
DTYPES = {torch.bfloat16: "bfloat16", torch.float16: "float16",
          torch.float32: "float32"}


def read_safetensors(path):
    """All tensors of a file as one flat tensor of their dtype."""
    data = path.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    dtype = torch.bfloat16 if path.stem.endswith("bf16") else torch.float32
    return torch.frombuffer(bytearray(data[8 + header:]), dtype=dtype)


def sets(options):
    torch.manual_seed(1)
    for dtype in DTYPES:
        count = (options.mib << 20) // dtype.itemsize
        name = DTYPES[dtype].replace("bfloat", "bf").replace("float", "fp")
        yield name, (torch.randn(count) * 0.02).to(dtype)
    if options.state:
        for name in ("weights_bf16", "weights_fp32", "adam_m", "adam_v"):
            yield name, read_safetensors(options.state / f"{name}.safetensors")


def rate(function, nbytes, rounds):
    seconds = []
    for _ in range(rounds + 1):  # the first one warms up
        since = time.perf_counter()
        made = function()
        seconds.append(time.perf_counter() - since)
    return made, nbytes / statistics.median(seconds[1:]) / 1e9


def packed(program, tensor):
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "plain.pt")
        out = os.path.join(folder, "packed.pt")
        torch.save({"tensor": tensor}, plain)
        subprocess.run([program, "pack", plain, out], check=True,
                       stdout=subprocess.DEVNULL)
        return os.path.getsize(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=pathlib.Path)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--caisson",
                        default=str(ROOT / "build/release/cli/caisson"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("| set | plane codec % | ZipNN % | compresses GB/s | decompresses |")
    print("|---|---|---|---|---|")
    for name, tensor in sets(options):
        nbytes = tensor.numel() * tensor.element_size()
        data = tensor.view(torch.uint8).numpy().tobytes()
        zipnn = ZipNN(input_format="byte",
                      bytearray_dtype=DTYPES[tensor.dtype], threads=1)
        # It takes what it is given apart in place.
        small, encode = rate(lambda: zipnn.compress(bytearray(data)), nbytes,
                             options.rounds)
        back, decode = rate(lambda: zipnn.decompress(small), nbytes,
                            options.rounds)
        assert bytes(back) == data
        print(f"| {name} | {100 * packed(options.caisson, tensor) / nbytes:.1f}"
              f" | {100 * len(small) / nbytes:.1f} | {encode:.2f} |"
              f" {decode:.2f} |", flush=True)
        rows.append({"set": name, "percent": 100 * len(small) / nbytes,
                     "encode_gbps": encode, "decode_gbps": decode})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
