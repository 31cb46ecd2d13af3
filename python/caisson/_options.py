# SPDX-License-Identifier: Apache-2.0
"""The arguments of save and load, as the extension takes them."""

import os
import sys
from typing import Any, Optional

from caisson import _arrays, _objects
from caisson.errors import InvalidArgumentError, UnsupportedError


def torch_of_process() -> Optional[Any]:
    return sys.modules.get("torch")


def library_for(framework: Optional[str]) -> Any:
    """The module that makes tensors: of torch where it is installed."""
    if framework not in (None, "torch", "numpy"):
        raise InvalidArgumentError(
            f"framework: 'torch' or 'numpy', not {framework!r}"
        )
    if framework == "numpy":
        return _arrays
    try:
        import torch  # noqa: F401
    except ImportError:
        if framework == "torch":
            raise
        return _arrays
    return _objects


def dtype_name(dtype: Any) -> str:
    """torch's name of a dtype of torch or numpy, or of a name."""
    if isinstance(dtype, str):
        return dtype.removeprefix("torch.")
    text = str(dtype)
    if text.startswith("torch."):
        return text.removeprefix("torch.")
    import numpy

    return numpy.dtype(dtype).name


def casts(cast: Any) -> list:
    """(glob, dtype name) of each, from a dtype or a dict of them by glob."""
    if cast is None:
        return []
    if isinstance(cast, dict):
        return [(glob, dtype_name(dtype)) for glob, dtype in cast.items()]
    return [("*", dtype_name(cast))]


def names(given: Any) -> list:
    if given is None:
        return []
    return [given] if isinstance(given, str) else list(given)


def path_of(path: Any) -> str:
    return os.fsdecode(os.fspath(path))


def check_compress(compress: Any) -> None:
    if compress not in (None, "none", "deflate", "plane", "auto"):
        raise UnsupportedError(
            f"compress={compress!r}: expected None, 'deflate', 'plane' or "
            "'auto'"
        )


def torch_profile() -> Optional[dict]:
    """The layout that the imported torch writes; None: the newest."""
    torch = torch_of_process()
    if torch is None:
        return None
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    profile = dict(
        format_version=version >= (2, 7),
        storage_alignment=version >= (2, 8),
        byteorder=version >= (2, 1),
        serialization_id=version >= (2, 1),
        numeric_order=version >= (2, 7),
    )
    config = getattr(getattr(torch, "utils", None), "serialization", None)
    save = getattr(getattr(config, "config", None), "save", None)
    if save is not None:
        profile["alignment"] = getattr(save, "storage_alignment", 64)
    if hasattr(torch.serialization, "get_crc32_options"):
        profile["crc32"] = torch.serialization.get_crc32_options()
    return profile
