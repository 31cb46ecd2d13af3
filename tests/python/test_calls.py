# SPDX-License-Identifier: Apache-2.0
"""save, load and their kin, with torch."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import caisson
import pytest

torch = pytest.importorskip("torch")
import numpy  # noqa: E402


@pytest.fixture
def saved(folder):
    state = {"w": torch.arange(24.0).reshape(4, 6), "step": 3,
             "b": torch.ones(5, dtype=torch.bfloat16)}
    caisson.save(state, folder / "x.pt")
    return folder / "x.pt", state


def test_open_reads_slices(saved):
    path, state = saved
    with caisson.open(path) as file:
        assert list(file) == ["w", "b"] and file["w"].shape == (4, 6)
        assert file["b"].dtype == "bfloat16" and file.state() == {"step": 3}
        for index in [..., 1, -1, slice(1, 3), (2, slice(None, None, 2)),
                      (slice(0, 0),), (..., 5), (3, 4)]:
            assert torch.equal(file["w"][index], state["w"][index]), index
        assert numpy.asarray(file["w"]).sum() == state["w"].sum()
        with pytest.raises(IndexError):
            file["w"][4]
        with pytest.raises(KeyError):
            file["nope"]


def test_load_takes_names_casts_and_mappings(saved):
    path, state = saved
    assert list(caisson.load(path, names="w*")) == ["w", "step"]
    cast = caisson.load(path, cast={"w": torch.bfloat16})
    assert cast["w"].dtype == torch.bfloat16
    assert torch.equal(cast["w"], state["w"].bfloat16())
    mapped = caisson.load(path, mmap=True)
    assert torch.equal(mapped["w"], state["w"])
    with pytest.raises(caisson.NotFoundError):
        caisson.load(path, names="nope")


def test_save_casts_shared_storages_once(folder):
    base = torch.randn(4, 4)
    state = {"a": base, "t": base.t(), "n": torch.arange(3)}
    caisson.save(state, folder / "x.pt", cast="float16")
    loaded = caisson.load(folder / "x.pt")
    assert torch.equal(loaded["t"], base.t().half())
    assert loaded["n"].dtype == torch.int64
    assert loaded["a"].data_ptr() == loaded["t"].data_ptr()


def test_load_into_fills_in_place_and_checks_first(saved):
    path, state = saved
    target = {"w": torch.zeros(4, 6), "step": 0,
              "b": torch.zeros(5, dtype=torch.bfloat16)}
    kept = target["w"]
    caisson.load_into(path, target)
    assert torch.equal(kept, state["w"]) and target["step"] == 0
    target["b"] = torch.zeros(6, dtype=torch.bfloat16)
    kept.zero_()
    with pytest.raises(caisson.InvalidArgumentError, match="b"):
        caisson.load_into(path, target)
    assert not kept.any()


def test_damage_is_found_and_named(saved):
    path, _ = saved
    entry = next(e for e in caisson.ls(path) if e["name"] == "w")
    data = bytearray(path.read_bytes())
    data[entry["offset"] + 9] ^= 4
    path.write_bytes(data)
    with pytest.raises(caisson.CorruptError, match="data/0") as caught:
        caisson.load(path)
    assert caught.value.file == str(path) and caught.value.record == "data/0"
    assert caught.value.offset == entry["offset"]
    report = caisson.verify(path)
    assert not report["ok"]
    assert report["damage"][0]["tensors"] == ["w"]


def test_errors_are_typed(folder):
    with pytest.raises(FileNotFoundError):
        caisson.load(folder / "none.pt")
    (folder / "x.pt").write_text("hello, this is no checkpoint")
    with pytest.raises(caisson.UnsupportedError):
        caisson.load(folder / "x.pt")
    with pytest.raises(caisson.NotFoundError):
        caisson.save({}, folder / "no/such/x.pt")
    with pytest.raises(caisson.UnsupportedError, match="compress"):
        caisson.save({}, folder / "y.pt", compress="magic")


@pytest.mark.parametrize("compress", ["deflate", "plane", "auto"])
def test_compressed_files_come_back(folder, compress):
    state = {"w": torch.arange(1 << 18, dtype=torch.float32)}
    report = caisson.save(state, folder / "x.pt", compress=compress)
    assert compress == "auto" or report["file_bytes"] < report["tensor_bytes"]
    assert torch.equal(caisson.load(folder / "x.pt")["w"], state["w"])
    if compress != "auto":
        (entry,) = caisson.ls(folder / "x.pt")
        assert entry["compression"] == compress
    caisson.convert(folder / "x.pt", folder / "y.pt")
    assert torch.equal(torch.load(folder / "y.pt")["w"], state["w"])
    caisson.save_async(state, folder / "z.pt", compress=compress).wait()
    assert caisson.verify(folder / "z.pt")["ok"]


def test_safetensors_both_ways(folder):
    peer = pytest.importorskip("safetensors.torch")
    state = {"w": torch.randn(3, 4), "b": torch.ones(2, dtype=torch.float16)}
    caisson.save(state, folder / "x.safetensors", metadata={"who": "me"})
    theirs = peer.load_file(folder / "x.safetensors")
    assert all(torch.equal(theirs[k], state[k]) for k in state)
    with caisson.open(folder / "x.safetensors") as file:
        assert file.metadata["who"] == "me"
    caisson.convert(folder / "x.safetensors", folder / "x.pt", cast="bfloat16")
    assert torch.load(folder / "x.pt")["w"].dtype == torch.bfloat16


def test_save_async_stages_and_waits(folder):
    state = {str(i): torch.randn(1 << 20) for i in range(4)}
    copy = {key: value.clone() for key, value in state.items()}
    ticket = caisson.save_async(state, folder / "x.pt")
    ticket.staged()
    for value in state.values():
        value.zero_()
    report = ticket.wait()
    assert ticket.done() and ticket.progress()[0] == report["file_bytes"]
    loaded = caisson.load(folder / "x.pt")
    assert all(torch.equal(loaded[k], copy[k]) for k in copy)

    async def train():
        return await caisson.save_async(state, folder / "y.pt")

    assert asyncio.run(train())["tensor_bytes"] == 4 * 4 << 20


def test_a_ticket_can_be_cancelled_and_errors_are_kept(folder):
    ticket = caisson.save_async({"w": torch.zeros(1)}, folder / "x.pt")
    ticket.wait()
    ticket.cancel()
    assert (folder / "x.pt").exists()
    failed = caisson.save_async({"w": torch.zeros(1)}, folder / "no/x.pt")
    with pytest.raises(caisson.NotFoundError):
        failed.wait()


def test_progress_is_told(folder, capfd):
    seen = []
    state = {"w": torch.zeros(8 << 20)}
    caisson.save(state, folder / "x.pt", progress=lambda *now: seen.append(now))
    assert seen and seen[-1][0] <= seen[-1][1]
    caisson.load(folder / "x.pt", progress=True)
    assert "GB/s" in capfd.readouterr().err


def test_an_error_of_the_progress_function_ends_the_save(folder):
    def fail(*_):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        caisson.save({"w": torch.zeros(32 << 20)}, folder / "x.pt",
                     progress=fail)
    assert list(folder.iterdir()) == []


CHILD = """
import sys, threading, time, signal, os
import torch, caisson
state = {str(i): torch.ones(8 << 20) for i in range(24)}
def stop():
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
for _ in range(50):
    threading.Thread(target=stop, daemon=True).start()
    while True:
        caisson.save(state, sys.argv[1])
"""


def test_ctrl_c_interrupts_a_save(folder):
    child = subprocess.run([sys.executable, "-c", CHILD, folder / "x.pt"],
                           capture_output=True, text=True, timeout=120)
    assert child.returncode in (-signal.SIGINT, 1)
    assert "KeyboardInterrupt" in child.stderr
    assert [p.name for p in folder.iterdir() if p.name != "x.pt"] == []


def test_other_threads_run_during_a_save(folder):
    state = {"w": torch.ones(16 << 20)}
    counted = 0
    over = threading.Event()

    def count():
        nonlocal counted
        while not over.is_set():
            counted += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted
        caisson.save(state, folder / "x.pt")
        assert counted > before
    finally:
        over.set()
        thread.join()


def test_a_forked_child_makes_an_engine_of_its_own(folder):
    caisson.save({"w": torch.zeros(2)}, folder / "x.pt")
    code = ("import os, sys, torch, caisson\n"
            "caisson.save({'w': torch.ones(2)}, sys.argv[1])\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    caisson.save({'w': torch.ones(3)}, sys.argv[1])\n"
            "    os._exit(0)\n"
            "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n")
    done = subprocess.run([sys.executable, "-c", code, folder / "x.pt"],
                          timeout=60)
    assert done.returncode == 0
    assert len(caisson.load(folder / "x.pt")["w"]) == 3
