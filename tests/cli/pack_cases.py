# SPDX-License-Identifier: Apache-2.0
"""caisson pack, unpack and convert --compress"""

import random
import struct
import zipfile

from cli_case import CliTest, keeps_values, run
from pt_files import Tensor, flip


def weights(count, seed=1):
    """Small numbers of both signs, as float32."""
    rng = random.Random(seed)
    return struct.pack(f"<{count}f", *(rng.gauss(0, 0.02)
                                       for _ in range(count)))


class PackTest(CliTest):
    def source(self, name="state.pt"):
        """A file that convert has written, hence one that comes back."""
        path = self.pt({
            "w": Tensor("float32", [100, 2000], weights(200000)),
            "few": Tensor("float32", [2], struct.pack("<2f", 1, -2)),
            "zeros": Tensor("int64", [9000], bytes(72000)),
            "step": 7,
        }, name)
        self.expect(0, "convert", path, path)
        return path

    def test_unpack_undoes_pack(self):
        path, packed = self.source(), self.folder / "packed.pt"
        back = self.folder / "back.pt"
        text = self.expect(0, "pack", path, packed)
        self.assertIn("plane 2 storages", text)
        self.assertNotIn("not laid out", text)
        self.assertLess(packed.stat().st_size, path.stat().st_size)
        self.assertTrue(self.json(0, "verify", packed)["ok"])
        self.expect(0, "unpack", packed, back)
        self.assertEqual(back.read_bytes(), path.read_bytes())
        # In place, by way of the other codec.
        self.expect(0, "convert", packed, packed, "--compress", "deflate")
        self.expect(0, "unpack", packed, packed)
        self.assertEqual(packed.read_bytes(), path.read_bytes())

    def test_ls_shows_what_tensors_take(self):
        path, packed = self.source(), self.folder / "packed.pt"
        for mode, record in (("plane", "plane/0"), ("deflate", "data/0")):
            self.expect(0, "convert", path, packed, "--compress", mode)
            before, after = (
                {t["name"]: t for t in self.json(0, "ls", p)["tensors"]}
                for p in (path, packed))
            w = after["w"]
            self.assertEqual(w["compression"], mode)
            self.assertEqual(w["storage"], record)
            self.assertLess(w["stored_bytes"], 800000)
            self.assertAlmostEqual(w["ratio"], w["stored_bytes"] / 800000)
            self.assertEqual(w["crc32"], before["w"]["crc32"])
            self.assertEqual(after["few"]["compression"], "none")
            self.assertEqual(after["few"]["ratio"], 1)
            self.assertIn(f"{mode} {100 * w['ratio']:.1f} %",
                          self.expect(0, "ls", packed))

    def test_every_command_reads_it(self):
        path, packed = self.source(), self.folder / "packed.pt"
        self.expect(0, "pack", path, packed)
        for name in ("w", "zeros", "few"):
            self.assertEqual(run("cat", path, name, "--raw").stdout,
                             run("cat", packed, name, "--raw").stdout)
        self.expect(0, "diff", path, packed)
        if keeps_values("float32"):
            # The first line says where it lies.
            before, after = (
                self.expect(0, "cat", p, "few").splitlines()[1:]
                for p in (path, packed))
            self.assertEqual(before, after)

    def test_any_zip_tool_checks_it(self):
        path, packed = self.source(), self.folder / "packed.pt"
        for mode in ("plane", "deflate"):
            self.expect(0, "convert", path, packed, "--compress", mode)
            with zipfile.ZipFile(packed) as archive:
                self.assertIsNone(archive.testzip())
                names = [n.split("/", 1)[1] for n in archive.namelist()]
            self.assertIn(".caisson/pack", names)
            self.assertNotIn(".format_version", names)
            self.assertEqual("plane/0" in names, mode == "plane")
            self.assertEqual("data/0" in names, mode == "deflate")

    def test_a_flipped_bit_is_found(self):
        path, packed = self.source(), self.folder / "packed.pt"
        for mode, record in (("plane", "plane/0"), ("deflate", "data/0")):
            self.expect(0, "convert", path, packed, "--compress", mode)
            flip(packed, record)
            answer = self.json(1, "verify", packed)
            damage, = answer["damage"]
            self.assertEqual(damage["record"], record)
            self.assertEqual(damage["tensors"], ["w"])
            self.assertIn("chunk 0", damage["problem"])
            error = self.expect_error("unpack", packed, self.folder / "x.pt")
            self.assertIn(f"record '{record}', chunk 0", error)
            self.assertFalse((self.folder / "x.pt").exists())

    def test_safetensors_in_and_out(self):
        path = self.source()
        flat = self.folder / "flat.safetensors"
        packed, back = self.folder / "p.pt", self.folder / "back.safetensors"
        self.expect(0, "convert", path, flat, "--drop")
        text = self.expect(0, "pack", flat, packed)
        self.assertIn("packed as a PyTorch file", text)
        self.expect(0, "unpack", packed, back)
        self.assertEqual(back.read_bytes(), flat.read_bytes())
        self.expect(0, "convert", packed, back)
        self.assertEqual(back.read_bytes(), flat.read_bytes())
        error = self.expect_error("pack", path, back)
        self.assertIn("not compressed", error)

    def test_what_does_not_come_back_is_said(self):
        # zipfile's layout is not that of torch.save.
        path = self.pt({"w": Tensor("float32", [9000], weights(9000))})
        text = self.expect(0, "pack", path, self.folder / "packed.pt")
        self.assertIn("not the same bytes", text)

    def test_auto_says_by_what(self):
        path, out = self.source(), self.folder / "out.pt"
        text = self.expect(0, "convert", path, out, "--compress", "auto")
        self.assertRegex(text, r"chosen by: disk [0-9.]+ GB/s")
        self.expect(0, "unpack", out, out)
        self.assertEqual(out.read_bytes(), path.read_bytes())

    def test_command_lines_that_make_no_sense_fail(self):
        path, out = self.source(), self.folder / "out.pt"
        error = self.expect_error(
            "convert", path, out, "--compress", "zstd")
        self.assertIn("expected none, deflate, plane or auto", error)
        self.expect_error("pack", path)
        self.expect_error("unpack", path, out, "--compress", "none")
