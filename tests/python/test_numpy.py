# SPDX-License-Identifier: Apache-2.0
"""Arrays of numpy, with torch or without."""

import array
import importlib.util

import caisson
import numpy
import pytest

HAVE_TORCH = importlib.util.find_spec("torch") is not None


def test_arrays_come_back(folder):
    base = numpy.arange(24, dtype=numpy.float32).reshape(4, 6)
    state = {"base": base, "view": base[1:3, ::2], "turned": base.T,
             "back": base[::-1], "empty": numpy.empty((0, 3)),
             "scalar": numpy.array(2.5), "half": base.astype(numpy.float16),
             "flags": base > 5, "big": base.astype(">f8"), "step": 2**70,
             "text": "h\u00e9", "pair": (1, None, b"\x00"), "c": 1j,
             "ints": array.array("q", [1, 2, 3])}
    path = folder / "x.pt"
    caisson.save(state, path)
    loaded = caisson.load(path, framework="numpy")
    for key, value in state.items():
        if isinstance(value, (numpy.ndarray, array.array)):
            assert numpy.array_equal(loaded[key], value), key
        else:
            assert loaded[key] == value, key
    # base, view and turned are one record.
    records = {e["name"]: e["storage"] for e in caisson.ls(path)}
    assert records["base"] == records["view"] == records["turned"]
    assert numpy.shares_memory(loaded["base"], loaded["turned"])


def test_load_into_fills_arrays(folder):
    caisson.save({"w": numpy.arange(6.0)}, folder / "x.pt")
    target = {"w": numpy.zeros(6)}
    caisson.load_into(folder / "x.pt", target)
    assert target["w"].tolist() == [0, 1, 2, 3, 4, 5]
    frozen = numpy.zeros(6)
    frozen.flags.writeable = False
    for odd in (frozen, numpy.zeros(6)[::-1], numpy.zeros(6, ">f8")):
        with pytest.raises(caisson.InvalidArgumentError, match="in place"):
            caisson.load_into(folder / "x.pt", {"w": odd})
    caisson.save({"w": frozen}, folder / "y.pt")


def test_open_and_safetensors(folder):
    caisson.save({"w": numpy.arange(12).reshape(3, 4)},
                 folder / "x.safetensors")
    with caisson.open(folder / "x.safetensors", framework="numpy") as file:
        assert file["w"][1:, 2].tolist() == [6, 10]
    assert caisson.verify(folder / "x.safetensors")["ok"]


def test_what_is_no_plain_array_is_refused(folder):
    for odd in [numpy.array(["text"]), numpy.array([object()]),
                numpy.float64(1), numpy.ma.array([1])]:
        with pytest.raises(caisson.UnsupportedError):
            caisson.save({"x": odd}, folder / "x.pt")


@pytest.mark.skipif(HAVE_TORCH, reason="torch is installed")
def test_without_torch_arrays_are_the_default(folder):
    caisson.save({"w": numpy.ones(2)}, folder / "x.pt")
    assert isinstance(caisson.load(folder / "x.pt")["w"], numpy.ndarray)
