# SPDX-License-Identifier: Apache-2.0
"""Converts floating tensors before a save, storage by storage, so that those
that share memory still do."""

import fnmatch
from typing import Any, Callable, Optional

from caisson.errors import InvalidArgumentError


def caster(rules: list) -> Optional[Callable]:
    """What the extension calls with name, storage and dtype of each tensor of
    torch; it gives (storage, dtype), or None to leave it as it is."""
    if not rules:
        return None
    import torch

    for _, dtype in rules:
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
            raise InvalidArgumentError(f"cast: no floating dtype {dtype!r}")
    done = {}

    def cast(name: str, storage: Any, dtype: str) -> Optional[tuple]:
        source = getattr(torch, dtype)
        if not source.is_floating_point:
            return None
        for glob, target in rules:
            if fnmatch.fnmatchcase(name, glob):
                break
        else:
            return None
        if target == dtype:
            return None
        kind = getattr(torch, target)
        key = (storage._cdata, target)
        if key not in done:
            flat = torch.empty(0, dtype=source, device=storage.device)
            done[key] = flat.set_(storage).to(kind).untyped_storage()
        return done[key], kind

    return cast
