# SPDX-License-Identifier: Apache-2.0
"""caisson ls"""

import collections
import zipfile

from cli_case import SIX, CliTest, run
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

    def test_text_is_as_python_writes_it(self):
        # Failed: bytes that are UTF-8 were shown as characters.
        values = [
            "h\u00e9".encode(), b"\t\r\n\\", b"it's", b"'\"",
            bytearray(b"\xff"), "it's", "'\"", "a\r\n", 1 + 2j, 2j,
            -0.5 - 1e-9j,
            complex(-0.0, float("inf")), complex(float("nan"), 1e22), 1e16,
        ]
        keys = [f"k{i}" for i in range(len(values))]
        state = {"values": dict(zip(keys, values, strict=True)), "t": [[]]}
        text = self.expect(0, "ls", self.pt(state))
        for key, value in state["values"].items():
            self.assertIn(f"\n    {key}: {value!r}\n", text)

    def test_one_long_name_is_not_paid_for_in_every_row(self):
        # Failed: every row was padded to the longest name.
        one = Tensor("int8", [1], b"\x01")
        names = [f"t{i}" for i in range(1000)]
        path = self.pt({
            **{name: Tensor("int8", [1], one) for name in names},
            "x" * 300_000: Tensor("int8", [1], one),
            "y" * 110: Tensor("int8", [1], one),
        })
        text = self.expect(0, "ls", path)
        self.assertLess(len(text), 2_000_000)
        self.assertRegex(text, r"(?m)^x{1000}\.\.\.  int8 +\[1\] +1 B  data/0 ")
        self.assertRegex(text, r"(?m)^y{110}  int8 ")
        self.assertRegex(text, r"(?m)^t999 {98}int8 ")

    def test_sizes_that_overflow_are_too_large(self):
        huge = Tensor("float32", [2**31, 2**31], bytes(4), strides=[0, 0])
        many = Tensor("int8", [2**31] * 2, bytes(1), strides=[0, 0])
        path = self.pt({
            "huge": huge, "many": many, "w": Tensor("float32", [2, 3], SIX),
            "rest": [
                Tensor("int8", [2**31 - i, 2**31], many, strides=[0, 0])
                for i in range(1, 5)
            ],
        })
        text = self.expect(0, "ls", path)
        self.assertRegex(text, r"(?m)^huge +float32 .*\] +too large +data/0 ")
        self.assertIn("\n7 tensors, too many elements, 29 B in 3 ", text)
        tensors = self.json(0, "ls", path)["tensors"]
        self.assertEqual(
            [t["bytes"] for t in tensors[:3]], [None, 2**62, 24]
        )
        self.assertEqual(tensors[0]["shape"], [2**31, 2**31])

    def test_globals_that_torch_refuses_are_named(self):
        dropped = b"cos\nsystem\n0"  # is not in the state
        path = self.folder / "dropped.pt"
        write_archive(path, b"\x80\x02" + dropped + b"}.")
        line = "uses globals that torch.load(weights_only=True) refuses: "
        self.assertIn(f"\n{line}os.system\n", self.expect(0, "ls", path))
        answer = self.json(0, "ls", path)
        self.assertEqual(answer["unknown_globals"], ["os.system"])
        path = self.pt([Call(f"made.up.Class{i:02}") for i in range(12)])
        names = [f"made.up.Class{i:02}" for i in range(12)]
        self.assertIn(
            f"{line}{', '.join(names[:10])}, and 2 more\n",
            self.expect(0, "ls", path),
        )
        self.assertEqual(self.json(0, "ls", path)["unknown_globals"], names)
        path = self.model()
        self.assertNotIn("refuses", self.expect(0, "ls", path))
        self.assertEqual(self.json(0, "ls", path)["unknown_globals"], [])

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
            "shape": [3, 2], "bytes": 24, "file": str(path), "storage": "data/0",
            "offset": data_offset(path, "data/0"), "stored_bytes": 24,
            "compression": "none", "ratio": 1, "crc32": f"{crc:08x}",
            "strides": [1, 3],
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

    def test_json_is_no_deeper_than_parsers_take(self):
        # Failed: json.loads stops at 1000 levels, and a tuple has two.
        path = self.folder / "deep.pt"
        write_archive(path, b"\x80\x02)" + b"\x85" * 990 + b".")
        state = self.json(0, "ls", path)["state"]
        depth = 0
        while "$tuple" in state:
            (state,) = state["$tuple"]
            depth += 1
        self.assertEqual(depth, 100)
        self.assertEqual(state, {"$elided": "deeper than 100 levels"})

    def test_json_names_tensors_beside_what_is_elided(self):
        tensor = Tensor("int8", [1], b"\x01")
        deep = [tensor]
        for _ in range(150):
            deep = [deep]
        path = self.pt({"deep": deep, "again": tensor})
        answer = self.json(0, "ls", path)
        self.assertEqual(len(answer["tensors"]), 2)
        self.assertEqual(answer["state"]["again"], {"$tensor": "again"})

    def test_content_of_dicts_is_told_by_their_values(self):
        # Keys are no content: a folder of tensors is one line.
        one = Tensor("int8", [1], b"\x01")
        text = self.expect(0, "ls", self.pt({"model": {"a": one}, "e": [{}]}))
        tree = "  model: dict of 1, 1 tensor\n  e: [{}]\n"
        self.assertTrue(text.endswith(tree), text)
