# SPDX-License-Identifier: Apache-2.0
"""Files are those of torch.save, byte for byte, and come back the same."""

import collections
import warnings

import caisson
import pytest

torch = pytest.importorskip("torch")
import torch_states  # noqa: E402
from same import same  # noqa: E402


def states():
    yield from torch_states.random_states(200, 7)
    yield from torch_states.special_states()
    yield from torch_states.full_pickle_states()
    for n in range(1, 7):
        yield f"golden_{n}", torch_states.golden(n)
    yield "module", torch_states.module_state()
    yield "adamw", torch_states.adamw_state()


def test_files_are_those_of_torch_save(folder):
    (folder / "ours").mkdir()
    (folder / "theirs").mkdir()
    wrong = []
    for name, state in states():
        ours, theirs = folder / "ours/x.pt", folder / "theirs/x.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(state, theirs)
        caisson.save(state, ours, fsync=False)
        if ours.read_bytes() != theirs.read_bytes():
            wrong.append(name)
    assert wrong == []


def test_both_read_what_either_wrote(folder):
    wrong = []
    for name, state in states():
        path = folder / "x.pt"
        caisson.save(state, path, fsync=False)
        full = name.startswith("full")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stock = torch.load(path, weights_only=not full)
            torch.save(state, folder / "y.pt")
        if not (same(state, stock) and same(stock, caisson.load(path))
                and same(stock, caisson.load(folder / "y.pt"))):
            wrong.append(name)
    assert wrong == []


def test_views_share_their_storages(folder):
    bases = [torch.randn(50, 20) for _ in range(10)]
    state = {str(i): bases[i % 10][i % 50:, i % 20] for i in range(1000)}
    caisson.save(state, folder / "views.pt")
    records = {entry["storage"] for entry in caisson.ls(folder / "views.pt")}
    assert len(records) == 10
    loaded = caisson.load(folder / "views.pt")
    storages = {t.untyped_storage()._cdata for t in loaded.values()}
    assert len(storages) == 10
    loaded["0"].fill_(7)
    assert loaded["10"].untyped_storage()._cdata == (
        loaded["0"].untyped_storage()._cdata)


def test_identity_of_objects_survives(folder):
    w = torch.nn.Parameter(torch.ones(3))
    key = "".join(["ti", "ed"])
    state = {"a": w, "b": w, "c": [key, key], "cpu": 1, "d": {"x": []}}
    state["e"] = state["d"]
    caisson.save(state, folder / "x.pt")
    loaded = caisson.load(folder / "x.pt")
    assert loaded["a"] is loaded["b"] and loaded["d"] is loaded["e"]
    assert isinstance(loaded["a"], torch.nn.Parameter)
    assert loaded["a"].requires_grad and loaded["a"].is_leaf


class Custom:
    pass


@pytest.mark.parametrize("thing, name", [
    (Custom(), "Custom"),
    (torch.nn.Linear(1, 1), "Linear"),
    (collections.defaultdict(int), "defaultdict"),
    (collections.namedtuple("Point", "x")(1), "Point"),
    (print, "print"),
    (torch.save, "save"),
])
def test_what_is_not_safe_is_refused_by_name(folder, thing, name):
    path = folder / "x.pt"
    with pytest.raises(caisson.UnsupportedError, match=name) as caught:
        caisson.save({"model": [0, thing]}, path)
    assert "['model'][1]" in str(caught.value)
    assert not path.exists()


def test_a_file_that_names_unsafe_things_is_refused(folder):
    torch.save({"x": Custom()}, folder / "x.pt")
    with pytest.raises(caisson.UnsupportedError, match="Custom"):
        caisson.load(folder / "x.pt")


def test_a_container_that_contains_itself_is_refused(folder):
    loop = []
    loop.append(loop)
    with pytest.raises(caisson.UnsupportedError, match="itself"):
        caisson.save(loop, folder / "x.pt")


def test_patch_goes_through_us_and_falls_back(folder):
    import caisson.torch

    state = {"w": torch.randn(3)}
    with caisson.torch.patch(), warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.save(state, folder / "x.pt")
        assert same(state, torch.load(folder / "x.pt"))
        with pytest.warns(caisson.torch.FallbackWarning, match="Custom"):
            torch.save({"x": Custom()}, folder / "y.pt")
        with pytest.warns(caisson.torch.FallbackWarning, match="weights_only"):
            assert isinstance(
                torch.load(folder / "y.pt", weights_only=False)["x"], Custom)
        assert torch.save.__module__ == "caisson.torch"
    assert torch.save.__module__ == "torch.serialization"
