# SPDX-License-Identifier: Apache-2.0
"""Small .pt files without torch.

The pickles come from Python's own pickler, protocol 2 as in torch.save, over
stand-ins that have the names of torch's functions and classes. The archives
come from zipfile.

    weight = Tensor("float32", [2, 3], struct.pack("<6f", *range(6)))
    write_pt(path, {"w": weight, "step": 7})
"""

import collections
import io
import math
import pickle
import sys
import types
import zipfile

# The class that names the dtype of a storage; others are stored untyped.
_CLASSES = {
    "float64": "DoubleStorage", "float32": "FloatStorage",
    "float16": "HalfStorage", "bfloat16": "BFloat16Storage",
    "int64": "LongStorage", "int32": "IntStorage", "int16": "ShortStorage",
    "int8": "CharStorage", "uint8": "ByteStorage", "bool": "BoolStorage",
    "complex128": "ComplexDoubleStorage", "complex64": "ComplexFloatStorage",
    "qint8": "QInt8Storage", "quint4x2": "QUInt4x2Storage",
}  # fmt: skip
_WIDTHS = {
    "float64": 8, "int64": 8, "uint64": 8, "complex64": 8, "complex128": 16,
    "float32": 4, "int32": 4, "uint32": 4, "complex32": 4, "bfloat16": 2,
    "float16": 2, "int16": 2, "uint16": 2, "bits16": 2,
}  # fmt: skip


def is_typed(dtype):
    """Whether the order of a storage's bytes is known, or none is needed."""
    return dtype in _CLASSES or dtype not in _WIDTHS


def named(dotted):
    """A class that pickles as the global `dotted`."""
    module, _, name = dotted.rpartition(".")
    for end in [i for i, c in enumerate(module + ".") if c == "."]:
        sys.modules.setdefault(module[:end], types.ModuleType(module[:end]))
    if not hasattr(sys.modules[module], name):
        made = type(name, (), {"__module__": module, "__qualname__": name})
        setattr(sys.modules[module], name, made)
    return getattr(sys.modules[module], name)


class Call:
    """What pickles as dotted(*args), with `state` as its attributes."""

    def __init__(self, dotted, *args, state=None):
        self._reduced = (named(dotted), args, state)

    def __reduce_ex__(self, protocol):
        function, args, state = self._reduced
        return (function, args) if state is None else (function, args, state)


class Storage:
    def __init__(self, dtype, data):
        self.dtype = dtype
        self.data = data


class Tensor:
    """A tensor over bytes, or a view of another tensor's storage."""

    def __init__(
        self, dtype, shape, data, strides=None, offset=0, grad=False, bits=None
    ):
        self.dtype = dtype
        self.storage = (
            data.storage if isinstance(data, Tensor) else Storage(dtype, data)
        )
        self.shape = tuple(shape)
        if strides is None:
            strides = (math.prod(shape[i + 1 :]) for i in range(len(shape)))
        self.strides = tuple(strides)
        self.offset = offset
        self.grad = grad
        self.bits = bits

    def __reduce_ex__(self, protocol):
        args = [self.storage, self.offset, self.shape, self.strides]
        args += [self.grad, collections.OrderedDict()]
        version = 2
        if self.dtype not in _CLASSES:
            version = 3
            args.append(named(f"torch.{self.dtype}"))
        if self.bits:
            args.append(self.bits)
        return named(f"torch._utils._rebuild_tensor_v{version}"), tuple(args)


class _Pickler(pickle.Pickler):
    def __init__(self, out):
        super().__init__(out, protocol=2)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        if value not in self.storages:
            self.storages.append(value)
        key = str(self.storages.index(value))
        dotted = "torch.storage.UntypedStorage"
        width = 1
        if value.dtype in _CLASSES:
            dotted = f"torch.{_CLASSES[value.dtype]}"
            width = _WIDTHS.get(value.dtype, 1)
        numel = len(value.data) // width
        return ("storage", named(dotted), key, "cpu", numel)


def pickled(state):
    """(the bytes of data.pkl, the storages in the order of their keys)."""
    out = io.BytesIO()
    pickler = _Pickler(out)
    pickler.dump(state)
    return out.getvalue(), pickler.storages


def write_pt(path, state, method=zipfile.ZIP_STORED):
    data, storages = pickled(state)
    write_archive(path, data, [s.data for s in storages], method)


def write_archive(path, data_pkl, storages=(), method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", data_pkl)
        archive.writestr("archive/byteorder", "little")
        for key, data in enumerate(storages):
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")


def data_offset(path, record):
    """Where the bytes of a record start in the file."""
    with zipfile.ZipFile(path) as archive:
        header = archive.getinfo(f"archive/{record}").header_offset
    raw = path.read_bytes()[header : header + 30]
    name_bytes = int.from_bytes(raw[26:28], "little")
    extra_bytes = int.from_bytes(raw[28:30], "little")
    return header + 30 + name_bytes + extra_bytes


def flip(path, record, at=0):
    """Damages one bit of a record."""
    data = bytearray(path.read_bytes())
    data[data_offset(path, record) + at] ^= 0x10
    path.write_bytes(data)


def clear_crc(path, record):
    """Makes a record one that was stored without a CRC."""
    data = bytearray(path.read_bytes())
    name = f"archive/{record}".encode()
    local = data.find(name) - 30
    central = data.rfind(name) - 46
    data[local + 14 : local + 18] = bytes(4)
    data[central + 16 : central + 20] = bytes(4)
    path.write_bytes(data)
