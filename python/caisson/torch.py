# SPDX-License-Identifier: Apache-2.0
"""torch.save and torch.load of existing code, through Caisson.

    caisson.torch.patch()

What Caisson does not carry, such as modules pickled whole, file objects or
weights_only=False, goes to the functions of torch as before, with a
FallbackWarning that says why.
"""

import os
import pickle
import warnings
from typing import Any, Optional

import torch

from caisson import _api, _caisson, _engine
from caisson.errors import (
    InvalidArgumentError,
    UnavailableError,
    UnsupportedError,
)

_REFUSED = (InvalidArgumentError, UnavailableError, UnsupportedError)


class FallbackWarning(UserWarning):
    """A call went to torch's own function."""


class Patch:
    """Undone by undo(), or at the end of a with block."""

    def __init__(self) -> None:
        self.save, self.load = torch.save, torch.load

    def undo(self) -> None:
        if torch.save is _save:
            torch.save, torch.load = self.save, self.load

    def __enter__(self) -> "Patch":
        return self

    def __exit__(self, *_: Any) -> None:
        self.undo()


_stock: Optional[Patch] = None


def patch() -> Patch:
    """Makes torch.save and torch.load go through Caisson where they can."""
    global _stock
    if torch.save is not _save:
        _stock = Patch()
        torch.save, torch.load = _save, _load
    assert _stock is not None
    return _stock


def _say(function: str, why: Any) -> None:
    warnings.warn(f"torch.{function} itself: {why}", FallbackWarning,
                  stacklevel=3)


def _is_path(f: Any) -> bool:
    return isinstance(f, (str, os.PathLike))


def _why_not_save(f, pickle_module, pickle_protocol, rest) -> Optional[str]:
    if not _is_path(f):
        return "a file object"
    if pickle_module is not pickle or pickle_protocol != 2:
        return "another pickle module or protocol"
    if not rest.get("_use_new_zipfile_serialization", True):
        return "the legacy format"
    tls = getattr(torch.serialization, "_serialization_tls", None)
    if getattr(tls, "skip_data", False):
        return "skip_data"
    return None


def _save(obj: Any, f: Any, pickle_module: Any = pickle,
          pickle_protocol: int = 2, *args: Any, **rest: Any) -> None:
    why = "more arguments" if args else _why_not_save(
        f, pickle_module, pickle_protocol, rest)
    if why is None:
        options = _api._save_options(None, None, True, "pytorch", False, True,
                                     None, None, arrays=False)
        try:
            _caisson.save(_engine.current(), obj, os.fsdecode(os.fspath(f)),
                          options)
            return
        except _REFUSED as error:
            why = str(error)
    _say("save", why)
    _stock.save(obj, f, pickle_module, pickle_protocol, *args, **rest)


def _why_not_load(f, map_location, pickle_module, weights_only,
                  rest) -> Optional[str]:
    if not _is_path(f):
        return "a file object"
    if not isinstance(map_location, (type(None), str, torch.device)):
        return "a map_location that is no device"
    if pickle_module is not None or rest:
        return "another pickle module or its arguments"
    if weights_only is not None and not weights_only:
        return "weights_only=False"
    return None


def _load(f: Any, map_location: Any = None, pickle_module: Any = None, *,
          weights_only: Optional[bool] = None, mmap: Optional[bool] = None,
          **rest: Any) -> Any:
    why = _why_not_load(f, map_location, pickle_module, weights_only, rest)
    if why is None:
        try:
            return _api.load(f, device=map_location or "stored",
                             mmap=bool(mmap), framework="torch")
        except _REFUSED as error:
            why = str(error)
    _say("load", why)
    return _stock.load(f, map_location, pickle_module,
                       weights_only=weights_only, mmap=mmap, **rest)
