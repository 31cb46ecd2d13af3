#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What compression leaves of the sets that bench/real_state.py made.

  bench/codec_sizes.py DIR [--caisson PROGRAM]

Prints a row for each set, in percent: the file that `caisson pack` makes, and
the tensors through zstd, as they lie and plane by plane of bytes. Needs libzstd.
"""

import argparse
import ctypes
import ctypes.util
import os
import pathlib
import struct
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTHS = {"weights_bf16": 2, "weights_fp32": 4, "adam_m": 4, "adam_v": 4}
LEVELS = (1, 3)


class Zstd:
    def __init__(self):
        name = ctypes.util.find_library("zstd") or "libzstd.so.1"
        self.library = ctypes.CDLL(name)
        size, text = ctypes.c_size_t, ctypes.c_char_p
        self.library.ZSTD_compressBound.restype = size
        self.library.ZSTD_compressBound.argtypes = [size]
        self.library.ZSTD_compress.restype = size
        self.library.ZSTD_compress.argtypes = [text, size, text, size,
                                               ctypes.c_int]

    def size(self, data, level):
        room = self.library.ZSTD_compressBound(len(data))
        target = ctypes.create_string_buffer(room)
        return self.library.ZSTD_compress(target, room, data, len(data), level)


def tensors(path):
    """The bytes behind the header of a safetensors file."""
    data = path.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    return data[8 + header:]


def packed(program, path):
    """The size of the file that `caisson pack` makes, by that of `path`."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "packed.pt")
        subprocess.run([program, "pack", path, out], check=True,
                       stdout=subprocess.DEVNULL)
        return os.path.getsize(out) / os.path.getsize(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--caisson",
                        default=str(ROOT / "build/release/cli/caisson"))
    options = parser.parse_args()
    zstd = Zstd()
    names = [f"zstd -{level}{form}" for level in LEVELS
             for form in ("", ", planes")]
    print("| set | plane codec |", " | ".join(names), "|")
    print("|---" * (2 + len(names)) + "|")
    for name, width in WIDTHS.items():
        data = tensors(options.folder / f"{name}.safetensors")
        shares = [packed(options.caisson, options.folder / f"{name}.pt")]
        for level in LEVELS:
            shares.append(zstd.size(data, level) / len(data))
            shares.append(sum(zstd.size(data[i::width], level)
                              for i in range(width)) / len(data))
        print("|", name, "|", " | ".join(f"{100 * s:.1f}" for s in shares), "|")


if __name__ == "__main__":
    main()
