# SPDX-License-Identifier: Apache-2.0
"""Distributed checkpoints, through every command."""

import pickle
import struct

from cli_case import OPTIONS, CliTest, run
from dcp_files import write_ours, write_stock
from pt_files import Call, Tensor, flip, write_archive

MATRIX = Tensor("float32", [4, 6], struct.pack("<24f", *range(24)))
ROW = Tensor("float32", [5], struct.pack("<5f", *range(5)))

ITEMS = {
    "model.rows": (MATRIX, [([0, 0], [3, 6]), ([3, 0], [1, 6])]),
    "model.columns": (MATRIX, [([0, 0], [4, 2]), ([0, 2], [4, 4])]),
    "list.0": (ROW, [([0], [5])]),
    "list.1": "text",
    "step": 7,
}
PLANNER = {
    "model.rows": ("model", "rows"), "model.columns": ("model", "columns"),
    "list.0": ("list", 0), "list.1": ("list", 1), "step": ("step",),
}
PLAIN = {"model": {"rows": MATRIX, "columns": Tensor(
    "float32", [4, 6], MATRIX.storage.data)}, "list": [ROW, "text"], "step": 7}


class DcpTest(CliTest):
    def setUp(self):
        super().setUp()
        if OPTIONS.byte_order != "LITTLE_ENDIAN":
            self.skipTest("raw bytes are in the machine's order")

    def checkpoints(self):
        """The same of both kinds, by a path to each."""
        stock, ours = self.folder / "stock", self.folder / "ours"
        write_stock(stock, ITEMS, PLANNER)
        write_ours(ours, ITEMS, {k: list(v) for k, v in PLANNER.items()})
        return {"stock": stock, "ours": ours, "metadata": stock / ".metadata",
                "manifest": ours / "caisson.json"}

    def test_ls_shows_whole_tensors_and_the_nested_state(self):
        for kind, path in self.checkpoints().items():
            answer = self.json(0, "ls", path)
            self.assertEqual(answer["format"], "dcp")
            self.assertEqual(
                [(t["name"], t["shape"]) for t in answer["tensors"]],
                [("model.rows", [4, 6]), ("model.columns", [4, 6]),
                 ("list.0", [5])], kind)
            text = self.expect(0, "ls", path)
            self.assertIn("step: 7", text)
            self.assertRegex(text, r"list: list of 2")

    def test_cat_puts_chunks_together(self):
        for path in self.checkpoints().values():
            for name in ("model.rows", "model.columns"):
                done = run("cat", path, name, "--raw")
                self.assertEqual(done.stdout, MATRIX.storage.data)

    def test_convert_makes_one_file(self):
        plain = self.pt(PLAIN, "plain.pt")
        for kind, path in self.checkpoints().items():
            out = self.folder / f"{kind}.pt"
            self.expect(0, "convert", path, out)
            self.expect(0, "verify", out)
            self.assertIn("the same", self.expect(0, "diff", plain, out))
            self.assertIn("the same", self.expect(0, "diff", plain, path))
            flat = self.folder / f"{kind}.safetensors"
            self.expect(0, "convert", path, flat, "--drop")
            done = run("cat", flat, "model.columns", "--raw")
            self.assertEqual(done.stdout, MATRIX.storage.data)

    def test_verify_names_damage_in_any_shard(self):
        for kind, path in list(self.checkpoints().items())[:2]:
            self.assertRegex(self.expect(0, "verify", path),
                             rf"\A{path}: ok, \d+ records")
            shards = [s for s in path.iterdir() if s.name.startswith("__")]
            wanted = struct.pack("<2f", 8, 9)  # in rows, and in columns
            for shard in shards:
                sound = shard.read_bytes()
                at = sound.find(wanted)
                if at < 0:
                    continue
                damaged = bytearray(sound)
                damaged[at] ^= 1
                shard.write_bytes(damaged)
                (damage,) = self.json(1, "verify", path)["damage"]
                self.assertEqual(damage["file"], str(shard))
                self.assertEqual(len(damage["tensors"]), 1)
                self.assertLessEqual(damage["offset"], at)
                out = self.folder / "out.pt"
                error = self.expect_error("convert", path, out)
                self.assertIn(str(shard), error)
                self.assertIn(damage["tensors"][0], error)
                self.assertFalse(out.exists())
                shard.write_bytes(sound)

    def test_verify_reports_all_shards(self):
        path = self.checkpoints()["stock"]
        for shard in path.glob("*.distcp"):
            data = bytearray(shard.read_bytes())
            data[200] ^= 1
            shard.write_bytes(data)
        damage = self.json(1, "verify", path)["damage"]
        self.assertEqual({d["file"] for d in damage},
                         {str(s) for s in path.glob("*.distcp")})

    def test_verify_of_a_folder_takes_each_checkpoint_as_one(self):
        self.checkpoints()
        self.model()
        text = self.expect(0, "verify", self.folder)
        self.assertEqual(len(text.splitlines()), 3, text)

    def test_verify_of_a_checkpoint_looks_at_what_else_is_there(self):
        for path in list(self.checkpoints().values())[:2]:
            below = path / "below" / "deeper"
            below.mkdir(parents=True)
            for other in (path / "other.pt", below / "other.pt"):
                self.model(other)
                text = self.expect(0, "verify", path)
                self.assertIn(f"{other}: ok", text)
                self.assertIn(f"{path}: ok", text)
                flip(other, "data/0", 1)
                (damage,) = self.json(1, "verify", path)["damage"]
                self.assertEqual(damage["file"], str(other))
                other.unlink()

    def test_a_stray_shard_hides_nothing(self):
        damaged = self.model()
        flip(damaged, "data/0", 1)
        (self.folder / "__0_0.distcp").write_bytes(b"x")
        done = run("verify", self.folder)
        self.assertIn(f"{damaged}: data/0 at".encode(), done.stdout)
        self.assertIn(b"incomplete checkpoint", done.stderr)

    def test_a_checkpoint_without_metadata_is_incomplete(self):
        for kind, path in list(self.checkpoints().items())[2:]:
            path.unlink()
            for command in ("ls", "verify"):
                error = self.expect_error(command, path.parent)
                self.assertIn("incomplete checkpoint", error)
                self.assertIn(str(path.parent), error)

    def test_a_missing_shard_is_named(self):
        path = self.checkpoints()["stock"]
        (path / "__1_0.distcp").unlink()
        self.assertIn("__1_0.distcp", self.expect_error("ls", path))
        damage = self.json(1, "verify", path)["damage"]
        self.assertEqual([d["file"] for d in damage],
                         [str(path / "__1_0.distcp")])

    def test_metadata_runs_nothing(self):
        path = self.checkpoints()["stock"] / ".metadata"
        path.write_bytes(pickle.dumps(Call("os.system", "touch ran"), 4))
        for command in ("ls", "verify"):
            error = self.expect_error(command, path.parent)
            self.assertRegex(error, r"(os|posix)\.system")
            self.assertIn(str(path), error)

    def test_metadata_may_be_an_archive(self):
        path = self.checkpoints()["stock"] / ".metadata"
        before = self.json(0, "ls", path)["tensors"]
        write_archive(path, path.read_bytes())
        self.assertEqual(self.json(0, "ls", path)["tensors"], before)
        self.assertIn("ok", self.expect(0, "verify", path.parent))
        flip(path, "data.pkl", 300)
        self.assertIn("crc32", self.expect_error("ls", path))

    def test_names_that_leave_the_folder_are_refused(self):
        path = self.checkpoints()["ours"]
        name = next(path.glob("__*.pt")).name
        text = (path / "caisson.json").read_text()
        (path / "caisson.json").write_text(text.replace(name, "../" + name))
        self.assertIn("crc32", self.expect_error("ls", path))
        stock = self.checkpoints()["stock"] / ".metadata"
        stock.write_bytes(stock.read_bytes().replace(
            b"__0_0.distcp", b"../_0.distcp"))
        self.assertIn("names no file", self.expect_error("ls", stock))
