# SPDX-License-Identifier: Apache-2.0
"""Builds one random state; torch_states.py has the states that tests use.

Every object that stock torch saves and reads with weights_only=True occurs:
Python values at their edges, every dtype, views, shared storages, shared
objects, quantized and sparse tensors.
"""

import collections
import random
import struct

import torch

OrderedDict = collections.OrderedDict

# Saved as a typed storage and _rebuild_tensor_v2.
_TYPED = """float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool
    complex128 complex64""".split()

# Saved as an UntypedStorage and _rebuild_tensor_v3.
_UNTYPED = """float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz
    float8_e8m0fnu float4_e2m1fn_x2 bits8 bits16 bits1x8 bits2x4 bits4x2
    complex32 uint16 uint32 uint64""".split()

# Saved as a typed storage and _rebuild_qtensor: dtype, then whether it can be
# per channel with float64 scales, and per channel with float32 scales.
_QUANTIZED = {
    "qint8": (True, True),
    "quint8": (True, True),
    "qint32": (True, False),
    "quint4x2": (False, True),
    "quint2x4": (False, True),
}

# Objects of these dtypes are names only: torch.save refuses their tensors.
_NAMES_ONLY = [f"{sign}int{bits}" for sign in ("u", "") for bits in range(1, 8)]

DTYPES = [
    getattr(torch, name) for name in _TYPED + _UNTYPED if hasattr(torch, name)
]
_GRAD_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.complex64)
_CONJ_DTYPES = (torch.complex64, torch.complex128)

# The pickler writes 1000 items per batch (docs/formats.md).
CONTAINER_SIZES = (0, 1, 2, 999, 1000, 1001, 2000, 2001)

_EDGE_INTS = [
    edge * sign + step
    for edge in (0, 255, 256, 65535, 65536, 2**31, 2**63, 2**64)
    for sign in (1, -1)
    for step in (-1, 0, 1)
]
# The longest that LONG1 holds: 255 bytes.
_LONG_INTS = [2**2039 - 1, -(2**2039), 2**2031, -(2**1000) + 12345]

_EDGE_FLOATS = [
    struct.unpack(">d", bytes.fromhex(bits))[0]
    for bits in (
        "0000000000000000",  # 0
        "8000000000000000",  # -0
        "7ff0000000000000",  # inf
        "fff0000000000000",  # -inf
        "7ff8000000000000",  # NaN
        "fff8000000000123",  # NaN with sign and payload
        "0000000000000001",  # the least subnormal
        "800fffffffffffff",  # the greatest subnormal, negative
        "7fefffffffffffff",  # the greatest finite
        "3ff0000000000001",  # the one after 1
    )
]

_STRINGS = [
    "", "weight", "module.0.bias", "a\x00b", "line\nfeed\ttab", "h\u00e9llo",
    "\u4e2d\u6587", "\U0001f9ca", "\ud800", "x\udfff\ud800y", "e\u0301",
    "'\"\\", "k" * 255, "k" * 256, "\u00ff" * 300, "0", "state.", " ",
]


class Maker:
    """Builds one random state; `index` walks through dtypes and rebuilds."""

    def __init__(self, seed, index):
        self._random = random.Random(seed)
        self._index = index
        self._strings = []
        self._containers = []  # (object, nodes), shared at several places
        self._tensors = []
        self._storages = []  # contiguous tensors to take views of

    def tree(self):
        root = OrderedDict() if self._index % 3 == 0 else {}
        root["dtype"] = self.tensor(DTYPES[self._index % len(DTYPES)])
        turn, kind = divmod(self._index, 4)
        if kind == 0:
            names = list(_QUANTIZED)
            root["quantized"] = self.quantized(names[turn % len(names)])
        if kind == 1:
            root["sparse"] = self.sparse(_SPARSE[turn % len(_SPARSE)])
        for _ in range(self._random.randint(1, 8)):
            key = self.key()
            root[key], _ = self.node(self._random.randint(0, 4))
        return root

    def node(self, depth):
        """A random object and how many nodes it prints as."""
        pick = self._random.random()
        if depth == 0 or pick < 0.35:
            return self.leaf(), 1
        if pick < 0.45 and self._containers:
            return self._random.choice(self._containers)
        items, nodes = [], 1
        for _ in range(self._random.choice((0, 1, 2, 3, 4, 6))):
            item, size = self.node(depth - 1)
            items.append(item)
            nodes += size
        kind = self._random.randrange(4)
        if kind == 0:
            result = items
        elif kind == 1:
            result = tuple(items)
        else:
            result = {} if kind == 2 else OrderedDict()
            for item in items:
                result[self.key()] = item
            if kind == 3 and self._random.random() < 0.2:
                result._metadata = OrderedDict([("", {"version": 1})])
        if nodes <= 12:
            self._containers.append((result, nodes))
        return result, nodes

    def leaf(self):
        if self._random.random() < 0.4:
            return self.any_tensor()
        return self._random.choice(_LEAVES)(self)

    def key(self):
        pick = self._random.random()
        if pick < 0.7:
            return self.string()
        if pick < 0.9:
            return self._random.choice((self.integer, self.boolean))()
        return self._random.choice([
            1.5, None, (1, "two", (3.0,)), (), torch.int64, b"key", 2 - 1j,
        ])

    def boolean(self):
        return self._random.random() < 0.5

    def integer(self):
        pick = self._random.random()
        if pick < 0.5:
            return self._random.choice(_EDGE_INTS)
        if pick < 0.6:
            return self._random.choice(_LONG_INTS)
        return self._random.getrandbits(self._random.randint(1, 70)) * (
            1 if self.boolean() else -1
        )

    def real(self):
        if self.boolean():
            return self._random.choice(_EDGE_FLOATS)
        return struct.unpack(">d", self._random.randbytes(8))[0]

    def imaginary(self):
        return complex(self.real(), self.real())

    def string(self):
        if self._strings and self._random.random() < 0.3:
            return self._random.choice(self._strings)
        text = self._random.choice(_STRINGS)
        if self.boolean():
            text += f".{self._random.randrange(1000)}"
        self._strings.append(text)
        return text

    def raw(self):
        return self._random.randbytes(self._random.choice((1, 2, 255, 300)))

    def raw_array(self):
        size = self._random.choice((0, 1, 300))
        return bytearray(self._random.randbytes(size))

    def numbers(self):
        """A set. Strings would come in another order in every process."""
        values = [self._random.randint(-500, 500) for _ in range(5)]
        return self._random.choice([
            set(), {1.5}, {"one string"}, set(values), {(1, 2), (3,), ()},
            {True, 2, 3.5},
        ])

    def counter(self):
        keys = (self.key() for _ in range(self._random.randint(0, 5)))
        return collections.Counter({key: self.integer() for key in keys})

    def named(self):
        """A value that is written as a global or as a call of one."""
        return self._random.choice([
            torch.Size([]), torch.Size([2, 0, 70000]), torch.device("cpu"),
            torch.device("cuda", 1), torch.device("meta"), torch.strided,
            torch.sparse_coo, torch.per_tensor_affine,
            torch.per_channel_symmetric,
            self._random.choice([
                *DTYPES,
                *(getattr(torch, n) for n in _NAMES_ONLY if hasattr(torch, n)),
                *(getattr(torch, n) for n in _QUANTIZED),
            ]),
        ])

    def any_tensor(self):
        pick = self._random.random()
        if pick < 0.1 and self._tensors:
            return self._random.choice(self._tensors)  # the same object again
        if pick < 0.3 and self._storages:
            return self.view(self._random.choice(self._storages))
        if pick < 0.36:
            return self.quantized(self._random.choice(list(_QUANTIZED)))
        if pick < 0.42:
            return self.sparse(self._random.choice(_SPARSE))
        return self.tensor(self._random.choice(DTYPES))

    def tensor(self, dtype):
        shape = self._random.choice([
            (), (1,), (7,), (0,), (2, 3), (3, 4, 5), (0, 3), (2, 0, 4),
            (1, 1, 1), (16, 16), (2, 1, 2, 1, 2), (255,),
        ])
        result = self.filled(shape, dtype)
        if result.numel() == 0:
            result = torch.empty_strided(
                shape, tuple(7 * d + 2 for d in range(len(shape))), dtype=dtype
            )
        else:
            self._storages.append(result)
            if self.boolean():
                result = self.view(result)
        result = self.decorated(result)
        self._tensors.append(result)
        return result

    def filled(self, shape, dtype):
        """A contiguous tensor of random bits, in a storage of its own."""
        bytes_ = torch.Size(shape).numel() * dtype.itemsize
        if bytes_ == 0:
            return torch.empty(shape, dtype=dtype)
        raw = self._random.randbytes(bytes_)
        if dtype == torch.bool:
            raw = bytes(b & 1 for b in raw)
        flat = torch.empty(bytes_, dtype=torch.uint8)
        flat.copy_(torch.frombuffer(bytearray(raw), dtype=torch.uint8))
        return flat.view(dtype).view(shape)

    def view(self, base):
        """A view of `base`, a contiguous tensor that is not empty."""
        elems = base.numel()
        if elems == 1:
            return base.as_strided((3, 2), (0, 0), 0)
        columns = next(c for c in (5, 4, 3, 2, 1) if elems % c == 0)
        flat = base.reshape(-1)
        pick = self._random.randrange(6)
        if pick == 0:
            return flat.view(-1, columns).t()
        if pick == 1:
            return flat[1::2]
        if pick == 2:
            return flat[elems // 2 :]
        if pick == 3:
            return flat[:1].expand(4, 1)
        if pick == 4:
            return flat.as_strided((2, 2), (1, 0), elems - 2)
        return flat[elems // 2]

    def decorated(self, tensor):
        """`tensor`, perhaps with a conj or neg bit, a gradient, or a class."""
        dtype = tensor.dtype
        if dtype in _CONJ_DTYPES and self.boolean():
            tensor = tensor.conj()
        if dtype in _GRAD_DTYPES and self._random.random() < 0.2:
            tensor = torch._neg_view(tensor)
        pick = self._random.random()
        if dtype in _GRAD_DTYPES and pick < 0.3:
            tensor = tensor.detach().requires_grad_()
        elif pick < 0.5:
            grad = dtype in _GRAD_DTYPES and self.boolean()
            tensor = torch.nn.Parameter(tensor, requires_grad=grad)
        return tensor

    def quantized(self, name):
        dtype = getattr(torch, name)
        by_double, by_float = _QUANTIZED[name]
        pick = self._random.randrange(3)
        shape = (4, 8)
        if pick == 1 and by_double:
            result = torch._empty_per_channel_affine_quantized(
                shape,
                scales=torch.tensor([0.5, 2.0, 1e-9, 3.0]).double(),
                zero_points=torch.tensor([1, -2, 0, 127]),
                axis=0,
                dtype=dtype,
            )
        elif pick == 2 and by_float:
            result = torch._empty_per_channel_affine_quantized(
                shape,
                scales=torch.arange(1.0, 9.0),
                zero_points=torch.arange(8.0) / 4,
                axis=1,
                dtype=dtype,
            )
        else:
            result = torch._empty_affine_quantized(
                shape,
                scale=abs(self._random.gauss(0, 1)),
                zero_point=3,
                dtype=dtype,
            )
        storage = result.untyped_storage()
        elements = self.filled((storage.nbytes(),), torch.uint8)
        storage.copy_(elements.untyped_storage())
        return result

    def sparse(self, layout):
        if layout == "coo":
            indices = torch.tensor([[0, 1, 1], [2, 0, 2]])
            shape = self._random.choice([(2, 3), (2, 3, 2)])
            values = self.filled((3, *shape[2:]), torch.float32)
            return torch.sparse_coo_tensor(
                indices, values, shape, is_coalesced=self.boolean()
            )
        dense = torch.eye(4, dtype=torch.float64) * (1 + self._random.random())
        if layout in ("bsr", "bsc"):
            return getattr(dense, f"to_sparse_{layout}")((2, 2))
        return getattr(dense, f"to_sparse_{layout}")()


_SPARSE = ("coo", "csr", "csc", "bsr", "bsc")
_LEAVES = (
    lambda _: None,
    Maker.boolean,
    Maker.integer,
    Maker.real,
    Maker.imaginary,
    Maker.string,
    Maker.raw,
    Maker.raw_array,
    Maker.numbers,
    Maker.counter,
    Maker.named,
)


def _sized_dict(make, n, kind=dict):
    shared = make.leaf()
    return kind(
        (f"k{i}" if i % 3 else i, shared if i % 50 == 0 else i)
        for i in range(n)
    )


CONTAINERS = {
    "dict": _sized_dict,
    "ordereddict": lambda make, n: _sized_dict(make, n, OrderedDict),
    "list": lambda make, n: [
        make.leaf() if i % 100 == 0 else i for i in range(n)
    ],
}
