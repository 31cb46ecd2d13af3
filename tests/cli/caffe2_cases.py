# SPDX-License-Identifier: Apache-2.0
"""Caffe2's databases through every command."""

import struct

from cli_case import CliTest, run
from pt_files import Tensor

FORMATS = {".minidb": "minidb", ".pb": "protodb", ".pbtxt": "protodb_text"}


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


class Caffe2Test(CliTest):
    def flat(self, name="flat.pt"):
        return self.pt({
            "w": Tensor("float32", [2], struct.pack("<2f", 1, -2)),
            "n": {"b": Tensor("int8", [3], b"a\xffc")},
        }, name)

    def test_every_command(self):
        pt = self.flat()
        for suffix, name in FORMATS.items():
            out = self.folder / ("o" + suffix)
            self.expect(0, "convert", pt, out)
            answer = self.json(0, "ls", out)
            self.assertEqual(answer["format"], name)
            self.assertEqual(answer["file_bytes"], out.stat().st_size)
            self.assertEqual(
                {t["name"]: t["dtype"] for t in answer["tensors"]},
                {"w": "float32", "n.b": "int8"})
            self.assertEqual(run("cat", out, "n.b", "--raw").stdout, b"a\xffc")
            self.assertIn("[ 1., -2.]", self.expect(0, "cat", out, "w"))
            verified = self.json(0, "verify", out)
            self.assertEqual((verified["ok"], verified["unchecked"]), (True, 2))
            back = self.folder / "back.pt"
            self.expect(0, "convert", out, back)
            for path in (out, back):
                self.assertIn("the same in the tensors alone",
                              self.expect(0, "diff", "--tensors", pt, path))

    def test_to_says_more_than_the_suffix(self):
        out = self.folder / "weights"
        self.expect(0, "convert", self.flat(), out, "--to", "caffe2")
        self.assertEqual(self.json(0, "ls", out)["format"], "minidb")
        self.assertEqual(out.read_bytes()[:4], struct.pack("<i", 4))

    def test_what_cannot_be_carried_is_named(self):
        path, out = self.model(), self.folder / "o.minidb"
        error = self.expect_error("convert", path, out)
        self.assertIn("'step': an int", error)
        self.assertIn("'turned': shares memory with 'w'", error)
        self.assertFalse(out.exists())
        text = self.expect(0, "convert", path, out, "--drop")
        self.assertIn("dropped 'step': an int", text)
        names = {t["name"] for t in self.json(0, "ls", out)["tensors"]}
        self.assertEqual(names, {"w", "turned", "tied.0", "b"})

    def test_blobs_that_are_no_tensors_are_named(self):
        path, out = self.folder / "m.minidb", self.folder / "o.pt"
        value = (field(1, b"q") + field(2, b"Int8TensorCPU") +
                 field(4, b"whatever"))
        path.write_bytes(struct.pack("<2i", 1, len(value)) + b"q" + value)
        error = self.expect_error("convert", path, out)
        self.assertIn("q: a blob of type 'Int8TensorCPU'", error)
        self.assertIn("Int8TensorCPU",
                      self.expect(0, "convert", path, out, "--drop"))

    def test_append(self):
        out = self.folder / "o.minidb"
        self.expect(0, "convert", self.flat(), out)
        more = self.pt({"m": Tensor("int8", [1], b"m")}, "more.pt")
        self.expect(0, "convert", more, out, "--append")
        names = [t["name"] for t in self.json(0, "ls", out)["tensors"]]
        self.assertEqual(names, ["w", "n.b", "m"])
        self.assertIn("'m'", self.expect_error("convert", more, out,
                                               "--append"))
        self.expect_error("convert", more, self.folder / "o.pt", "--append")

    def test_a_file_that_is_cut_is_damage(self):
        out = self.folder / "o.minidb"
        self.expect(0, "convert", self.flat(), out)
        out.write_bytes(out.read_bytes()[:-1])
        self.assertIn("minidb", self.expect_error("ls", out))
        self.assertIn("minidb", self.expect(1, "verify", out))
