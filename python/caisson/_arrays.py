# SPDX-License-Identifier: Apache-2.0
"""numpy's arrays, and those of any library with DLPack or the buffer
protocol: what they are made of, and how tensors become them without torch."""

import array
import collections
from typing import Any, Optional

import numpy

from caisson.errors import UnsupportedError

# By torch's names, where numpy's differ.
_TO_NUMPY = {"bool": "bool_"}


class Dense:
    """A contiguous tensor of torch in host memory that is written as if it
    had a storage of just its size."""

    def __init__(self, tensor: Any):
        self.tensor = tensor

    def describe(self) -> tuple:
        tensor = self.tensor
        size = tensor.numel() * tensor.element_size()
        strides, step = [], 1
        for count in reversed(tensor.shape):
            strides.insert(0, step)
            step *= max(count, 1)
        return (tensor, id(tensor), tensor.data_ptr(), size, 0,
                tuple(tensor.shape), tuple(strides),
                str(tensor.dtype).removeprefix("torch."), True)


def describe(thing: Any) -> Optional[tuple]:
    """(owner, id of it, address, bytes, offset, shape, strides, dtype, whether
    that is its own memory and may be written) of an array, offset and strides
    in elements; None for what is no array."""
    if isinstance(thing, Dense):
        return thing.describe()
    if not isinstance(thing, numpy.ndarray):
        if isinstance(thing, (memoryview, array.array)):
            thing = numpy.asarray(thing)
        elif hasattr(thing, "__dlpack__"):
            thing = numpy.from_dlpack(thing)
        else:
            return None
    if type(thing) is not numpy.ndarray:
        raise UnsupportedError(f"a numpy array of the class {type(thing)}")
    if thing.dtype.hasobject or thing.dtype.names or thing.dtype.kind in "SUmM":
        raise UnsupportedError(f"a numpy array of {thing.dtype}")
    own = thing.dtype.isnative and thing.flags.writeable
    if not own and not thing.dtype.isnative:
        thing = thing.astype(thing.dtype.newbyteorder("="))
    width = thing.dtype.itemsize
    address = thing.__array_interface__["data"][0]
    base = _base(thing)
    start = base.__array_interface__["data"][0]
    shared = (
        base.flags.c_contiguous
        and base.dtype == thing.dtype
        and all(step >= 0 and step % width == 0 for step in thing.strides)
        and (address - start) % width == 0
    )
    own = own and shared
    if not shared:
        thing = base = numpy.ascontiguousarray(thing).reshape(thing.shape)
        address = start = thing.__array_interface__["data"][0]
    strides = tuple(step // width for step in thing.strides)
    if base.size == 0:
        address = start = 0
    return (base, id(base), start, base.nbytes, (address - start) // width,
            thing.shape, strides, thing.dtype.name, own)


def _base(thing: numpy.ndarray) -> numpy.ndarray:
    while type(thing.base) is numpy.ndarray:
        thing = thing.base
    return thing


def dtype_of(name: str) -> numpy.dtype:
    """The numpy dtype with torch's `name`."""
    try:
        return numpy.dtype(_TO_NUMPY.get(name, name))
    except TypeError:
        pass
    try:
        import ml_dtypes

        return numpy.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        raise UnsupportedError(
            f"numpy has no {name}: install torch or ml_dtypes, or cast it"
        ) from None


def storage(buffer: Any, size: int, location: str, device: Any) -> Any:
    if device not in (None, "cpu"):
        raise UnsupportedError(f"numpy has no arrays on {device}")
    if size == 0:
        return numpy.empty(0, numpy.uint8)
    return numpy.frombuffer(buffer, numpy.uint8)


def typed(untyped: Any, dtype: Optional[str]) -> Any:
    return untyped if dtype is None else untyped.view(dtype_of(dtype))


def tensor(untyped, dtype, offset, shape, strides, requires_grad, conj, neg):
    kind = dtype_of(dtype)
    made = numpy.lib.stride_tricks.as_strided(
        untyped.view(kind)[offset:],
        shape,
        tuple(step * kind.itemsize for step in strides),
    )
    if conj:
        made = made.conj()
    return -made if neg else made


def named(module: str, name: str) -> Any:
    if (module, name) in (("collections", "Counter"), ("builtins", "bytes")):
        return collections.Counter if name == "Counter" else bytes
    if module == "torch":
        return dtype_of(name)
    raise UnsupportedError(f"{module}.{name}: needs torch")


def call(module, name, by_class, args, items, entries, state):
    if module == "torch._utils" and name.startswith("_rebuild_parameter"):
        return args[0]
    if module == "torch._tensor" and name == "_rebuild_from_type_v2":
        return args[2]
    if (module, name) == ("torch", "Size"):
        return tuple(args[0])
    if (module, name) == ("torch", "device"):
        return ":".join(str(part) for part in args)
    made = named(module, name)(*args)
    made.update(dict(entries))
    return made
