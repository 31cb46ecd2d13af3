# SPDX-License-Identifier: Apache-2.0
"""torch's objects: how they say what they are made of, and how they are made
again. Nothing is called that torch.load(weights_only=True) would not call."""

import collections
import copyreg
import functools
import importlib
import types
from typing import Any, NamedTuple, Optional

from caisson import _caisson
from caisson.errors import UnsupportedError

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


def is_plain(tensor: Any) -> bool:
    """Whether a torch.Tensor is a view of a storage and nothing else."""
    import torch

    return (
        type(tensor) is torch.Tensor
        and not tensor.__dict__
        and tensor.layout is torch.strided
        and not tensor.is_quantized
        and not tensor.is_nested
        and tensor.device.type not in ("meta", "xla", "maia", "mtia")
        and torch._C._has_storage(tensor)
    )


def reduce(thing: Any) -> Any:
    """What pickle protocol 2 would make of `thing`, or None if it is not
    allowed: a name, or (callable, args, state, items, entries)."""
    if isinstance(thing, _FUNCTIONS):
        return thing.__qualname__
    kind = type(thing)
    if kind.__module__.partition(".")[0] == "torch":
        import torch

        if isinstance(thing, torch.layout):
            return copyreg.dispatch_table[torch.layout](thing)
        if isinstance(thing, (torch.Tensor, torch.dtype, torch.qscheme)):
            return thing.__reduce_ex__(2)
    elif isinstance(thing, _tensor_class()):
        return thing.__reduce_ex__(2)
    if _caisson.is_loadable(kind.__module__, kind.__qualname__):
        return thing.__reduce_ex__(2)
    return None


@functools.cache
def _tensor_class() -> Any:
    import sys

    torch = sys.modules.get("torch")
    return torch.Tensor if torch else ()


class QuantisedView(NamedTuple):
    """The first four arguments of torch._utils._rebuild_qtensor."""

    storage: Any
    offset: int
    shape: tuple
    strides: tuple


def storage(buffer: Any, size: int, location: str, device: Any) -> Any:
    """An untyped storage over `buffer`, or a copy of it on `device`: "stored"
    means where it was."""
    import torch

    if device == "stored":
        device = location

    if size == 0:
        made = torch.UntypedStorage(0)
    else:
        made = torch.frombuffer(buffer, dtype=torch.uint8).untyped_storage()
    if device is not None and torch.device(device).type != "cpu":
        made = torch.empty(0, dtype=torch.uint8).set_(made).to(device)
        made = made.untyped_storage()
    return made


def typed(untyped: Any, dtype: Optional[str]) -> Any:
    """The storage object that a file of torch names."""
    import torch

    if dtype is None:
        return untyped
    return torch.storage.TypedStorage(
        wrap_storage=untyped, dtype=getattr(torch, dtype), _internal=True
    )


def tensor(untyped, dtype, offset, shape, strides, requires_grad, conj, neg):
    import torch

    kind = getattr(torch, dtype, None)
    if kind is None:
        raise UnsupportedError(f"this torch has no {dtype}")
    if dtype[0] == "q":
        return QuantisedView(typed(untyped, dtype), offset, shape, strides)
    made = torch.empty((0,), dtype=kind, device=untyped.device)
    made.set_(untyped, offset, shape, strides)
    if requires_grad:
        made.requires_grad_()
    bits = {name: True for name, on in (("conj", conj), ("neg", neg)) if on}
    if bits:
        torch._utils.set_tensor_metadata(made, bits)
    return made


def named(module: str, name: str) -> Any:
    """The object that an allowed global stands for."""
    if not _caisson.is_loadable(module, name):
        if (module, name) == ("builtins", "bytes"):
            return bytes
        raise UnsupportedError(
            f"{module}.{name}: not among what torch.load(weights_only=True) "
            "accepts"
        )
    if module == "torch.nested._internal.nested_tensor":
        raise UnsupportedError(f"{module}.{name}: jagged tensors")
    return getattr(importlib.import_module(module), name)


def call(module, name, by_class, args, items, entries, state):
    """An object made as a pickle says. `state`: (state,), or None."""
    made = _made(named(module, name), name, by_class, args)
    if items:
        raise UnsupportedError(f"{module}.{name}: items of an object")
    for key, value in entries:
        if not isinstance(made, (collections.Counter, dict)):
            raise UnsupportedError(f"{module}.{name}: entries of an object")
        made[key] = value
    if state is not None:
        _set_state(made, state[0])
    return made


def _made(function: Any, name: str, by_class: bool, args: tuple) -> Any:
    if name == "_rebuild_qtensor" and isinstance(args[0], QuantisedView):
        return function(*args[0], *args[1:])
    if name == "_rebuild_from_type_v2" and len(args) == 4:
        import torch

        _, kind, made, state = args
        if isinstance(made, torch.Tensor):
            if kind is not type(made):
                made = made.as_subclass(kind)
            return torch._utils._set_obj_state(made, state)
    if by_class:
        return function.__new__(function, *args)
    return function(*args)


def _set_state(made: Any, state: Any) -> None:
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    elif isinstance(state, tuple) and len(state) == 2:
        for part in state:
            for key, value in (part or {}).items():
                setattr(made, key, value)
    else:
        made.__dict__.update(state)
