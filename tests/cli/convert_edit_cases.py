# SPDX-License-Identifier: Apache-2.0
"""caisson convert --cast, --rename, --profile"""

import os
import struct
import zipfile

from cli_case import CliTest, run
from pt_files import Tensor, flip


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


class ConvertEditTest(CliTest):
    def net(self, name="net.pt"):
        """Two float tensors, one over an own storage each, and an int one."""
        weight = Tensor("float32", [2, 2], floats(1, -2, 3.5, 1e19))
        bias = Tensor("float32", [2], floats(0.1, 70000))
        ids = Tensor("int64", [1], struct.pack("<q", 5))
        model = {"0.weight": weight, "0.bias": bias}
        return self.pt({"model": model, "ids": ids, "step": 7}, name)

    def tensors(self, path):
        return {t["name"]: t for t in self.json(0, "ls", path)["tensors"]}

    def raw(self, path, name):
        return run("cat", path, name, "--raw").stdout

    def expect_refused(self, path, *options):
        """The error; no file is written, replaced or left behind."""
        before = path.read_bytes()
        names = sorted(os.listdir(self.folder))
        out = self.folder / "refused.pt"
        error = self.expect_error("convert", path, out, *options)
        self.assertEqual(
            self.expect_error("convert", path, path, *options), error
        )
        self.assertEqual(path.read_bytes(), before)
        self.assertEqual(sorted(os.listdir(self.folder)), names)
        return error

    def test_cast_rounds_and_says_what_it_did(self):
        path, out = self.net(), self.folder / "out.pt"
        text = self.expect(0, "convert", path, out, "--cast", "*=bf16")
        self.assertRegex(
            text,
            r"\Acast 2 tensors from float32 to bfloat16\n[^\n]+ -> [^\n]+\n\Z",
        )
        tensors = self.tensors(out)
        self.assertEqual(tensors["model.0.weight"]["dtype"], "bfloat16")
        self.assertEqual(tensors["model.0.weight"]["bytes"], 8)
        self.assertEqual(tensors["ids"]["dtype"], "int64")
        self.assertEqual(
            self.raw(out, "model.0.bias"), struct.pack("<2H", 0x3DCD, 0x4789)
        )
        self.assertTrue(self.json(0, "verify", out)["ok"])

    def test_first_cast_that_covers_a_tensor_decides(self):
        path = self.net()
        text = self.expect(
            0, "convert", path, path, "--cast=*.bias=float16",
            "--cast=model.*=FP64",
        )  # fmt: skip
        self.assertIn("cast 1 tensor from float32 to float16\n", text)
        self.assertIn("cast 1 tensor from float32 to float64\n", text)
        tensors = self.tensors(path)
        self.assertEqual(tensors["model.0.bias"]["dtype"], "float16")
        self.assertEqual(tensors["model.0.weight"]["dtype"], "float64")
        self.assertEqual(
            self.raw(path, "model.0.bias"), struct.pack("<2H", 0x2E66, 0x7C00)
        )
        self.assertEqual(os.listdir(self.folder), [path.name])

    def test_cast_to_the_same_dtype_changes_nothing(self):
        path, out = self.net(), self.folder / "out.pt"
        plain = self.folder / "plain.pt"
        text = self.expect(0, "convert", path, out, "--cast", "*=float32")
        self.assertIn("no tensor needed a cast\n", text)
        self.expect(0, "convert", path, plain)
        self.assertEqual(out.read_bytes(), plain.read_bytes())

    def test_casts_that_make_no_sense_are_refused(self):
        path = self.net()
        for value, reason in {
            "x": "expected NAME_GLOB=DTYPE",
            "=float16": "expected NAME_GLOB=DTYPE",
            "*=half": "'half' is no dtype",
            "*=": "'' is no dtype",
            "*=int8": "int8 is no floating type",
            "layer*=float16": "'layer*'",
            "ids=float16": "'ids' is int64",
            "model.0.bias=float8_e5m2fnuz": "'model.0.bias'",
        }.items():
            error = self.expect_refused(path, "--cast", value)
            self.assertIn(reason, error)

    def test_tensors_of_one_storage_are_cast_together(self):
        path = self.model()
        error = self.expect_refused(path, "--cast", "turned=float16")
        self.assertIn("'w'", error)
        self.assertIn("'turned'", error)
        self.expect(0, "convert", path, path, "--cast", "*=float16")
        self.assertEqual(self.tensors(path)["tied.0"]["dtype"], "float16")

    def test_damage_is_found_while_casting(self):
        path = self.net()
        flip(path, "data/1")  # the lowest byte, which rounding takes away
        error = self.expect_refused(path, "--cast", "*=bfloat16")
        self.assertIn("data/1", error)

    def test_rename_changes_one_key(self):
        path, out = self.net(), self.folder / "out.pt"
        text = self.expect(
            0, "convert", path, out,
            "--rename", "model.0.weight=model.fc.w=1",
            "--rename", "model=net", "--rename=step=steps",
        )  # fmt: skip
        self.assertTrue(text.startswith(
            "renamed model.0.weight to model.fc.w=1\n"
            "renamed model to net\nrenamed step to steps\n"
        ))  # fmt: skip
        before, after = self.tensors(path), self.tensors(out)
        self.assertEqual(list(after), ["net.fc.w=1", "net.0.bias", "ids"])
        self.assertEqual(
            [t["crc32"] for t in before.values()],
            [t["crc32"] for t in after.values()],
        )
        self.assertEqual(
            after["net.fc.w=1"]["path"], ["net", "fc.w=1"]
        )

    def test_casts_go_by_the_names_in_the_file(self):
        path = self.net()
        options = ["--rename", "model=net", "--cast", "model.*=float16"]
        self.expect(0, "convert", path, path, *options)
        self.assertEqual(self.tensors(path)["net.0.bias"]["dtype"], "float16")
        self.assertEqual(os.listdir(self.folder), [path.name])

    def test_renames_that_make_no_sense_are_refused(self):
        path = self.net()
        for value, reason in {
            "x": "expected OLD=NEW",
            "=x": "expected OLD=NEW",
            "x=": "expected OLD=NEW",
            "nope=x": "nothing is called 'nope'",
            "ids=step": "'step' is the name of",
            "model.0.bias=bias": "does not lie in 'model'",
            "ids=model.ids": "'model' holds entries",
        }.items():
            error = self.expect_refused(path, "--rename", value)
            self.assertIn(reason, error)
        path = self.pt({"a": {"b.c": 1}, "a.b": {"c": 2}, "l": [1]}, "b.pt")
        error = self.expect_refused(path, "--rename", "a.b.c=a.b.d")
        self.assertIn('["a", "b.c"] and of ["a.b", "c"]', error)
        error = self.expect_refused(path, "--rename", "l.0=l.x")
        self.assertIn("'l.0' is no entry of a dict", error)

    def test_profile_lays_the_file_out(self):
        path = self.pt({
            str(i): Tensor("uint8", [1], bytes([i])) for i in range(12)
        })  # fmt: skip
        records = {}
        for profile in ("1.13", "2.6", "2.7"):
            out = self.folder / f"{profile}.pt"
            self.expect(0, "convert", path, out, "--profile", profile)
            with zipfile.ZipFile(out) as archive:
                records[profile] = archive.namelist()
            self.assertTrue(self.json(0, "verify", out)["ok"])
        text_order = [f"data/{i}" for i in (0, 1, 10, 11, *range(2, 10))]
        numeric = [f"data/{i}" for i in range(12)]
        self.assertEqual(records, {
            "1.13": [f"1.13/{r}" for r in (
                "data.pkl", *text_order, "version")],
            "2.6": [f"2.6/{r}" for r in (
                "data.pkl", "byteorder", *text_order, "version",
                ".data/serialization_id")],
            "2.7": [f"2.7/{r}" for r in (
                "data.pkl", ".format_version", ".storage_alignment",
                "byteorder", *numeric, "version", ".data/serialization_id")],
        })  # fmt: skip

    def test_without_profile_the_layout_is_kept(self):
        path = self.net()
        old, again = self.folder / "old.pt", self.folder / "again.pt"
        self.expect(0, "convert", path, old, "--profile", "1.13")
        self.expect(0, "convert", old, again)
        self.assertEqual(old.read_bytes(), again.read_bytes())

    def test_profiles_that_make_no_sense_are_refused(self):
        path = self.net()
        error = self.expect_refused(path, "--profile", "2.8")
        self.assertIn("expected 1.13, 2.6 or 2.7", error)
        twice = ["--profile", "2.6", "--profile", "2.7"]
        self.assertIn("--profile", self.expect_refused(path, *twice))
