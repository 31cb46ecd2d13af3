# SPDX-License-Identifier: Apache-2.0
"""What must hold of a checkpoint's metadata before a byte is read."""

from typing import Any

import numpy
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    MetadataIndex,
)

from caisson.errors import CorruptError

# More cells than this of one tensor are no layout that anybody saves.
_MOST_CELLS = 1 << 24


def plain_name(name: Any) -> str:
    """A file of the same directory."""
    if (not isinstance(name, str) or name in ("", ".", "..")
            or "/" in name or "\\" in name or "\0" in name):
        raise CorruptError(f"a shard called {name!r}, which is no file's name")
    return name


def check_chunks(state: dict, storage: dict, whole: bool = True) -> None:
    """That the chunks of each tensor cover it exactly once, and that each is
    stored. Not `whole`: they are those of one rank, and may leave holes."""
    for fqn, what in state.items():
        if isinstance(what, BytesStorageMetadata):
            if MetadataIndex(fqn) not in storage:
                raise CorruptError(f"'{fqn}': stored nowhere")
            continue
        for chunk in what.chunks:
            if MetadataIndex(fqn, chunk.offsets) not in storage:
                raise CorruptError(
                    f"'{fqn}': the chunk at {list(chunk.offsets)} is stored "
                    "nowhere"
                )
        check_cover(fqn, what.size, what.chunks, whole)


def check_cover(fqn: str, size: Any, chunks: list,
                whole: bool = True) -> None:
    rank = len(size)
    for chunk in chunks:
        inside = len(chunk.offsets) == len(chunk.sizes) == rank and all(
            0 <= begin and 0 <= count and begin + count <= most
            for begin, count, most in zip(chunk.offsets, chunk.sizes, size)
        )
        if not inside:
            raise CorruptError(
                f"'{fqn}': a chunk of {list(chunk.sizes)} at "
                f"{list(chunk.offsets)} is not within {list(size)}"
            )
    if 0 in size:
        return
    cuts = [sorted({0, size[d], *(c.offsets[d] for c in chunks),
                    *(c.offsets[d] + c.sizes[d] for c in chunks)})
            for d in range(rank)]
    cells = [len(cut) - 1 for cut in cuts]
    count = 1
    for part in cells:
        count *= part
    if count > _MOST_CELLS:
        raise CorruptError(f"'{fqn}': chunks that are cut {count} ways")
    places = [{at: i for i, at in enumerate(cut)} for cut in cuts]
    filled = numpy.zeros(cells, bool)
    for chunk in chunks:
        if 0 in chunk.sizes:
            continue
        block = tuple(
            slice(place[begin], place[begin + length])
            for place, begin, length in zip(places, chunk.offsets, chunk.sizes)
        )
        if filled[block].any():
            raise CorruptError(
                f"'{fqn}': the chunk at {list(chunk.offsets)} overlaps another"
            )
        filled[block] = True
    if whole and not filled.all():
        raise CorruptError(f"'{fqn}': a hole between its chunks")
