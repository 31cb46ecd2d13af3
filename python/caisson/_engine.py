# SPDX-License-Identifier: Apache-2.0
"""The engine of this process: its staging memory and threads, made when they
are first needed and kept."""

import atexit
import os
import threading
from typing import Any, Optional

from caisson import _caisson

_lock = threading.Lock()
_engine: Optional[Any] = None
_options: dict = {}


def configure(
    *,
    pool_bytes: int = 0,
    window_bytes: int = 0,
    threads: int = 0,
    depth: int = 0,
    io: str = "auto",
    direct: bool = True,
) -> None:
    """Sets what later calls work with; 0 means the default. `pool_bytes` is the
    staging memory (256 MiB): a save is asynchronous as far as its tensors fit.
    `threads` copy and check bytes; an asynchronous save takes a quarter of
    them. `io` is "auto", "threads" or "uring"; `direct`: past the page cache
    where the file system can. Waits for a save that is running."""
    global _engine, _options
    options = dict(pool_bytes=pool_bytes, window_bytes=window_bytes,
                   threads=threads, depth=depth, io=io, direct=direct)
    made = _caisson.Engine.create(**options)
    with _lock:
        _engine, _options = made, options


def current() -> Any:
    """The engine, made if there is none."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = _caisson.Engine.create(**_options)
        return _engine


def _close() -> None:
    """Waits for a save that is running, before the interpreter goes."""
    global _engine
    with _lock:
        engine, _engine = _engine, None
    if engine is not None:
        engine.close()


def _after_fork() -> None:
    """A child has none of the engine's threads: it makes its own engine."""
    global _engine, _lock
    _lock = threading.Lock()
    if _engine is not None:
        _engine.leak()
        _engine = None


atexit.register(_close)
os.register_at_fork(after_in_child=_after_fork)
