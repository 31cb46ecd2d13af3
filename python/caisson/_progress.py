# SPDX-License-Identifier: Apache-2.0
"""One line on a terminal that tells how far a save or load is."""

import sys
from typing import Any, Callable, Optional


def teller(progress: Any, verb: str) -> Optional[Callable]:
    """`progress`: None or False, True for a line on stderr, or a function of
    bytes done, bytes in all and seconds."""
    if progress is None or progress is False:
        return None
    if callable(progress):
        return progress
    return _Line(verb)


class _Line:
    def __init__(self, verb: str):
        self._verb = verb
        self._over = False

    def __call__(self, done: int, total: int, seconds: float) -> None:
        if self._over:
            return
        part = min(done / total, 1.0) if total else 1.0
        rate = done / seconds / 1e9 if seconds else 0.0
        bar = ("#" * round(part * 30)).ljust(30, ".")
        self._over = done >= total
        sys.stderr.write(
            f"\r{self._verb} [{bar}] {part:4.0%} {done / 1e9:.2f} GB, "
            f"{rate:.2f} GB/s" + ("\n" if self._over else "")
        )
        sys.stderr.flush()
