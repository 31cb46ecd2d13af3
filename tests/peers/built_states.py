# SPDX-License-Identifier: Apache-2.0
"""The states of tests/support/built_states.cc, built in Python.

built(name) has the tensors, the order and the object identities of the state
of that name there, so that torch.save gives the bytes that Caisson gives.
"""

import collections
import mmap

import torch

OrderedDict = collections.OrderedDict

NAMES = (
    "dtypes", "views", "many_views", "bits", "quirk", "batches", "training",
)

# The order of DType in include/caisson/dtype.h.
_DTYPES = """float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool
    complex128 complex64 complex32 uint64 uint32 uint16 float8_e5m2
    float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz float8_e8m0fnu
    float4_e2m1fn_x2 bits8 bits1x8 bits2x4 bits4x2 bits16""".split()

HUGE_BYTES = 2**32 + 7


def pattern(dtype, shape, first):
    """A tensor whose byte i is (first + i) mod 251; the low bit for bool."""
    count = torch.Size(shape).numel() * dtype.itemsize
    mask = 1 if dtype == torch.bool else 0xFF
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    raw = torch.tensor(
        [(first + i) % 251 & mask for i in range(count)], dtype=torch.uint8
    )
    return raw.view(dtype).view(shape)


def built(name):
    return globals()[f"_{name}"]()


def _dtypes():
    return {n: pattern(getattr(torch, n), (2, 3), 1) for n in _DTYPES}


def _views():
    base = pattern(torch.int64, (4, 6), 1)
    return {
        "base": base,
        "transposed": base.t(),
        "strided": base.as_strided((2, 3), (12, 2), 1),
        "offset": base.reshape(-1)[5:9],
        "expanded": base[0, 3].expand(1000, 1000),
        "element": base[3, 5],
        "nothing": base[4:4],
        "empty": torch.empty(0, 3),
        "scalar": pattern(torch.float64, (), 7),
    }


def _many_views():
    storages = [pattern(torch.float32, (200,), i) for i in range(10)]
    return {
        f"view{i}": storages[i % 10].as_strided(
            (1 + i % 7,), (1 + i % 3,), i // 10
        )
        for i in range(1000)
    }


def _bits():
    grad = pattern(torch.float32, (2,), 3).requires_grad_()
    return {
        "conj": pattern(torch.complex64, (2,), 1).conj(),
        "neg": torch._neg_view(pattern(torch.float32, (2,), 2)),
        "grad": grad,
        "parameter": torch.nn.Parameter(pattern(torch.float32, (2,), 4)),
        "frozen": torch.nn.Parameter(
            pattern(torch.int32, (2,), 5), requires_grad=False
        ),
    }


def _quirk():
    quirk = pattern(torch.uint8, (16,), 1)
    quirk[:4] = torch.tensor(list(b"PK\x07\x08"), dtype=torch.uint8)
    return {"quirk": quirk, "after": pattern(torch.uint8, (3,), 2)}


def _batches():
    state = {}
    for n in (0, 1, 2, 999, 1000, 1001, 2000, 2001):
        state[f"list{n}"] = list(range(n))
        state[f"dict{n}"] = {i: i for i in range(n)}
        state[f"ordered{n}"] = OrderedDict((i, i) for i in range(n))
    return state


def _training():
    module = torch.nn.Linear(2, 3)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.75)
    with torch.no_grad():
        module.weight.copy_(pattern(torch.float32, (3, 2), 1))
        module.bias.copy_(pattern(torch.float32, (3,), 2))
    for i, parameter in enumerate((module.weight, module.bias)):
        optimizer.state[parameter]["momentum_buffer"] = pattern(
            torch.float32, parameter.shape, 3 + i
        )
    return {"model": module.state_dict(), "optimizer": optimizer.state_dict()}


def _huge():
    # Pages of such a mapping that are only read take no memory.
    memory = mmap.mmap(
        -1, HUGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    huge = torch.frombuffer(memory, dtype=torch.uint8)
    huge[0] = 0xAB
    huge[-5:] = torch.tensor(list(b"tail!"), dtype=torch.uint8)
    return {
        "before": pattern(torch.uint8, (100,), 1),
        "huge": huge,
        "ends": huge.as_strided((2, 2), (2**32 + 5, 1)),
        "after": pattern(torch.float32, (1000,), 2),
        "empty": torch.empty(0),
        "last": pattern(torch.int16, (3,), 4),
    }
