# SPDX-License-Identifier: Apache-2.0
"""save, load and their kin."""

import asyncio
from typing import Any, Generator, Optional

from caisson import _caisson, _cast, _engine, _options, _progress
from caisson._file import File
from caisson.errors import UnsupportedError


class Ticket:
    """A save that goes on. May be awaited; dropping it lets the save go on."""

    def __init__(self, ticket: Any):
        self._ticket = ticket

    def wait(self) -> dict:
        """Returns when the file is in place: what was written, and in what
        time. Raises the error of a save that failed."""
        return self._ticket.wait()

    def staged(self) -> None:
        """Returns when the tensors may change: the last byte of them is in
        staging memory, or the save is over."""
        self._ticket.staged()

    def done(self) -> bool:
        """Whether wait() returns at once."""
        return self._ticket.done()

    def progress(self) -> tuple:
        """Bytes in the file, an upper bound of those to come, and seconds."""
        return self._ticket.progress()

    def cancel(self) -> None:
        """Ends the save soon: CancelledError, and the old file in place."""
        self._ticket.cancel()

    def __await__(self) -> Generator[Any, None, dict]:
        return asyncio.to_thread(self.wait).__await__()


def _save_options(compress, cast, fsync, format, drop, checksums, metadata,
                  profile, arrays=True) -> dict:
    _options.check_compress(compress)
    options = dict(
        cast=_cast.caster(_options.casts(cast)),
        compress=compress,
        fsync=fsync,
        format=format,
        drop=drop,
        checksums=checksums,
        metadata=metadata,
        profile=profile or _options.torch_profile(),
        arrays=arrays,
    )
    return {key: value for key, value in options.items() if value is not None}


def save(obj: Any, path: Any, *, compress: Optional[str] = None,
         cast: Any = None, fsync: bool = True, format: Optional[str] = None,
         drop: bool = False, checksums: bool = True,
         metadata: Optional[dict] = None, profile: Optional[dict] = None,
         progress: Any = None) -> dict:
    """Writes `obj` to `path`, whole or not at all, and returns what was
    written. A .pt is the file that torch.save would write; a .safetensors is
    named by its suffix or `format`."""
    options = _save_options(compress, cast, fsync, format, drop, checksums,
                            metadata, profile)
    told = _progress.teller(progress, "save")
    if told is not None:
        options["told"] = told
    return _caisson.save(_engine.current(), obj, _options.path_of(path),
                         options)


def save_async(obj: Any, path: Any, *, compress: Optional[str] = None,
               cast: Any = None, fsync: bool = True,
               format: Optional[str] = None, drop: bool = False,
               checksums: bool = True, metadata: Optional[dict] = None,
               profile: Optional[dict] = None, when_busy: str = "wait",
               borrow: bool = False,
               snapshot_on_device: bool = False) -> Ticket:
    """The same while the caller goes on. The tensors must stay as they are
    until staged() returns. `when_busy`: "wait", "skip" or "fail" while another
    save runs. `borrow`: they stay until wait() returns."""
    options = _save_options(compress, cast, fsync, format, drop, checksums,
                            metadata, profile)
    options.update(when_busy=when_busy, borrow=borrow,
                   snapshot_on_device=snapshot_on_device)
    return Ticket(_caisson.save_async(_engine.current(), obj,
                                      _options.path_of(path), options))


# Values that torch.load(weights_only=True) refuses and that are safe.
_PLAIN = {("builtins", "frozenset"), ("builtins", "bytes")}


def unsafe(file: Any) -> list:
    """What a file names that torch.load(weights_only=True) refuses, and that is
    not safe: "module.name"."""
    return [f"{module}.{name}" for module, name in file.unknown()
            if (module, name) not in _PLAIN]


def check_loadable(file: Any) -> None:
    for name in unsafe(file):
        raise UnsupportedError(
            f"{file.path}: uses {name}, which is not among what "
            "torch.load(weights_only=True) accepts"
        )


def load(path: Any, *, device: Any = None, names: Any = None,
         verify: bool = True, mmap: bool = False, cast: Any = None,
         framework: Optional[str] = None, progress: Any = None) -> Any:
    """The object in a file, every byte checked. `names`: globs of the tensors
    to read; others are left out. `mmap`: tensors lie in the file, unchecked,
    and are read when touched. `cast`: a floating dtype, or a dict of them by
    glob. `framework`: "torch", which is the default where it is installed, or
    "numpy"."""
    library = _options.library_for(framework)
    file = _caisson.File.open(_options.path_of(path))
    check_loadable(file)
    return _caisson.load(
        _engine.current(), file, _options.names(names), _options.casts(cast),
        verify, mmap, library, None if device is None else str(device),
        _progress.teller(progress, "load"),
    )


def load_into(path: Any, state: Any, *, verify: bool = True,
              allow_unused: bool = False, progress: Any = None) -> None:
    """Fills the tensors of `state`, which has the file's names, shapes and
    dtypes, in place; its other values stay as they are. Nothing is written
    unless everything fits."""
    _caisson.load_into(_engine.current(), _options.path_of(path), state,
                       verify, allow_unused,
                       _progress.teller(progress, "load"))


def open(path: Any, *, framework: Optional[str] = None) -> File:
    """A file as a mapping from names to tensors that are read when sliced."""
    return File(_caisson.File.open(_options.path_of(path)),
                _options.library_for(framework))


def verify(path: Any, *, progress: Any = None) -> dict:
    """Reads everything and reports all damage: {"ok", "checked", "unchecked",
    "damage": [{"file", "record", "tensors", "offset", "problem"}]}."""
    return _caisson.verify(_engine.current(), _options.path_of(path),
                           _progress.teller(progress, "verify"))


def ls(path: Any) -> list:
    """What is in a file, a dict for each tensor: name, path, dtype, shape,
    bytes, storage, offset, stored_bytes, compression, crc32, file."""
    return [tensor.info() for tensor in open(path, framework="numpy").values()]


def convert(source: Any, target: Any, *, compress: Optional[str] = None,
            cast: Any = None, format: Optional[str] = None,
            drop: bool = False, fsync: bool = True) -> dict:
    """Writes the state of one file as another, of another kind or dtype. What
    only torch knows stays as it is; no torch is needed."""
    _options.check_compress(compress)
    options = dict(fsync=fsync, drop=drop)
    if compress is not None:
        options["compress"] = compress
    if format is not None:
        options["format"] = format
    return _caisson.convert(_engine.current(), _options.path_of(source),
                            _options.path_of(target), _options.casts(cast),
                            options)
