# SPDX-License-Identifier: Apache-2.0
"""Safetensors files through every command."""

import json
import os
import struct

from cli_case import CliTest, keeps_values, run
from pt_files import Tensor


def write_safetensors(path, tensors, metadata=None):
    """tensors: {name: (dtype, shape, bytes)}, laid out in that order."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {
            "dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class SafetensorsTest(CliTest):
    def flat(self, name="flat.pt"):
        return self.pt({
            "w": Tensor("float32", [2], struct.pack("<2f", 1, -2)),
            "n": {"b": Tensor("uint8", [3], b"abc")},
        }, name)

    def file(self):
        path = self.folder / "m.safetensors"
        write_safetensors(path, {
            "w": ("F32", [2], struct.pack("<2f", 1, -2)),
            "n.b": ("U8", [3], b"abc"),
        }, {"format": "pt"})
        return path

    def test_ls_and_cat(self):
        path = self.file()
        answer = self.json(0, "ls", path)
        self.assertEqual(answer["format"], "safetensors")
        self.assertEqual(answer["metadata"], {"format": "pt"})
        tensor = {t["name"]: t for t in answer["tensors"]}["n.b"]
        self.assertEqual(tensor["path"], ["n.b"])
        self.assertEqual(tensor["file"], str(path))
        self.assertIsNone(tensor["crc32"])
        self.assertEqual(path.read_bytes()[tensor["offset"]:], b"abc")
        self.assertEqual(run("cat", path, "n.b", "--raw").stdout, b"abc")
        if keeps_values("float32"):
            self.assertIn("[ 1., -2.]", self.expect(0, "cat", path, "w"))

    def test_convert_there_and_back(self):
        pt, out = self.flat(), self.folder / "o.safetensors"
        back = self.folder / "back.pt"
        self.expect(0, "convert", pt, out)
        self.expect(0, "convert", out, back)
        for path in (out, back):
            self.assertIn("the same in the tensors alone",
                          self.expect(0, "diff", "--tensors", pt, path))
        self.assertEqual(self.json(0, "verify", out)["checked"], 2)

    def test_what_cannot_be_carried_is_named(self):
        path, out = self.model(), self.folder / "o.safetensors"
        error = self.expect_error("convert", path, out)
        self.assertIn("'step': an int", error)
        self.assertIn("'turned': shares memory with 'w'", error)
        self.assertFalse(out.exists())
        text = self.expect(0, "convert", path, out, "--drop")
        self.assertIn("dropped 'step': an int", text)
        self.assertIn("'turned': shares memory with 'w'", text)
        names = {t["name"] for t in self.json(0, "ls", out)["tensors"]}
        self.assertEqual(names, {"w", "turned", "tied.0", "b"})

    def test_metadata_that_pt_cannot_carry_is_named(self):
        path, out = self.folder / "m.safetensors", self.folder / "o.pt"
        write_safetensors(path, {}, {"format": "pt", "note": "x"})
        self.assertIn("note", self.expect_error("convert", path, out))
        self.assertIn("note", self.expect(0, "convert", path, out, "--drop"))

    def test_to_says_more_than_the_suffix(self):
        pt, out = self.flat(), self.folder / "weights"
        self.expect(0, "convert", pt, out, "--to", "safetensors")
        self.assertEqual(self.json(0, "ls", out)["format"], "safetensors")
        self.expect(0, "convert", out, out, "--to", "pt")
        self.assertEqual(self.json(0, "ls", out)["format"], "pytorch")
        self.expect_error("convert", pt, out, "--to", "onnx")

    def test_no_checksums(self):
        out = self.folder / "o.safetensors"
        self.expect(0, "convert", self.flat(), out, "--no-checksums")
        self.assertNotIn(b"caisson", out.read_bytes())
        answer = self.json(0, "verify", out)
        self.assertEqual((answer["checked"], answer["unchecked"]), (0, 2))

    def test_shards(self):
        pt, folder = self.flat(), self.folder / "set"
        folder.mkdir()
        self.expect(0, "convert", pt, folder / "m.safetensors",
                    "--shard-size", "8B")
        index = folder / "m.safetensors.index.json"
        self.assertEqual(sorted(os.listdir(folder)), [
            "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors",
            index.name])
        for path in (folder, index):
            self.assertEqual(len(self.json(0, "ls", path)["tensors"]), 2)
            self.assertEqual(run("cat", path, "n.b", "--raw").stdout, b"abc")
            self.assertTrue(self.json(0, "verify", path)["ok"])
            self.expect(0, "diff", "--tensors", pt, path)
        one = self.folder / "one.safetensors"
        self.expect(0, "convert", folder, one)
        self.expect(0, "diff", "--tensors", pt, one)
        shard = folder / "m-00002-of-00002.safetensors"
        damaged = bytearray(shard.read_bytes())
        damaged[-1] ^= 1
        shard.write_bytes(damaged)
        answer = self.json(1, "verify", index)
        self.assertEqual(answer["damage"][0]["file"], str(shard))
        self.assertEqual(answer["damage"][0]["tensors"], ["n.b"])

    def test_a_header_that_cannot_be_is_damage(self):
        path = self.file()
        path.write_bytes(path.read_bytes()[:-1])
        self.assertIn("MetadataIncompleteBuffer", self.expect_error("ls", path))
        self.assertIn("MetadataIncompleteBuffer", self.expect(1, "verify", path))
