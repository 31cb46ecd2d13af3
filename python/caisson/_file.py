# SPDX-License-Identifier: Apache-2.0
"""A file that is open: a mapping from names to tensors not yet read."""

from collections.abc import Mapping
from typing import Any, Iterator, Optional

from caisson import _caisson, _engine
from caisson.errors import InvalidArgumentError, UnsupportedError

_FIELDS = ("name", "path", "dtype", "shape", "bytes", "storage", "offset",
           "stored_bytes", "compression", "crc32", "file")


class LazyTensor:
    """A tensor of a file. Slicing reads what the slice needs."""

    def __init__(self, file: "File", position: int, facts: tuple):
        self._file = file
        self._position = position
        self._facts = dict(zip(_FIELDS, facts))

    @property
    def name(self) -> str:
        return self._facts["name"]

    @property
    def shape(self) -> tuple:
        return tuple(self._facts["shape"])

    @property
    def dtype(self) -> str:
        """torch's name of it, without "torch."."""
        return self._facts["dtype"]

    def info(self) -> dict:
        facts = dict(self._facts)
        if facts["crc32"] is not None:
            facts["crc32"] = f"{facts['crc32']:08x}"
        return facts

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor without dimensions has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{self.name}: {self.dtype} {list(self.shape)}>"

    def read(self) -> Any:
        """All of it, checked."""
        return self[...]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy

        from caisson import _arrays

        return numpy.asarray(self._read(_whole(self.shape), _arrays), dtype)

    def __getitem__(self, index: Any) -> Any:
        block, rest = _block(index, self.shape)
        made = self._read(block, self._file._library)
        return made[rest] if rest else made

    def _read(self, block: list, library: Any) -> Any:
        shape = tuple(end - begin for begin, end in block)
        made, address, size = empty(library, self.dtype, shape)
        if size:
            whole = block == _whole(self.shape)
            self.read_into(address, size, [] if whole else block)
        return made

    def read_into(self, address: int, size: int, block: list) -> bool:
        """Reads a block to where there is room for exactly its bytes; whether
        all of them were checked."""
        wanted = [(self._position, block, address, size)]
        return _caisson.read(_engine.current(), self._file._file, wanted,
                             None)[0]


class File(Mapping):
    """What caisson.open() gives."""

    def __init__(self, file: Any, library: Any):
        self._file = file
        self._library = library
        self._tensors = {}
        self._twice = set()
        for position, facts in enumerate(file.tensors()):
            if facts[0] in self._tensors:
                self._twice.add(facts[0])
            self._tensors[facts[0]] = LazyTensor(self, position, facts)

    path = property(lambda self: self._file.path)
    format = property(lambda self: self._file.format)
    bytes = property(lambda self: self._file.bytes)
    metadata = property(lambda self: self._file.metadata())

    def state(self) -> Any:
        """The tree without its tensors."""
        return self._file.tree(self._library)

    def __getitem__(self, name: str) -> LazyTensor:
        if name in self._twice:
            raise InvalidArgumentError(f"{self.path}: several '{name}'")
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: Any) -> None:
        pass


def _whole(shape: tuple) -> list:
    return [(0, size) for size in shape]


def _block(index: Any, shape: tuple) -> tuple:
    """The range of each dimension that `index` needs, and what is left of the
    index for the block: steps, and positions to drop."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at:at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    if len(parts) > len(shape):
        raise IndexError(f"{len(parts)} indices for {len(shape)} dimensions")
    parts += [slice(None)] * (len(shape) - len(parts))
    block, rest = [], []
    for part, size in zip(parts, shape):
        if isinstance(part, slice):
            begin, end, step = part.indices(size)
            if step < 1:
                raise IndexError("a slice with a step below 1")
            block.append((begin, max(begin, end)))
            rest.append(slice(None, None, step))
        else:
            position = part.__index__()
            if not -size <= position < size:
                raise IndexError(f"{position} of a dimension of {size}")
            position %= size
            block.append((position, position + 1))
            rest.append(0)
    plain = all(part == slice(None, None, 1) for part in rest)
    return block, None if plain else tuple(rest)


def empty(library: Any, dtype: str, shape: tuple) -> tuple:
    """A new tensor or array, its address and its bytes."""
    if library.__name__.endswith("_arrays"):
        import numpy

        made = numpy.empty(shape, library.dtype_of(dtype))
        return made, made.__array_interface__["data"][0], made.nbytes
    import torch

    kind: Optional[Any] = getattr(torch, dtype, None)
    if kind is None:
        raise UnsupportedError(f"this torch has no {dtype}")
    made = torch.empty(shape, dtype=kind)
    return made, made.data_ptr(), made.numel() * made.element_size()
