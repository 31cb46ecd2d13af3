# SPDX-License-Identifier: Apache-2.0
"""Whether two states of torch are the same, bit by bit."""

import struct

import torch


def _bits(tensor):
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    if tensor.dim() == 0:
        tensor = tensor.reshape(1)
    return tensor.view(torch.uint8)


def _same_tensor(a, b):
    if a.is_nested:
        return b.is_nested and all(
            _same_tensor(x, y) for x, y in zip(a.unbind(), b.unbind()))
    if (type(a), a.dtype, a.layout, a.shape, a.requires_grad) != (
            type(b), b.dtype, b.layout, b.shape, b.requires_grad):
        return False
    if a.__dict__ and not same(dict(a.__dict__), dict(b.__dict__)):
        return False
    if a.device.type == "meta":
        return a.stride() == b.stride()
    if a.layout == torch.sparse_coo:
        return _same_tensor(a._indices(), b._indices()) and _same_tensor(
            a._values(), b._values())
    if a.layout in (torch.sparse_csr, torch.sparse_bsr):
        return _same_tensor(a.values(), b.values()) and _same_tensor(
            a.crow_indices(), b.crow_indices())
    if a.layout != torch.strided:
        return _same_tensor(a.values(), b.values())
    if a.is_quantized:
        return a.qscheme() == b.qscheme() and bool(
            (a.int_repr() == b.int_repr()).all())
    if a.stride() != b.stride() or a.storage_offset() != b.storage_offset():
        return False
    return a.numel() == 0 or torch.equal(_bits(a), _bits(b))


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and _same_tensor(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(
            same(x, y) for x, y in zip(a.values(), b.values())
        ) and same(getattr(a, "__dict__", None), getattr(b, "__dict__", None))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return same((a.real, a.imag), (b.real, b.imag))
    if isinstance(a, (torch.UntypedStorage, torch.storage.TypedStorage)):
        return a.tolist() == b.tolist()
    return a == b
