# SPDX-License-Identifier: Apache-2.0
"""Distributed checkpoints: conformance 56 to 60."""

import io
import os
import pathlib
import pickle
import subprocess
import sys
import warnings

import caisson
import pytest

torch = pytest.importorskip("torch")
import torch.distributed.checkpoint as dcp  # noqa: E402
from caisson.dcp import (  # noqa: E402
    CaissonReader,
    CaissonWriter,
    _check,
    _stock,
)
from torch.distributed.checkpoint import metadata as md  # noqa: E402

RANKS = pathlib.Path(__file__).with_name("dcp_ranks.py")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("scenario", ["pairs", "faults", "kill"])
def test_ranks(folder, scenario):
    done = subprocess.run([sys.executable, RANKS, scenario, folder],
                          capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_engine_opens_whole_checkpoints(folder):
    script = pathlib.Path(__file__).with_name("dcp_whole.py")
    done = subprocess.run([sys.executable, script, folder],
                          capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr


def save_stock(folder, state):
    dcp.save(state, storage_writer=dcp.FileSystemWriter(folder), no_dist=True)


def load(folder, state, **options):
    dcp.load(state, storage_reader=CaissonReader(folder, **options),
             no_dist=True)
    return state


@pytest.mark.parametrize("protocol", [4, 5])
def test_stock_metadata_is_read_as_data(folder, protocol):
    save_stock(folder, {"w": torch.ones(4, 3), "step": 5})
    path = folder / ".metadata"
    meta = pickle.loads(path.read_bytes())
    meta.storage_meta = md.StorageMeta(checkpoint_id=pathlib.Path("/x"))
    path.write_bytes(pickle.dumps(meta, protocol=protocol))
    for version in ("1.0.0", None):
        if version is None and hasattr(meta, "version"):
            del meta.__dict__["version"]
            path.write_bytes(pickle.dumps(meta, protocol=protocol))
        state = load(folder, {"w": torch.zeros(4, 3), "step": 0})
        assert state["step"] == 5 and torch.equal(state["w"], torch.ones(4, 3))
    # The form of a fork: an archive of torch.save.
    torch.save(meta, folder / "fork.pt")
    (folder / "fork.pt").rename(path)
    assert load(folder, {"w": torch.zeros(4, 3)})["w"].all()
    # Names of other versions of Python and torch.
    bare = pickle.dumps(meta, protocol=2).replace(
        b"cpathlib\nPosixPath\n", b"cpathlib._local\nPosixPath\n"
    ).replace(
        b"ctorch.distributed.checkpoint.metadata\nTensorProperties\n",
        b"ctorch.distributed._shard.sharded_tensor.metadata\n"
        b"TensorProperties\n")
    assert b"_local" in bare and b"sharded_tensor" in bare
    path.write_bytes(bare)
    assert load(folder, {"w": torch.zeros(4, 3)})["w"].all()


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_metadata_that_names_anything_else_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    save_stock(folder / "c", {"w": torch.ones(2)})
    for evil in (Evil(), {"x": Evil()}, md.Metadata({"w": Evil()})):
        (folder / "c/.metadata").write_bytes(pickle.dumps(evil))
        with pytest.raises(caisson.UnsupportedError, match="system"):
            _stock.read(folder / "c")
    for cut in range(0, 60, 7):
        (folder / "c/.metadata").write_bytes(b"\x80\x04\x95junk"[:cut])
        with pytest.raises(caisson.CorruptError):
            _stock.read(folder / "c")
    assert not (folder / "ran").exists()


def test_values_that_would_run_are_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    save_stock(folder / "stock", {"x": Evil()})
    dcp.save({"x": Evil()}, storage_writer=CaissonWriter(folder / "ours"),
             no_dist=True)
    for kind in ("stock", "ours"):
        with pytest.raises(BaseException, match="system"):
            load(folder / kind, {"x": 0})
        assert not (folder / "ran").exists()
    load(folder / "ours", {"x": 0}, allow_pickle=True)
    assert (folder / "ran").exists()


def corrupt(folder, change):
    path = folder / ".metadata"
    meta = pickle.loads(path.read_bytes())
    change(meta)
    path.write_bytes(pickle.dumps(meta))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", ""])
def test_shards_outside_the_directory_are_refused(folder, name):
    save_stock(folder, {"w": torch.ones(2)})

    def change(meta):
        for info in meta.storage_data.values():
            info.relative_path = name

    corrupt(folder, change)
    with pytest.raises(caisson.CorruptError, match="no file's name"):
        _stock.read(folder)


def test_stock_items_that_do_not_fit_are_refused(folder):
    def beyond(meta):
        for info in meta.storage_data.values():
            info.length += 10**9

    def other_dtype(meta):
        meta.state_dict_metadata["w"].properties.dtype = torch.int32

    def transformed(meta):
        for info in meta.storage_data.values():
            object.__setattr__(info, "transform_descriptors", ["zstd"])

    def nowhere(meta):
        meta.storage_data.clear()

    changes = {beyond: "needs 10", other_dtype: "expected int32",
               transformed: "is transformed by", nowhere: "stored nowhere"}
    for i, (change, problem) in enumerate(changes.items()):
        place = folder / str(i)
        save_stock(place, {"w": torch.ones(2)})
        corrupt(place, change)
        with pytest.raises(BaseException, match=problem):
            load(place, {"w": torch.zeros(2)})


def chunks(*blocks):
    return [md.ChunkStorageMetadata(offsets=torch.Size(at),
                                    sizes=torch.Size(size))
            for at, size in blocks]


@pytest.mark.parametrize("size, blocks, problem", [
    ([4], [([0], [4])], None),
    ([4, 4], [([0, 0], [2, 4]), ([2, 0], [2, 1]), ([2, 1], [2, 3])], None),
    ([0, 3], [], None),
    ([], [([], [])], None),
    ([4], [([0], [3])], "hole"),
    ([4], [], "hole"),
    ([4], [([0], [3]), ([2], [2])], "overlaps"),
    ([4], [([0], [5])], "not within"),
    ([4], [([-1], [5])], "not within"),
    ([4, 4], [([0, 0], [4, 2]), ([0, 1], [4, 2])], "overlaps"),
    ([4, 4], [([0], [4])], "not within"),
])
def test_chunks_cover_a_tensor_exactly_once(size, blocks, problem):
    if problem is None:
        _check.check_cover("w", size, chunks(*blocks))
        return
    with pytest.raises(caisson.CorruptError, match=problem):
        _check.check_cover("w", size, chunks(*blocks))


def save_ours(folder, value):
    dcp.save({"w": torch.full((64,), float(value)), "step": value},
             storage_writer=CaissonWriter(folder), no_dist=True)


def test_damage_of_ours_is_found(folder):
    save_ours(folder, 1)
    (shard,) = folder.glob("__*.pt")
    whole = shard.read_bytes()
    entry = next(e for e in caisson.ls(shard) if e["name"].startswith("w"))
    data = bytearray(whole)
    data[entry["offset"] + 5] ^= 1
    shard.write_bytes(data)
    with pytest.raises(BaseException, match="CRC|crc|checksum"):
        load(folder, {"w": torch.zeros(64)})
    assert not caisson.dcp.verify(folder)["ok"]
    # Another file of the same shape is not the one of the manifest.
    save_ours(folder / "other", 2)
    (other,) = (folder / "other").glob("__*.pt")
    shard.write_bytes(other.read_bytes())
    with pytest.raises(BaseException, match="manifest"):
        load(folder, {"w": torch.zeros(64)})
    shard.write_bytes(whole)
    assert load(folder, {"w": torch.zeros(64)})["w"].all()
    manifest = folder / "caisson.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"64", b"65", 1))
    with pytest.raises(BaseException, match="CRC"):
        load(folder, {"w": torch.zeros(64)})
    manifest.unlink()
    with pytest.raises(BaseException, match="incomplete checkpoint"):
        load(folder, {"w": torch.zeros(64)})


def test_a_save_removes_what_it_replaced(folder):
    save_stock(folder, {"w": torch.zeros(64), "step": 0})
    (folder / "mine.txt").touch()
    (folder / "caisson.0.json").touch()
    for value in (1, 2):
        save_ours(folder, value)
        names = sorted(path.name for path in folder.iterdir())
        assert names[1:] == ["caisson.json", "mine.txt"] and len(names) == 3
        assert load(folder, {"w": torch.zeros(64)})["w"][0] == value
    alone = CaissonWriter(folder)
    alone.set_up_storage_writer(True, rank=0, use_collectives=False)
    with pytest.raises(caisson.InvalidArgumentError, match="together"):
        alone.prepare_local_plan(dcp.SavePlan([]))


def test_a_slice_reads_only_its_bytes(folder, monkeypatch):
    dcp.save({"w": torch.arange(1 << 16, dtype=torch.float32)},
             storage_writer=CaissonWriter(folder), no_dist=True)
    from caisson import _caisson

    real, asked = _caisson.read, []
    monkeypatch.setattr(_caisson, "read", lambda engine, file, wanted, told: (
        asked.extend(wanted), real(engine, file, wanted, told))[1])
    meta = CaissonReader(folder).read_metadata()
    item = dcp.planner.ReadItem(
        type=dcp.planner.LoadItemType.TENSOR, dest_index=md.MetadataIndex("w"),
        dest_offsets=torch.Size([0]), lengths=torch.Size([8]),
        storage_index=md.MetadataIndex("w", [0]),
        storage_offsets=torch.Size([100]))
    reader = CaissonReader(folder)
    reader.set_up_storage_reader(meta, True)
    target = torch.zeros(8)

    class Planner:
        resolve_tensor = staticmethod(lambda item: target)
        commit_tensor = staticmethod(lambda item, tensor: None)

    reader.read_data(dcp.planner.LoadPlan([item]), Planner).wait()
    assert target.tolist() == list(range(100, 108))
    assert [one[1] for one in asked] == [[(100, 108)]] and asked[0][3] == 32


def test_plug_in_survives_cached_plans_and_lazy_data(folder):
    writer = CaissonWriter(folder)
    writer.reset()
    writer.set_up_storage_writer(True, rank=0, use_collectives=True)
    plan = writer.prepare_local_plan(dcp.SavePlan([], usable=False))
    assert writer.prepare_global_plan([plan]) == [plan]
    assert writer.write_data(plan, None).wait() == []

    class Planner(dcp.DefaultSavePlanner):
        def resolve_data(self, item):
            super().resolve_data(item)
            return super().resolve_data(item)

    state = {"w": torch.randn(3, 3).t()[1:],
             "z": torch.ones(2).to(torch.cfloat), "o": {"a": [1, "x"]}}
    dcp.save(state, storage_writer=writer, planner=Planner(), no_dist=True)
    blank = {"w": torch.zeros(2, 3), "z": torch.zeros(2, dtype=torch.cfloat),
             "o": {"a": [0, ""]}}
    assert torch.equal(load(folder, blank)["w"], state["w"])
    assert blank["o"] == state["o"] and torch.equal(blank["z"], state["z"])


def test_merge_and_ls(folder):
    state = {"w": torch.randn(6, 2), "opt": {"m": torch.ones(2), "lr": 0.5},
             "names": ["a", "b"]}
    dcp.save(state, storage_writer=CaissonWriter(folder / "ours"), no_dist=True)
    save_stock(folder / "stock", state)
    for kind in ("ours", "stock"):
        assert {e["name"]: e["shape"] for e in caisson.dcp.ls(folder / kind)
                } == {"w": [6, 2], "opt.m": [2]}
        caisson.dcp.merge(folder / kind, folder / "x.pt")
        merged = torch.load(folder / "x.pt")
        assert torch.equal(merged["w"], state["w"])
        assert torch.equal(merged["opt"]["m"], state["opt"]["m"])
        assert merged["opt"]["lr"] == 0.5 and merged["names"] == ["a", "b"]
        assert caisson.dcp.verify(folder / kind)["ok"]
    caisson.dcp.merge(folder / "ours", folder / "x.safetensors", drop=True)
    loaded = caisson.load(folder / "x.safetensors")
    assert torch.equal(loaded["opt.m"], torch.ones(2))
    # What bytes hold is read as data.
    with pytest.raises(caisson.UnsupportedError):
        save_stock(folder / "evil", {"x": Evil()})
        caisson.dcp.merge(folder / "evil", folder / "y.pt")


def test_the_command_line(folder, monkeypatch, capsys):
    from caisson.__main__ import main

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["caisson", *map(str, args)])
        return main(), capsys.readouterr().out

    save_ours(folder / "c", 1)
    assert run("ls", folder / "c") == (0, "w float32 [64]\n")
    assert run("verify", folder / "c")[0] == 0
    assert run("convert", folder / "c", folder / "x.pt")[0] == 0
    assert run("ls", folder / "x.pt") == (0, "w float32 [64]\n")
    (shard,) = (folder / "c").glob("__*.pt")
    entry = next(e for e in caisson.ls(shard) if e["name"].startswith("w"))
    data = bytearray(shard.read_bytes())
    data[entry["offset"]] ^= 1
    shard.write_bytes(data)
    code, out = run("verify", folder / "c")
    assert code == 1 and "DAMAGED" in out
    (folder / "c/caisson.json").write_text("{")
    code, out = run("verify", folder / "c")
    assert code == 1 and "manifest" in out
    (folder / "c/caisson.json").unlink()
    assert run("verify", folder / "c")[0] == 2
    for call in (caisson.ls, caisson.verify, caisson.load, caisson.dcp.verify):
        with pytest.raises(caisson.IncompleteCheckpointError):
            call(folder / "c")


@pytest.mark.parametrize("compress", ["deflate", "plane"])
def test_shards_may_be_compressed(folder, compress):
    state = {"w": torch.arange(1 << 16, dtype=torch.float32).reshape(256, 256),
             "text": ["a long value, "] * 5000}
    writer = CaissonWriter(folder, compress=compress)
    dcp.save(state, storage_writer=writer, no_dist=True)
    (shard,) = folder.glob("__*.pt")
    assert shard.stat().st_size < state["w"].nbytes
    blank = {"w": torch.zeros(256, 256), "text": []}
    assert torch.equal(load(folder, blank)["w"], state["w"])
    assert blank["text"] == state["text"]
    caisson.dcp.merge(folder, folder / "x.pt")
    merged = torch.load(folder / "x.pt")
    assert torch.equal(merged["w"], state["w"])
    assert merged["text"] == state["text"]


def test_bytes_reach_the_planner_as_they_are(folder):
    value = io.BytesIO()
    torch.save({"a": 1}, value)
    warnings.simplefilter("ignore")
    dcp.save({"x": {"a": 1}["a"]}, storage_writer=CaissonWriter(folder),
             no_dist=True)
    assert load(folder, {"x": 0})["x"] == 1
