# SPDX-License-Identifier: Apache-2.0
"""caisson diff"""

import collections
import struct
import sys
import time
import zipfile

from cli_case import SIX, CliTest, keeps_values, run
from pt_files import Call, Tensor, clear_crc, flip, named

OrderedDict = collections.OrderedDict


def floats(*values):
    return Tensor("float32", [len(values)], struct.pack(f"<{len(values)}f",
                                                        *values))


def parameter(tensor, requires_grad=True):
    return Call("torch._utils._rebuild_parameter", tensor, requires_grad,
                OrderedDict())


class DiffTest(CliTest):
    def both(self, a, b):
        return self.pt(a, "a.pt"), self.pt(b, "b.pt")

    def lines(self, a, b, *more):
        """What is said of two states that differ, without the summary."""
        lines = self.expect(1, "diff", *self.both(a, b), *more).splitlines()
        self.assertRegex(lines[-1], r"a\.pt and .*b\.pt: \d+ difference")
        return lines[:-1]

    def differences(self, a, b, *more):
        answer = self.json(1, "diff", *self.both(a, b), *more)
        self.assertIs(answer["same"], False)
        self.assertEqual(answer["errors"], [])
        return answer["differences"]

    def same(self, a, b, *more):
        self.expect(0, "diff", *self.both(a, b), *more)

    def test_file_is_the_same_as_itself_and_its_copy(self):
        path, copy = self.model("a.pt"), self.folder / "copy.pt"
        self.expect(0, "convert", path, copy)
        for other in (path, copy):
            self.assertRegex(
                self.expect(0, "diff", path, other),
                rf"\A{path} and {other}: the same, 4 tensors, 52 B compared "
                r"in [^\n]+\n\Z",
            )
        self.assertEqual(self.json(0, "diff", path, copy), {
            "same": True, "a": str(path), "b": str(copy), "tensors": 4,
            "bytes": 52, "differences": [], "elided": 0, "errors": [],
            "not_compared": [],
        })

    def test_elements_are_counted_and_the_first_is_shown(self):
        values = list(struct.unpack("<6f", SIX))
        values[1], values[5] = 0.25, 4
        a = {"w": Tensor("float32", [2, 3], SIX)}
        b = {"w": Tensor("float32", [2, 3], struct.pack("<6f", *values))}
        self.assertEqual(self.lines(a, b), [
            "w: 2 of 6 elements differ, first at [0, 1]: 0.5 in A, 0.25 in B; "
            "greatest difference 8"
        ])
        self.assertEqual(self.differences(a, b), [{
            "kind": "elements", "name": "w", "path": ["w"], "a": "0.5",
            "b": "0.25", "differing": 2, "elems": 6, "index": [0, 1],
            "greatest": 8.0,
        }])

    def test_values_are_compared_bit_by_bit(self):
        nan, other_nan = b"\x00\x00\xc0\x7f", b"\x01\x00\xc0\x7f"
        tensor = lambda data: {"t": Tensor("float32", [1], data)}
        self.same(tensor(nan), tensor(nan))
        (line,) = self.lines(tensor(nan), tensor(other_nan))
        self.assertTrue(line.endswith(
            "nan (0x7fc00000) in A, nan (0x7fc00001) in B"), line)
        (line,) = self.lines({"t": floats(0.0)}, {"t": floats(-0.0)})
        self.assertTrue(line.endswith(
            "0. in A, -0. in B; greatest difference 0"), line)
        infinity = float("inf")
        (found,) = self.differences({"t": floats(infinity)},
                                    {"t": floats(1.0)})
        self.assertEqual(found["greatest"], {"$float": "inf"})
        self.assertEqual(self.lines({"x": 0.0}, {"x": -0.0}),
                         ["x: 0.0 in A, -0.0 in B"])
        not_a_number = [struct.unpack(">d", bytes.fromhex(bits))[0]
                        for bits in ("7ff8000000000000", "7ff8000000000001")]
        self.same({"x": not_a_number[0]}, {"x": not_a_number[0]})
        self.assertEqual(
            self.lines({"x": not_a_number[0]}, {"x": not_a_number[1]}),
            ["x: nan (0x7ff8000000000000) in A, "
             "nan (0x7ff8000000000001) in B"],
        )

    def test_elements_of_each_class(self):
        cases = [
            ("bool", b"\x01", b"\x02", "True (0x01)", "True (0x02)", None),
            ("int64", bytes(7) + b"\x80", bytes(8), str(-(2**63)), "0", None),
            ("complex64", struct.pack("<2f", 3, 4), bytes(8), "3.+4.j",
             "0.+0.j", 5.0),
            ("bfloat16", b"\x80\x3f", b"\x00\x40", "1.", "2.", 1.0),
            ("float4_e2m1fn_x2", b"\x21", b"\x27", "(0.5, 1.)", "(6., 1.)",
             5.5),
            ("bits16", b"\x34\x12", b"\x35\x12", "0x1234", "0x1235", None),
        ]
        for dtype, one, other, in_a, in_b, greatest in cases:
            if not keeps_values(dtype):
                continue
            (found,) = self.differences(
                {"t": Tensor(dtype, [1], one)},
                {"t": Tensor(dtype, [1], other)},
            )
            self.assertEqual(
                (found["a"], found["b"], found["greatest"], found["index"]),
                (in_a, in_b, greatest, [0]), dtype,
            )

    def test_entries_and_items_of_one_file_only(self):
        a = {"x": 1, "old": floats(1, 2), "list": [1, [2], "c"]}
        b = {"x": 1, "new": {"deep": 3}, "list": [1]}
        self.assertEqual(self.lines(a, b), [
            "old: only in A: float32 [2]", "list.1: only in A: [2]",
            "list.2: only in A: 'c'", "new: only in B: {'deep': 3}",
        ])
        kinds = [d["kind"] for d in self.differences(a, b)]
        self.assertEqual(kinds, ["only_in_a"] * 3 + ["only_in_b"])

    def test_kinds_of_value_differ_whatever_python_says(self):
        for one, other in [
            (1, True), (1, 1.0), (None, 0), ("a", b"a"), ([], {}),
            (b"a", bytearray(b"a")), (floats(1), 1.0),
        ]:
            (found,) = self.differences({"x": one}, {"x": other})
            self.assertEqual((found["kind"], found["name"]), ("type", "x"))
        # Keys too.
        kinds = [d["kind"] for d in self.differences({1: 0}, {True: 0})]
        self.assertEqual(kinds, ["only_in_a", "only_in_b"])

    def test_containers_of_two_kinds_are_compared_all_the_same(self):
        self.assertEqual(
            self.lines({"x": [1, 2], "y": {"k": 1}, "z": {1}},
                       {"x": (1, 3), "y": OrderedDict(k=2),
                        "z": frozenset([1])}),
            ["x: list of 2 in A, tuple of 2 in B", "x.1: 2 in A, 3 in B",
             "y: dict of 1 in A, OrderedDict of 1 in B",
             "y.k: 1 in A, 2 in B", "z: set of 1 in A, frozenset of 1 in B"],
        )

    def test_order_of_keys_counts_unless_told_otherwise(self):
        a = {"m": {"a": 1, "b": 2, "c": 3}}
        b = {"m": {"x": 0, "a": 1, "c": 3, "b": 2}}
        self.assertEqual(self.lines(a, b), [
            "m: keys in another order: first b in A, c in B",
            "m.x: only in B: 0",
        ])
        self.assertEqual(
            [d["kind"] for d in self.differences(a, b)],
            ["order", "only_in_b"],
        )
        del b["m"]["x"]
        self.same(a, b, "--ignore-order")

    def test_sets_have_no_order(self):
        self.same({"s": {8, 16, 0}}, {"s": {0, 8, 16}})
        self.assertEqual(
            self.lines({"s": {1, (2, 3)}}, {"s": {(2, 4), 1}}),
            ["s: only in A: (2, 3)", "s: only in B: (2, 4)"],
        )

    def test_texts_that_look_the_same_are_told_apart(self):
        text = "x" * 200
        (line,) = self.lines({"t": text + "a"}, {"t": text + "b"})
        self.assertIn("(201 characters) (0x61 at byte 200) in A", line)
        (line,) = self.lines({"t": text.encode()}, {"t": b"y" + text.encode()})
        self.assertIn("bytes of 200 in A, bytes of 201 in B", line)

    def test_dtype_and_shape_are_told_and_values_not_compared(self):
        a = {"d": Tensor("int32", [2], bytes(8)), "s": floats(1, 2)}
        b = {"d": Tensor("float32", [2], bytes(8)),
             "s": Tensor("float32", [2, 1], struct.pack("<2f", 3, 4))}
        self.assertEqual(self.lines(a, b), [
            "d: int32 in A, float32 in B", "s: shape [2] in A, [2, 1] in B",
        ])

    def test_flags_of_tensors(self):
        data = struct.pack("<2f", 1, -2)
        a = {"g": Tensor("float32", [2], data, grad=True),
             "n": Tensor("float32", [2], data, bits={"neg": True}),
             "p": parameter(floats(1)), "q": parameter(floats(1), False)}
        b = {"g": Tensor("float32", [2], data),
             "n": Tensor("float32", [2], struct.pack("<2f", -1, 2)),
             "p": floats(1), "q": parameter(floats(1))}
        self.assertEqual(self.lines(a, b), [
            "g: requires_grad in A only", "n: neg in A only",
            "p: Parameter in A, tensor in B", "p: requires_grad in A only",
            "q: requires_grad in B only",
        ])
        # The values are those that conj and neg make.
        self.same(a, b, "--tensors")
        del a["n"].bits["neg"]
        lines = self.lines(a, b, "--tensors")
        self.assertEqual(len(lines), 1)
        self.assertIn("n: 2 of 2 elements differ", lines[0])

    def test_sharing_of_storages(self):
        one, two = floats(1, 2), floats(1, 2)
        shared = {"a": one, "b": {"c": Tensor("float32", [2], one)}}
        apart = {"a": one, "b": {"c": two}}
        self.assertEqual(self.lines(shared, apart),
                         ["b.c: shares its storage with a in A only"])
        self.assertEqual(self.lines(apart, shared),
                         ["b.c: shares its storage with a in B only"])
        (found,) = self.differences(shared, apart)
        self.assertEqual(
            (found["kind"], found["path"], found["a"], found["b"]),
            ("sharing", ["b", "c"], "a", None),
        )
        self.same(shared, apart, "--tensors")

    def test_layout_counts_only_if_asked_for(self):
        six = list(struct.unpack("<6f", SIX))
        turned = Tensor("float32", [2, 3], struct.pack(
            "<8f", 9, *(six[i] for i in (0, 3, 1, 4, 2, 5)), 9),
            strides=[1, 2], offset=1)
        a, b = {"w": Tensor("float32", [2, 3], SIX)}, {"w": turned}
        self.same(a, b)
        self.assertEqual(self.lines(a, b, "--layout"), [
            "w: layout: strides [3, 1], offset 0, storage of 24 B of float32 "
            "on cpu in A, strides [1, 2], offset 1, storage of 32 B of "
            "float32 on cpu in B"
        ])

    def test_large_tensors_are_compared_to_the_last_element(self):
        elems = (9 << 20) // 4  # more than one block
        data = bytearray(4 * elems)
        a = {"t": Tensor("int32", [elems], bytes(data)),
             "m": Tensor("int32", [3, elems // 3], bytes(data))}
        data[-4:] = b"\x01\x00\x00\x00"
        data[8 << 20] = 2  # the first of the second block
        b = {"t": Tensor("int32", [elems], bytes(data)), "m": a["m"]}
        (found,) = self.differences(a, b)
        self.assertEqual((found["differing"], found["index"]),
                         (2, [(8 << 20) // 4]))
        # A transposed one is read in the order of its file; the first index
        # is that of the tensor all the same.
        rows, columns = 3, elems // 3
        transposed = Tensor("int32", [columns, rows], bytes(data),
                            strides=[1, columns])
        straight = Tensor("int32", [columns, rows], bytes(len(data)))
        (found,) = self.differences({"t": transposed}, {"t": straight})
        last = [columns - 1, rows - 1]
        second = divmod((8 << 20) // 4, columns)[::-1]
        self.assertEqual(found["index"], min([*second], last))
        self.assertEqual(found["differing"], 2)

    def test_views_that_repeat_elements_cost_what_they_hold(self):
        huge = lambda data: {"t": Tensor("int8", [2**31, 2, 2**20], data,
                                         strides=[0, 1, 0])}
        self.same(huge(b"\x01\x02"), huge(b"\x01\x02"))
        (found,) = self.differences(huge(b"\x01\x02"), huge(b"\x01\x03"))
        self.assertEqual(found["differing"], 2**51)
        self.assertEqual(found["index"], [0, 1, 0])

    def test_packed_types_are_compared_as_they_are_stored(self):
        def state(data, scale=0.5):
            tensor = Tensor("quint4x2", [4, 2], data, strides=[2, 1])
            scheme = named("torch.per_tensor_affine")
            return {"q": Call(
                "torch._utils._rebuild_qtensor", tensor.storage, 0, (4, 2),
                (2, 1), (scheme, scale, 3), False, OrderedDict())}
        self.same(state(b"\x01\x02\x03\x04"), state(b"\x01\x02\x03\x04"))
        (line,) = self.lines(state(b"\x01\x02\x03\x04"),
                             state(b"\x01\x02\xff\x04"))
        self.assertEqual(line, "q: 1 of 4 packed bytes differ, first at [2]: "
                               "0x03 in A, 0xff in B")
        self.assertEqual(
            self.lines(state(bytes(4)), state(bytes(4), 0.25)),
            ["q.quantizer.1: 0.5 in A, 0.25 in B"],
        )

    def test_objects_are_compared_by_name_and_arguments(self):
        thing = lambda name, *args, **kw: {"o": Call(name, *args, **kw)}
        tensor = floats(1)
        self.same(thing("my.Thing", 1, tensor, state={"k": 1}),
                  thing("my.Thing", 1, tensor, state={"k": 1}))
        self.assertEqual(
            self.lines(thing("my.Thing", 1, floats(1), state={"k": 1}),
                       thing("my.Thing", 2, floats(2), state={"k": 3})),
            ["o.0: 1 in A, 2 in B",
             "o.1: 1 of 1 elements differ, first at [0]: 1. in A, 2. in B; "
             "greatest difference 1", "o.k: 1 in A, 3 in B"],
        )
        (found,) = self.differences(thing("my.Thing"), thing("my.Other"))
        self.assertEqual((found["kind"], found["name"]), ("type", "o"))
        self.assertEqual(
            self.lines({"s": Call("torch.Size", (2, 3))},
                       {"s": Call("torch.Size", (2, 4))}),
            ["s: torch.Size([2, 3]) in A, torch.Size([2, 4]) in B"],
        )

    def test_tensors_by_name_across_structures(self):
        a = {"model": OrderedDict(w=parameter(floats(1, 2))), "step": 7,
             "more": floats(3)}
        b = {"model.w": floats(1, 2), "other": floats(3)}
        self.assertEqual(self.lines(a, b, "--tensors"), [
            "more: only in A: float32 [1]", "other: only in B: float32 [1]",
        ])
        self.assertEqual(
            [d["path"] for d in self.differences(a, b, "--tensors")],
            [["more"], ["other"]],
        )
        both = {"a.b": floats(1), "a": {"b": floats(2)}}
        error = self.expect_error("diff", *self.both(a, both), "--tensors")
        self.assertIn("a.b", error)

    def test_lines_are_capped_unless_all_are_asked_for(self):
        a, b = ({"l": [i + step for i in range(120)]} for step in (0, 1))
        lines = self.lines(a, b)
        self.assertEqual(len(lines), 51)
        self.assertEqual(lines[-1], "and 70 more; --all shows them")
        self.assertEqual(len(self.lines(a, b, "--all")), 120)
        self.assertEqual(len(self.differences(a, b)), 120)

    def test_shared_containers_are_compared_once(self):
        def doubled(leaf, steps):
            node = [leaf]
            for _ in range(steps):
                node = [node, node]
            return node
        lines = self.lines(doubled(1, 10), doubled(2, 10))
        self.assertEqual(len(lines), 11)  # of 1024 paths
        self.assertEqual(lines[0], ".".join("0" * 11) + ": 1 in A, 2 in B")
        self.assertEqual(lines[-1], "1: differs as 0 does")
        self.same(doubled(1, 10), doubled(1, 10))
        # No Reader takes a tree that unfolds to far more than it holds.
        begin = time.monotonic()
        error = self.expect_error(
            "diff", *self.both(doubled(1, 60), doubled(2, 60)))
        self.assertIn("unfold", error)
        self.assertLess(time.monotonic() - begin, 10)

    def test_documents_are_bounded(self):
        key = "k" * 200_000
        a, b = ({key: [step] * 100} for step in (0, 1))
        answer = self.json(1, "diff", *self.both(a, b))
        shown, elided = len(answer["differences"]), answer["elided"]
        self.assertEqual(shown + elided, 100)
        self.assertGreater(min(shown, elided), 20)

    def test_deep_trees(self):
        # The memo of Python's pickler takes several frames a level.
        limit = sys.getrecursionlimit()
        self.addCleanup(sys.setrecursionlimit, limit)
        sys.setrecursionlimit(20000)

        def nested(leaf):
            for i in range(950):
                leaf = [leaf] if i % 2 else {"k": leaf}
            return leaf
        (line,) = self.lines(nested(1), nested(2))
        self.assertTrue(line.endswith(": 1 in A, 2 in B"), line)
        (found,) = self.differences(nested(1), nested(2))
        self.assertEqual(len(found["path"]), 950)

    def test_damage_is_no_difference(self):
        a, b = self.model("a.pt"), self.model("b.pt")
        flip(b, "data/0")
        done = run("diff", a, b)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr.decode(),
                         rf"\Acaisson: {b}: .*data/0[^\n]*\n\Z")
        self.assertNotIn(b"elements differ", done.stdout)
        self.assertIn(b"INCOMPLETE, no difference", done.stdout)
        answer = self.json(2, "diff", a, b)
        self.assertIs(answer["same"], False)
        self.assertEqual([e["name"] for e in answer["errors"]], ["w"])

    def test_damage_in_a_part_of_a_record_is_no_difference(self):
        # Blocks are not checked while they are read, views never are.
        data = bytes(range(256)) * (9 << 12)
        whole = Tensor("uint8", [len(data)], data)
        part = Tensor("uint8", [5], data[:64], offset=3)
        for state, at in (({"t": whole}, 5 << 20), ({"t": part}, 5)):
            a, b = self.both(state, state)
            self.expect(0, "diff", a, b)
            flip(b, "data/0", at)
            done = run("diff", a, b)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn(f"caisson: {b}: data/0", done.stderr.decode())
            self.assertNotIn(b"differ, ", done.stdout)
            # Without a CRC nobody can tell.
            clear_crc(b, "data/0")
            self.assertIn("1 of", self.expect(1, "diff", a, b))

    def test_deflated_records(self):
        data = bytes(range(256)) * (9 << 12)
        state = {"t": Tensor("uint8", [9, 4096 * 256], data),
                 "v": Tensor("uint8", [5], data[:64], offset=3)}
        a = self.pt(state, "a.pt")
        b = self.pt(state, "b.pt", method=8)
        self.expect(0, "diff", a, b)

    def test_records_that_are_not_compared_are_named(self):
        a, b = self.model("a.pt"), self.model("b.pt")
        with zipfile.ZipFile(b, "a") as archive:
            archive.writestr("archive/extra/note", "hello")
        text = self.expect(0, "diff", a, b)
        self.assertIn("not compared, as it is no part of the state: ", text)
        self.assertEqual(self.json(0, "diff", a, b)["not_compared"],
                         ["extra/note"])

    def test_files_that_cannot_be_read_fail(self):
        path, missing = self.model(), self.folder / "missing.pt"
        for args in ([path, missing], [missing, path]):
            self.assertIn("missing.pt", self.expect_error("diff", *args))
            self.assertIn("missing.pt",
                          self.expect_error("diff", *args, "--json"))
        self.expect_error("diff", path)
        self.expect_error("diff", path, path, "--tensors", "--layout")
        damaged = self.model("damaged.pt")
        flip(damaged, "data.pkl", 20)
        self.assertIn("data.pkl", self.expect_error("diff", path, damaged))
