# SPDX-License-Identifier: Apache-2.0
"""The examples run, and a run that was killed resumes exactly."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import caisson
import pytest

torch = pytest.importorskip("torch")
from same import same  # noqa: E402

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/python"


def run(script, *args):
    done = subprocess.run([sys.executable, EXAMPLES / script, *map(str, args)],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_resume_is_exact(folder):
    run("train.py", folder / "whole", 20)
    # Killed on the way to 20, after the save of step 10.
    child = subprocess.Popen(
        [sys.executable, "-c",
         "import sys, time; sys.argv[0] = ''; sys.path.insert(0, sys.argv[3])\n"
         "import pathlib, torch, train\n"
         "real = torch.optim.AdamW.step\n"
         "count = 0\n"
         "def slow(*a, **k):\n"
         "    global count\n"
         "    count += 1\n"
         "    if count > 13: print('late', flush=True); time.sleep(60)\n"
         "    return real(*a, **k)\n"
         "torch.optim.AdamW.step = slow\n"
         "pathlib.Path(sys.argv[1]).mkdir()\n"
         "train.main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))\n",
         folder / "cut", "20", EXAMPLES], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "late\n"
    deadline = time.monotonic() + 60
    while not (folder / "cut/latest.pt").exists() or (
            caisson.load(folder / "cut/latest.pt")["step"] < 10):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert "resumed at step 10" in run("train.py", folder / "cut", 20)
    # Model, optimizer, scheduler, RNG, data position and step, bit for bit.
    assert same(torch.load(folder / "whole/latest.pt"),
                torch.load(folder / "cut/latest.pt"))


def test_reshard(folder):
    out = run("reshard.py", folder / "ckpt")
    # Two processes write to one pipe, and a line may be two writes.
    assert sorted(re.findall(r"rank \d of 2: \[16, 2\]", out)) == [
        "rank 0 of 2: [16, 2]", "rank 1 of 2: [16, 2]"]


def test_examples_are_short():
    for script in EXAMPLES.glob("*.py"):
        assert len(script.read_text().splitlines()) < 60, script
