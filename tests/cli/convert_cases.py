# SPDX-License-Identifier: Apache-2.0
"""caisson convert"""

import os

from cli_case import SIX, CliTest, run
from pt_files import flip


class ConvertTest(CliTest):
    def test_copy_says_the_same(self):
        path, out = self.model(), self.folder / "out.pt"
        self.assertRegex(
            self.expect(0, "convert", path, out),
            rf"\A{path} -> {out}: \S+ k?B in [^\n]+\n\Z",
        )
        before, after = (self.json(0, "ls", p) for p in (path, out))
        self.assertEqual(before["state"], after["state"])
        for a, b in zip(before["tensors"], after["tensors"], strict=True):
            for key in ("path", "dtype", "shape", "strides", "crc32"):
                self.assertEqual(a[key], b[key])
        self.assertTrue(self.json(0, "verify", out)["ok"])
        again = self.folder / "again.pt"
        self.expect(0, "convert", out, again)
        self.assertEqual(out.read_bytes(), again.read_bytes())

    def test_file_may_replace_itself(self):
        path = self.model()
        self.expect(0, "convert", path, path)
        self.assertTrue(self.json(0, "verify", path)["ok"])
        self.assertEqual(run("cat", path, "w", "--raw").stdout, SIX)
        self.assertEqual(os.listdir(self.folder), [path.name])

    def test_damage_leaves_the_target_alone(self):
        path, out = self.model(), self.folder / "out.pt"
        out.write_bytes(b"precious")
        flip(path, "data/0")
        self.assertIn("data/0", self.expect_error("convert", path, out))
        self.assertEqual(out.read_bytes(), b"precious")
        self.assertEqual(len(os.listdir(self.folder)), 2)

    def test_other_formats_are_refused(self):
        path = self.model()
        out = self.folder / "out.json"
        self.assertIn("PyTorch", self.expect_error("convert", path, out))
        self.assertFalse(out.exists())

    def test_missing_folder_fails(self):
        out = self.folder / "nowhere" / "out.pt"
        error = self.expect_error("convert", self.model(), out)
        self.assertIn("nowhere", error)
