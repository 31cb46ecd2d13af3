# SPDX-License-Identifier: Apache-2.0
"""caisson ls"""

import collections
import zipfile

from cli_case import CliTest, run
from pt_files import (
    Call, Tensor, clear_crc, data_offset, named, write_archive,
)


class LsTest(CliTest):
    def test_table_shows_tensors_and_what_they_share(self):
        lines = self.expect(0, "ls", self.model()).splitlines()
        heads = "name dtype shape bytes storage compression".split()
        self.assertEqual(lines[0].split(), heads)
        self.assertRegex(
            lines[1], r"^w +float32 +\[2, 3\] +24 B +data/0 +none +shared by 3$"
        )
        self.assertRegex(lines[4], r"^b +bfloat16 +\[2\] +4 B +data/1 +none$")
        self.assertRegex(
            lines[6], r"^4 tensors, 14 elements, 28 B in 2 storages; pytorch"
        )
        self.assertIn("  step: 7", lines)

    def test_tree_shows_objects_as_python_does(self):
        text = self.expect(0, "ls", self.pt({
            "size": Call("torch.Size", (1, 2)),
            "dtype": named("torch.bfloat16"),
            "device": Call("torch.device", "cpu"),
            "count": collections.Counter({"a": 2}),
            "foreign": Call("some.module.Thing", 1, state={"rate": 0.5}),
            "pair": (1, None), "none": None, "flags": {"a": True},
            "huge": 2**100, "inf": float("inf"), "raw": b"\x00a",
        }))
        for line in (
            "size: torch.Size([1, 2])", "dtype: torch.bfloat16",
            "device: torch.device('cpu')", "count: Counter({'a': 2})",
            "foreign: some.module.Thing(...)  [opaque]", "  .rate: 0.5",
            "pair: (1, None)", "flags: {'a': True}", f"huge: {2**100}",
            "inf: inf", r"raw: b'\x00a'",
        ):
            self.assertIn(f"\n  {line}\n", text)

    def test_tree_is_bounded(self):
        path = self.pt({
            "list": list(range(100000)),
            "text": "x" * 100000,
            "wide": {f"k{i}": {"v": list(range(50))} for i in range(5000)},
        })
        text = self.expect(0, "ls", path)
        self.assertIn("list: list of 100000: 0, 1, 2,", text)
        self.assertIn("(100000 characters)", text)
        self.assertIn("... 4984 more", text)
        self.assertLess(len(text.splitlines()), 400)
        self.assertLess(max(map(len, text.splitlines())), 150)

    def test_memo_bomb_ends_soon(self):
        # 60 tuples of the one before twice: 2^60 leaves.
        bomb = b"\x80\x02)q\x00"
        for i in range(60):
            bomb += b"h%c\x86q%c" % (i, i + 1)
        path = self.folder / "bomb.pt"
        write_archive(path, bomb + b".")
        for arguments in (["ls", path], ["ls", "--json", path]):
            done = run(*arguments, timeout=20)
            self.assertIn(done.returncode, (0, 2))
            self.assertLess(len(done.stdout), 1 << 22)

    def test_names_cannot_drive_the_terminal(self):
        path = self.pt({
            "evil\x1b[2J\n\u202e\u0085": Tensor("int8", [1], b"\x01"),
            "key\x07": "value\x1b]0;title\x07",
        })
        text = self.expect(0, "ls", path)
        self.assertIn(r"evil\x1b[2J\x0a\xe2\x80\xae\xc2\x85 ", text)
        self.assertIn(r"'key\x07': 'value\x1b]0;title\x07'", text)

    def test_json_has_every_key(self):
        path = self.model()
        answer = self.json(0, "ls", path)
        self.assertEqual(answer["format"], "pytorch")
        self.assertEqual(answer["file_bytes"], path.stat().st_size)
        tensors = {t["name"]: t for t in answer["tensors"]}
        self.assertEqual(list(tensors), ["w", "turned", "tied.0", "b"])
        with zipfile.ZipFile(path) as archive:
            crc = archive.getinfo("archive/data/0").CRC
        self.assertEqual(tensors["turned"], {
            "name": "turned", "path": ["turned"], "dtype": "float32",
            "shape": [3, 2], "bytes": 24, "storage": "data/0",
            "offset": data_offset(path, "data/0"), "stored_bytes": 24,
            "compression": "none", "crc32": f"{crc:08x}", "strides": [1, 3],
            "storage_offset": 0, "requires_grad": False,
        })
        self.assertEqual(tensors["tied.0"]["path"], ["tied", 0])
        self.assertIs(tensors["w"]["requires_grad"], True)

    def test_json_says_what_is_compressed_and_unchecked(self):
        path = self.pt(
            {"z": Tensor("uint8", [1000], bytes(1000))},
            method=zipfile.ZIP_DEFLATED,
        )
        tensor = self.json(0, "ls", path)["tensors"][0]
        self.assertEqual(tensor["compression"], "deflate")
        self.assertLess(tensor["stored_bytes"], 100)
        clear_crc(path, "data/0")
        self.assertIsNone(self.json(0, "ls", path)["tensors"][0]["crc32"])

    def test_json_state_keeps_every_kind(self):
        tensor = Tensor("int8", [1], b"\x01")
        path = self.pt({
            "t": tensor, "again": [tensor], "i": -(2**63), "big": 2**64,
            "f": 0.1, "nan": float("nan"), "ninf": float("-inf"),
            "b": [True, None], "tuple": (1,), "bytes": b"\x00\xff",
            "surrogate": "\ud800", "text": "h\u00e9", "set": {5},
            "c": 1 - 2j, "keys": {1: "a"}, "tagged": {"$int": "1"},
            "g": named("torch.bfloat16"), "size": Call("torch.Size", (3,)),
            "odd": Call("some.Thing", state={"a": 1}),
        })
        self.assertEqual(self.json(0, "ls", path)["state"], {
            "t": {"$tensor": "t"}, "again": [{"$tensor": "again.0"}],
            "i": -(2**63), "big": {"$int": str(2**64)}, "f": 0.1,
            "nan": {"$float": "nan"}, "ninf": {"$float": "-inf"},
            "b": [True, None], "tuple": {"$tuple": [1]},
            "bytes": {"$bytes": "00ff"}, "surrogate": {"$str": "eda080"},
            "text": "h\u00e9", "set": {"$set": [5]},
            "c": {"$complex": [1.0, -2.0]}, "keys": {"$dict": [[1, "a"]]},
            "tagged": {"$dict": [["$int", "1"]]},
            "g": {"$global": "torch.bfloat16"},
            "size": {"$object": "torch.Size", "args": [{"$tuple": [3]}]},
            "odd": {"$object": "some.Thing", "args": [], "state": {"a": 1}},
        })
