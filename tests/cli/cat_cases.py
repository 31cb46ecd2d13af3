# SPDX-License-Identifier: Apache-2.0
"""caisson cat"""

import struct

from cli_case import SIX, CliTest, keeps_values, run
from pt_files import Tensor, clear_crc, flip


class CatTest(CliTest):
    def test_headline_statistics_and_values(self):
        lines = self.expect(0, "cat", self.model(), "turned").splitlines()
        head = r"^turned: float32 \[3, 2\], 24 B, in data/0"
        self.assertRegex(lines[0], head)
        self.assertIn("strides [1, 3]", lines[0])
        self.assertEqual(
            lines[1],
            "min -4.  max 3.25  mean 0.125  std 2.5187  zeros 1  nan 0  inf 0",
        )
        self.assertEqual(lines[2:], [
            "[[ 0.0000,  2.0000],", " [ 0.5000,  3.2500],",
            " [-1.0000, -4.0000]]",
        ])

    def test_raw_is_the_dense_tensor_and_nothing_else(self):
        done = run("cat", self.model(), "turned", "--raw")
        values = struct.unpack("<6f", SIX)
        dense = struct.pack("<6f", *(values[i] for i in (0, 3, 1, 4, 2, 5)))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(done.stdout, dense)

    def test_values_of_each_kind_of_element(self):
        cases = [
            ("bfloat16", "<3H", (0x3F80, 0x7F80, 0xFFC0), "[ 1., inf, nan]"),
            ("float16", "<2H", (0x3C00, 0xBE00), "[ 1.0000, -1.5000]"),
            ("float64", "<2d", (1e-9, 2), "[1.0000e-09, 2.0000e+00]"),
            ("float8_e4m3fn", "3B", (0x38, 0x7E, 0x7F), "[  1., 448.,  nan]"),
            ("float8_e5m2", "3B", (0x3C, 0x7C, 0xFC), "[  1.,  inf, -inf]"),
            ("float8_e4m3fnuz", "2B", (0x40, 0x80), "[ 1., nan]"),
            ("float8_e5m2fnuz", "2B", (0x40, 0x80), "[ 1., nan]"),
            ("float8_e8m0fnu", "3B", (127, 128, 255), "[ 1.,  2., nan]"),
            ("float4_e2m1fn_x2", "2B", (0x21, 0xF7),
             "[(0.5, 1.), (6., -6.)]"),
            ("complex64", "<2f", (1, -2), "[1.-2.j]"),
            ("complex32", "<2H", (0x3800, 0x3C00), "[0.5000+1.0000j]"),
            ("uint64", "<1Q", (2**64 - 1,), "[18446744073709551615]"),
            ("int8", "2b", (-128, 127), "[-128,  127]"),
            ("uint16", "<1H", (65535,), "[65535]"),
            ("bool", "2B", (1, 0), "[ True, False]"),
            ("qint8", "1b", (-3,), "[-3]"),
            ("bits16", "<1H", (0x1234,), "[0x1234]"),
        ]
        state = {}
        for dtype, form, values, _ in cases:
            elems = len(values) // (2 if dtype.startswith("complex") else 1)
            state[dtype] = Tensor(dtype, [elems], struct.pack(form, *values))
        path = self.pt(state)
        for dtype, _, _, expected in cases:
            if not keeps_values(dtype):
                continue
            text = self.expect(0, "cat", path, dtype)
            self.assertEqual(text.splitlines()[-1], expected, dtype)

    def test_conj_and_neg_are_applied(self):
        data = struct.pack("<4f", 1, -2, 0.5, 0)
        path = self.pt({
            "conj": Tensor("complex64", [2], data, bits={"conj": True}),
            "neg": Tensor("float32", [4], data, bits={"neg": True}),
        })
        raw = run("cat", path, "conj", "--raw").stdout
        self.assertEqual(raw, struct.pack("<4f", 1, 2, 0.5, -0.0))
        raw = run("cat", path, "neg", "--raw").stdout
        self.assertEqual(raw, struct.pack("<4f", -1, 2, -0.5, -0.0))

    def test_large_tensors_are_abbreviated(self):
        numbers = struct.pack("<2000i", *range(2000))
        path = self.pt({
            "matrix": Tensor("int32", [40, 50], numbers),
            "deep": Tensor("uint8", [2] * 16, bytes(65536)),
            "empty": Tensor("float32", [0, 3], b""),
            "scalar": Tensor("float32", [], struct.pack("<f", 2.5)),
        })
        text = self.expect(0, "cat", path, "matrix")
        self.assertIn("[[   0,    1,    2,  ...,   47,   48,   49],", text)
        self.assertIn(" ...,\n", text)
        self.assertLess(len(self.expect(0, "cat", path, "deep")), 1 << 17)
        for name, last in (("empty", "[]"), ("scalar", "2.5000")):
            lines = self.expect(0, "cat", path, name).splitlines()
            self.assertEqual(lines[-1], last)

    def test_names_that_are_missing_or_ambiguous_fail(self):
        one = Tensor("int8", [1], b"\x01")
        path = self.pt({"a.b": one, "a": {"b": Tensor("int8", [1], one)}})
        self.assertIn("nothing", self.expect_error("cat", path, "nothing"))
        self.assertIn("a.b", self.expect_error("cat", path, "a.b"))

    def test_names_may_be_given_as_they_are_shown(self):
        path = self.pt({"a\x00b\ud800": Tensor("uint8", [1], b"\x2a")})
        shown = r"a\x00b\xed\xa0\x80"
        self.assertIn(shown, self.expect(0, "ls", path))
        self.assertEqual(run("cat", path, shown, "--raw").stdout, b"\x2a")

    def test_sizes_that_overflow_are_said_to_be_too_large(self):
        # Failed: "no memory for 18446744073709551615 bytes", of no file.
        huge = Tensor("float32", [2**31, 2**31], bytes(4), strides=[0, 0])
        path = self.pt({"huge": huge})
        for more in ([], ["--raw"]):
            self.assertRegex(
                self.expect_error("cat", path, "huge", *more),
                rf"^caisson: {path}: tensor 'huge' is too large ",
            )

    def test_damaged_values_are_not_shown(self):
        path = self.model()
        flip(path, "data/0")
        for more in ([], ["--raw"]):
            self.assertIn("data/0", self.expect_error("cat", path, "w", *more))
        self.expect(0, "cat", path, "b")

    def test_values_without_a_crc_are_shown_as_such(self):
        path = self.model()
        clear_crc(path, "data/0")
        self.assertIn("not checked", self.expect(0, "cat", path, "w"))
