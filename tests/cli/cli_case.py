# SPDX-License-Identifier: Apache-2.0
"""What the tests of the program share."""

import argparse
import json
import pathlib
import re
import shlex
import struct
import subprocess
import tempfile
import unittest

from pt_files import Tensor, is_typed, write_pt

# Set by cli_test.py from its command line.
OPTIONS = argparse.Namespace(
    caisson="caisson", emulator="", byte_order="LITTLE_ENDIAN", data=None
)

SIX = struct.pack("<6f", 0, 0.5, -1, 2, 3.25, -4)


def keeps_values(dtype):
    """Whether the program's machine reads numbers of a little-endian file.

    No machine turns untyped storages over: formats.md 1.10.
    """
    return OPTIONS.byte_order == "LITTLE_ENDIAN" or is_typed(dtype)


def command_line(*args):
    return [*shlex.split(OPTIONS.emulator), OPTIONS.caisson, *map(str, args)]


def run(*args, **kwargs):
    """The finished process; its output is bytes."""
    return subprocess.run(command_line(*args), capture_output=True, **kwargs)


class CliTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="caisson_cli_")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def pt(self, state, name="model.pt", **kwargs):
        path = self.folder / name
        write_pt(path, state, **kwargs)
        return path

    def model(self, name="model.pt"):
        """Two storages: data/0 under three names, data/1 under one."""
        weight = Tensor("float32", [2, 3], SIX, grad=True)
        turned = Tensor("float32", [3, 2], weight, strides=[1, 3])
        bias = Tensor("bfloat16", [2], struct.pack("<2H", 0x3F80, 0xC000))
        state = {"w": weight, "turned": turned, "tied": [weight], "b": bias}
        return self.pt({**state, "step": 7}, name)

    def expect(self, status, *args):
        """stdout as text, after checking the status and the shape of stderr."""
        done = run(*args)
        error = done.stderr.decode()
        self.assertEqual(done.returncode, status, error)
        for line in error.splitlines():
            self.assertTrue(line.startswith("caisson: "), line)
        self.assertEqual(bool(error), status == 2, error)
        text = done.stdout.decode()
        self.assertIsNone(re.search(r"[^\n\x20-\x7e\xa0-\uffff]", text), text)
        return text

    def expect_error(self, *args):
        """The one line that says why the command could not do its work."""
        done = run(*args)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertEqual(done.stdout, b"")
        self.assertRegex(done.stderr.decode(), r"\Acaisson: [^\n]+\n\Z")
        return done.stderr.decode()

    def json(self, status, *args):
        done = run(*args, "--json")
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout)
