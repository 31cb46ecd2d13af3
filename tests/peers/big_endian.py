# SPDX-License-Identifier: Apache-2.0
"""The file that stock torch on a big-endian machine saves.

big_twin(source, target) turns the storages of a .pt file over, by the element
type that the pickle gives each, and names the order "big".
"""

import io
import pickle
import zipfile

import numpy
import torch


def big_twin(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        folder = old.namelist()[0].split("/")[0]
        widths = _swap_widths(old.read(f"{folder}/data.pkl"))
        for info in old.infolist():
            name = info.filename.removeprefix(f"{folder}/")
            content = old.read(info)
            if name == ".format_version":
                continue  # promises an alignment that zipfile does not keep
            if name == "byteorder":
                content = b"big"
            elif name.startswith("data/"):
                width = widths[name.removeprefix("data/")]
                content = _turned(content, width)
            new.writestr(info.filename, content)


def _turned(content, width):
    units = numpy.frombuffer(content, numpy.uint8).reshape(-1, width)
    return units[:, ::-1].tobytes()


def _swap_widths(data):
    """{key: bytes of the number that a storage is made of}"""
    reader = _Reader(io.BytesIO(data))
    reader.load()
    return reader.widths


class _Stub(dict):
    """Stands for whatever a pickle calls, and for what comes of that."""

    def __init__(self, *_):
        super().__init__()

    def __setstate__(self, _):
        pass

    __hash__ = object.__hash__


class _Reader(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.widths = {}

    def find_class(self, module, name):
        if module == "torch.storage" and name == "UntypedStorage":
            return torch.uint8
        if module == "torch" and name.endswith("Storage"):
            return getattr(torch, name).dtype
        return _Stub

    def persistent_load(self, saved):
        _, dtype, key, _, _ = saved
        parts = 2 if dtype.is_complex else 1
        self.widths[key] = dtype.itemsize // parts
        return _Stub()
