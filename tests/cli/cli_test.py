# SPDX-License-Identifier: Apache-2.0
"""Tests of the program `caisson`, from the outside.

cli_test.py --caisson PATH [--emulator WORDS] [--byte-order ORDER]
            [--data DIR] [unittest options]
WORDS go before PATH to run a program of another machine; its ORDER of bytes is
LITTLE_ENDIAN or BIG_ENDIAN. DIR holds .pt files of stock torch; each must pass
verify and ls.
"""

import argparse
import contextlib
import os
import pathlib
import pty
import re
import subprocess
import sys
import unittest

from bench_cases import BenchTest
from caffe2_cases import Caffe2Test
from cat_cases import CatTest
from cli_case import OPTIONS, CliTest, command_line, run
from convert_cases import ConvertTest
from convert_edit_cases import ConvertEditTest
from dcp_cases import DcpTest
from diff_cases import DiffTest
from ls_cases import LsTest
from pack_cases import PackTest
from safetensors_cases import SafetensorsTest
from verify_cases import VerifyTest

__all__ = [
    "BenchTest", "Caffe2Test", "CatTest", "ConvertEditTest", "ConvertTest",
    "DcpTest", "DiffTest", "LsTest", "MainTest", "PackTest", "ProgressTest",
    "SafetensorsTest", "VerifyTest",
]


class MainTest(CliTest):
    def test_version_and_help_are_fine(self):
        text = self.expect(0, "--version")
        self.assertRegex(text, r"^caisson \d+\.\d+\.\d+$")
        self.assertIn("verify", self.expect(0, "--help"))
        self.assertIn("--raw", self.expect(0, "cat", "--help"))

    def test_command_lines_that_make_no_sense_fail(self):
        for args in ([], ["frobnicate"], ["ls"], ["cat", "x"], ["ls", "--no"]):
            self.expect_error(*args)

    def test_words_that_are_no_command_are_named(self):
        for word in ("frobnicate", "--frobnicate"):
            self.assertIn(f"'{word}' is no command", self.expect_error(word))
        error = self.expect_error("ls", self.model(), "frobnicate")
        self.assertIn("frobnicate", error)

    def test_missing_file_and_folder_fail(self):
        for command in (["ls"], ["verify"], ["cat"], ["convert"]):
            rest = ["name"] if command[0] in ("cat", "convert") else []
            missing = self.folder / "missing.pt"
            error = self.expect_error(*command, missing, *rest)
            self.assertIn("missing.pt", error)
        self.expect_error("ls", self.folder)

    def test_what_is_no_checkpoint_fails(self):
        path = self.folder / "text.pt"
        path.write_text("not a checkpoint")
        self.expect_error("ls", path)
        self.expect_error("verify", path)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                command_line("ls", self.model()),
                stdout=full, stderr=subprocess.PIPE,
            )
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"stdout", done.stderr)

    def test_info_names_the_version(self):
        text = self.expect(0, "info")
        self.assertRegex(text, r"(?m)^caisson +\d+\.\d+\.\d+$")
        answer = self.json(0, "info")
        self.assertIn(answer["simd"]["target"], answer["simd"]["targets"])
        self.assertTrue(answer["cuda"]["status"])
        self.assertIsInstance(answer["libraries"], dict)
        self.assertNotIn("io", answer)

    def test_info_says_which_way_bytes_go(self):
        io = self.json(0, "info", "--dir", self.folder)["io"]
        self.assertEqual(io["directory"], str(self.folder))
        self.assertTrue(io["file_system"])
        self.assertIsInstance(io["direct"], bool)
        self.assertTrue(io["direct_reason"])
        self.assertIn(io["queue"], ("threads", "io_uring"))
        self.assertTrue(io["queue_reason"])
        disk = os.statvfs(self.folder)
        self.assertGreater(io["free_bytes"], 0)
        self.assertLessEqual(io["free_bytes"], disk.f_blocks * disk.f_frsize)
        self.assertEqual(list(self.folder.iterdir()), [])

        text = self.expect(0, "info", "--dir", self.folder)
        way = "direct" if io["direct"] else "buffered"
        for label, value in (
            ("directory", self.folder), ("file system", io["file_system"]),
            ("transfers", f"{way}: {io['direct_reason']}"),
            ("queue", f"{io['queue']}: {io['queue_reason']}"),
        ):
            line = re.escape(label) + " +" + re.escape(str(value))
            self.assertRegex(text, f"(?m)^{line}$")

    def test_info_names_a_directory_that_cannot_be_used(self):
        error = self.expect_error("info", "--dir", self.folder / "absent")
        self.assertIn("absent", error)
        self.expect_error("info", "--dir", self.model())


class ProgressTest(CliTest):
    def test_nothing_is_shown_when_piped(self):
        path = self.model()
        for args in (
            ["verify", path], ["convert", path, path], ["diff", path, path],
            ["bench", "--dir", self.folder, "--size=8MiB", "--rounds=3"],
        ):
            done = run(*args)
            self.assertEqual(done.stderr, b"")
            self.assertNotIn(b"\r", done.stdout)

    def shown(self, *args):
        """What a terminal gets of a command that works."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen(
            command_line(*args), stdout=subprocess.DEVNULL, stderr=slave
        )
        os.close(slave)
        shown = b""
        # At the other end's close Linux gives an error, others nothing.
        with contextlib.suppress(OSError):
            while part := os.read(master, 4096):
                shown += part
        self.assertEqual(process.wait(), 0)
        return shown.decode()

    def test_terminal_shows_a_line_and_removes_it(self):
        path = self.model("a.pt")
        for args, words in (
            (["verify", path], ["a.pt"]),
            (["convert", path, path], ["writing "]),
            (["convert", "--cast", "*=bfloat16", path, path],
             ["reading ", "writing "]),
            (["bench", "--dir", self.folder, "--size=8MiB", "--rounds=3"],
             ["save", "raw_write", " left"]),
        ):
            shown = self.shown(*args)
            self.assertIn("0 B of ", shown)
            for word in words:
                self.assertIn(word, shown)
            self.assertTrue(shown.endswith("\r\x1b[K"), shown)
            self.assertNotIn("\n", shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--caisson", required=True)
    parser.add_argument("--emulator", default="")
    parser.add_argument("--byte-order", default="LITTLE_ENDIAN")
    parser.add_argument("--data", type=pathlib.Path)
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
