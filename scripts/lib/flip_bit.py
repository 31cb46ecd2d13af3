# SPDX-License-Identifier: Apache-2.0
"""Copies a file with one bit flipped: flip_bit.py IN OUT OFFSET BIT."""

import sys

source, target, offset, bit = sys.argv[1:]
data = bytearray(open(source, "rb").read())
data[int(offset)] ^= 1 << int(bit)
open(target, "wb").write(data)
