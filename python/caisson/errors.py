# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, by what the caller can do about it."""

import re
from typing import Optional

__all__ = [
    "CaissonError",
    "InvalidArgumentError",
    "NotFoundError",
    "CorruptError",
    "UnsupportedError",
    "UnavailableError",
    "OutOfMemoryError",
    "StorageError",
    "DeviceError",
    "CancelledError",
    "IncompleteCheckpointError",
]


class CaissonError(Exception):
    """Any failure. The message names file, record or tensor, and offset; so do
    these attributes, each None where the failure has none."""

    file: Optional[str] = None
    record: Optional[str] = None
    tensor: Optional[str] = None
    offset: Optional[int] = None


class InvalidArgumentError(CaissonError, ValueError):
    """Fix the call."""


class NotFoundError(CaissonError, FileNotFoundError):
    """Ask for something that exists."""


class CorruptError(CaissonError, ValueError):
    """The file is damaged: restore a backup."""


class UnsupportedError(CaissonError, TypeError):
    """Valid, and beyond this version, or not safe to carry."""


class UnavailableError(CaissonError, RuntimeError):
    """No such device here."""


class OutOfMemoryError(CaissonError, MemoryError):
    """Free memory, or ask for less."""


class StorageError(CaissonError, OSError):
    """The disk failed or is full; may be retried."""


class DeviceError(CaissonError, RuntimeError):
    """The device failed."""


class CancelledError(CaissonError):
    """Somebody asked for it."""


class IncompleteCheckpointError(CaissonError, FileNotFoundError):
    """A directory without a manifest: its save never ended."""


_CLASSES = {
    "invalid argument": InvalidArgumentError,
    "not found": NotFoundError,
    "corrupt": CorruptError,
    "unsupported": UnsupportedError,
    "unavailable": UnavailableError,
    "out of memory": OutOfMemoryError,
    "i/o error": StorageError,
    "device error": DeviceError,
    "cancelled": CancelledError,
}
_RECORD = re.compile(r"record '([^']*)'|storage '([^']*)'")
_TENSOR = re.compile(r"tensor '([^']*)'")
_OFFSET = re.compile(r" at (\d+)")


def _make(code: str, message: str, path: str = "") -> CaissonError:
    kind = _CLASSES[code]
    if kind is NotFoundError and ": incomplete checkpoint" in message:
        kind = IncompleteCheckpointError
    error = kind(message)
    record = _RECORD.search(message)
    tensor = _TENSOR.search(message)
    offset = _OFFSET.search(message)
    if path:
        error.file = path
    if record:
        error.record = record[1] or record[2]
    if tensor:
        error.tensor = tensor[1]
    if offset:
        error.offset = int(offset[1])
    return error
