# SPDX-License-Identifier: Apache-2.0
"""The canonical text of a state, for textual comparison between programs.

dump(state) prints what torch.load returns. tests/support/state_dump prints the
same text for a file read by Caisson. Both must agree byte for byte.

The text is a depth-first preorder walk, one node per line, each line ended by
one line feed (also the last). A line is `<depth> <kind>`, then the payload of
the kind, separated by single spaces. The root has depth 0, children have the
depth of their parent plus 1. Node kinds:

  none
  bool true|false
  int <decimal>                       any size, `-` when negative
  float <f64>                         f64: 16 lower-case hex digits, the bits
                                      of the IEEE-754 double, most significant
                                      first; NaN payloads are kept
  complex <f64> <f64>                 real, imaginary
  str <hex>                           UTF-8, lone surrogates as three bytes
  bytes <hex>                         lower case; nothing after the kind, not
  bytearray <hex>                     even the space, when there are no bytes;
                                      the same holds for str
  list <n>                            n children
  tuple <n>                           n children
  set <n>                             n children, each printed with all its
  frozenset <n>                       lines, in ascending order of that text
  dict <n>                            2n children: key, value, key, value ...
  ordereddict <n>                     in insertion order
  counter <n>
  size <dims>                         torch.Size; dims: [], [3], [1,2]
  dtype torch.<name>                  for example dtype torch.bfloat16
  device <text>                       str(device): cpu, cuda:0
  layout torch.<name>
  qscheme torch.<name>
  tensor <dtype> <dims> <strides> <offset> <storage> <requires_grad> <conj>
         <neg>                        one line; dtype without `torch.`; strides
                                      as dims; offset in elements; the last
                                      three are 0 or 1
  parameter <requires_grad>           one child: its data, a tensor with
                                      requires_grad 0
  quantized per_tensor_affine <f64> <int>
                                      scale, zero point; one child: the tensor
                                      line that the elements have
  quantized <qscheme> <axis>          per_channel_affine, or
                                      per_channel_affine_float_qparams when the
                                      zero points are floats (files say
                                      per_channel_affine for both); three
                                      children: scales, zero points, tensor
  sparse_coo <dims> <is_coalesced>    children: indices, values
  sparse_csr <dims>                   children: crow_indices, col_indices,
  sparse_bsr <dims>                   values
  sparse_csc <dims>                   children: ccol_indices, row_indices,
  sparse_bsc <dims>                   values
  nested                              children: buffer, sizes, strides, offsets
  meta <dtype> <dims> <strides> <requires_grad>

Storages. <storage> is the index of the tensor's storage in order of first
appearance in this text. Directly after the tensor line that shows a storage
for the first time comes, one deeper than the tensor, the line

  <depth + 1> storage <index> <bytes> <hex>

with the whole storage, its numbers little-endian; no hex, and no space before
it, when it has 0 bytes. A storage is printed once. Two tensors have the same storage when they hold the
same storage object, which in a file means the same storage key. Stock forgets
that two views share a storage of 0 bytes, so such views are not compared.

Sharing of other objects is not printed: an object that occurs twice, also a
tensor, is printed twice; the second time its storage index is known already.

Attributes. An ordereddict with instance attributes (the `_metadata` of a
module state), and a tensor or parameter with a Python `__dict__`, is followed,
after all of its lines, by `<depth + 1> attributes` and the attribute dict as a
dict node at depth + 2. An object without attributes has no such line.
"""

import argparse
import collections
import ctypes
import struct

import torch

_COMPRESSED = {
    torch.sparse_csr: ("sparse_csr", "crow_indices", "col_indices"),
    torch.sparse_bsr: ("sparse_bsr", "crow_indices", "col_indices"),
    torch.sparse_csc: ("sparse_csc", "ccol_indices", "row_indices"),
    torch.sparse_bsc: ("sparse_bsc", "ccol_indices", "row_indices"),
}


def dump(state):
    """The canonical text of `state`. Raises TypeError for a foreign type."""
    return "".join(_Dumper().lines(state, 0))


def storage_bytes(storage):
    """The bytes of an untyped CPU storage."""
    if storage.nbytes() == 0:
        return b""
    return ctypes.string_at(storage.data_ptr(), storage.nbytes())


def _dims(values):
    return "[" + ",".join(str(int(v)) for v in values) + "]"


def _bits(value):
    return struct.pack(">d", value).hex()


def _named(kind, payload):
    return f"{kind} {payload}" if payload else kind


class _Dumper:
    """One walk: knows the storages that have been printed."""

    def __init__(self):
        # _cdata is the address of the storage object. The storages are held,
        # so that no address is used a second time.
        self._index = {}
        self._held = []

    def lines(self, value, depth):
        kind = type(value)
        if value is None:
            return [f"{depth} none\n"]
        if kind is bool:
            return [f"{depth} bool {'true' if value else 'false'}\n"]
        if kind is int:
            return [f"{depth} int {value}\n"]
        if kind is float:
            return [f"{depth} float {_bits(value)}\n"]
        if kind is complex:
            parts = f"{_bits(value.real)} {_bits(value.imag)}"
            return [f"{depth} complex {parts}\n"]
        if kind is str:
            text = value.encode("utf-8", "surrogatepass").hex()
            return [f"{depth} {_named('str', text)}\n"]
        if kind in (bytes, bytearray):
            return [f"{depth} {_named(kind.__name__, value.hex())}\n"]
        if kind is torch.Size:
            return [f"{depth} size {_dims(value)}\n"]
        if kind in (torch.dtype, torch.device, torch.layout, torch.qscheme):
            return [f"{depth} {kind.__name__} {value}\n"]
        if kind in (list, tuple):
            return self._sequence(value, depth)
        if kind in (set, frozenset):
            blocks = sorted("".join(self.lines(v, depth + 1)) for v in value)
            return [f"{depth} {kind.__name__} {len(value)}\n", *blocks]
        if kind in (dict, collections.OrderedDict, collections.Counter):
            return self._mapping(value, depth)
        if kind is torch.nn.Parameter:
            return [
                f"{depth} parameter {int(value.requires_grad)}\n",
                *self.lines(value.data, depth + 1),
                *self._attributes(value, depth),
            ]
        if kind is torch.Tensor:
            return self._tensor(value, depth) + self._attributes(value, depth)
        raise TypeError(
            f"no canonical form for {kind.__module__}.{kind.__qualname__}"
        )

    def _sequence(self, value, depth):
        lines = [f"{depth} {type(value).__name__} {len(value)}\n"]
        for item in value:
            lines += self.lines(item, depth + 1)
        return lines

    def _mapping(self, value, depth):
        lines = [f"{depth} {type(value).__name__.lower()} {len(value)}\n"]
        for key, item in value.items():
            lines += self.lines(key, depth + 1)
            lines += self.lines(item, depth + 1)
        return lines + self._attributes(value, depth)

    def _attributes(self, value, depth):
        attributes = getattr(value, "__dict__", None)
        if not attributes:
            return []
        return [
            f"{depth + 1} attributes\n",
            *self.lines(dict(attributes), depth + 2),
        ]

    def _tensor(self, value, depth):
        if value.is_nested:
            return self._children(
                f"{depth} nested\n",
                depth,
                value.values(),
                value._nested_tensor_size(),
                value._nested_tensor_strides(),
                value._nested_tensor_storage_offsets(),
            )
        size = _dims(value.shape)
        if value.device.type == "meta":
            dtype = str(value.dtype).removeprefix("torch.")
            strides = _dims(value.stride())
            grad = int(value.requires_grad)
            return [f"{depth} meta {dtype} {size} {strides} {grad}\n"]
        if value.layout == torch.sparse_coo:
            return self._children(
                f"{depth} sparse_coo {size} {int(value.is_coalesced())}\n",
                depth,
                value._indices(),
                value._values(),
            )
        if value.layout in _COMPRESSED:
            name, compressed, plain = _COMPRESSED[value.layout]
            return self._children(
                f"{depth} {name} {size}\n",
                depth,
                getattr(value, compressed)(),
                getattr(value, plain)(),
                value.values(),
            )
        if value.is_quantized:
            return self._quantized(value, depth)
        return self._strided(value, depth)

    def _children(self, head, depth, *children):
        lines = [head]
        for child in children:
            lines += self.lines(child, depth + 1)
        return lines

    def _quantized(self, value, depth):
        scheme = str(value.qscheme()).removeprefix("torch.")
        if value.qscheme() == torch.per_tensor_affine:
            scale, zero_point = _bits(value.q_scale()), value.q_zero_point()
            head = f"{depth} quantized {scheme} {scale} {zero_point}\n"
            return [head, *self._strided(value, depth + 1)]
        head = f"{depth} quantized {scheme} {value.q_per_channel_axis()}\n"
        children = self._children(
            head,
            depth,
            value.q_per_channel_scales(),
            value.q_per_channel_zero_points(),
        )
        return children + self._strided(value, depth + 1)

    def _strided(self, value, depth):
        storage = value.untyped_storage()
        index = self._index.get(storage._cdata)
        first = index is None
        if first:
            index = len(self._index)
            self._index[storage._cdata] = index
            self._held.append(storage)
        lines = [
            f"{depth} tensor {str(value.dtype).removeprefix('torch.')} "
            f"{_dims(value.shape)} {_dims(value.stride())} "
            f"{value.storage_offset()} {index} {int(value.requires_grad)} "
            f"{int(value.is_conj())} {int(value.is_neg())}\n"
        ]
        if first:
            payload = f"{storage.nbytes()} {storage_bytes(storage).hex()}"
            lines.append(f"{depth + 1} storage {index} {payload.rstrip()}\n")
        return lines


def main():
    parser = argparse.ArgumentParser(
        description="Prints the canonical text of files that torch.load reads."
    )
    parser.add_argument("files", nargs="+")
    parser.add_argument(
        "--full-pickle",
        action="store_true",
        help="torch.load with weights_only=False; runs what the file says",
    )
    options = parser.parse_args()
    for path in options.files:
        state = torch.load(path, weights_only=not options.full_pickle)
        print(f"== {path}")
        print(dump(state), end="")


if __name__ == "__main__":
    main()
