# SPDX-License-Identifier: Apache-2.0
"""caisson verify"""

import os
import unittest

from cli_case import OPTIONS, CliTest, run
from pt_files import Tensor, clear_crc, data_offset, flip, write_archive


class VerifyTest(CliTest):
    def test_sound_file_is_one_line(self):
        path = self.model()
        self.assertRegex(
            self.expect(0, "verify", path),
            rf"\A{path}: ok, 5 records, \S+ k?B checked in \S+ m?s"
            r"( \(\S+ .?B/s\))?, (page cache|buffered|\w+, direct)\n\Z",
        )
        self.assertEqual(self.json(0, "verify", path), {
            "ok": True, "checked": 5, "unchecked": 0, "damage": [],
            "unchecked_records": [], "unread": [], "errors": [],
        })

    def test_damage_names_record_offset_and_tensors(self):
        path = self.model()
        flip(path, "data/0", 5)
        offset = data_offset(path, "data/0")
        lines = self.expect(1, "verify", path).splitlines()
        self.assertRegex(
            lines[0],
            rf"^{path}: data/0 at {offset}: .*; tensors: w, turned, tied.0$",
        )
        self.assertRegex(lines[1], r"DAMAGED, 1 of 5 records, .* checked in")
        answer = self.json(1, "verify", path)
        self.assertIs(answer["ok"], False)
        self.assertEqual(answer["checked"], 4)
        (damage,) = answer["damage"]
        self.assertTrue(damage.pop("problem"))
        self.assertEqual(damage, {
            "file": str(path), "record": "data/0", "offset": offset,
            "tensors": ["w", "turned", "tied.0"],
        })

    def test_all_damage_is_reported(self):
        path = self.model()
        for record in ("data/0", "data/1", "byteorder"):
            flip(path, record)
        damage = self.json(1, "verify", path)["damage"]
        self.assertLessEqual(
            {"data/0", "data/1", "byteorder"}, {d["record"] for d in damage}
        )

    def test_damaged_pickle_is_named_and_hides_nothing(self):
        path = self.model()
        flip(path, "data.pkl", 20)
        flip(path, "data/1")
        damage = self.json(1, "verify", path)["damage"]
        self.assertEqual({"data.pkl", "data/1"}, {d["record"] for d in damage})
        self.assertEqual(damage[0]["offset"], data_offset(path, "data.pkl"))
        # Failed: no summary, and the name of the file twice in a line.
        text = self.expect(1, "verify", path)
        for line in text.splitlines():
            self.assertEqual(line.count(str(path)), 1, line)
            self.assertLessEqual(line.count("data.pkl"), 1, line)
        self.assertRegex(text, r"DAMAGED, 2 of 5 records, [^\n]+\n\Z")

    def test_state_that_cannot_be_read_is_told_and_no_damage(self):
        # Failed: nothing was checked.
        path = self.pt({Tensor("uint8", [8], bytes(8)): "a tensor as a key"})
        text = self.expect(0, "verify", path)
        self.assertRegex(
            text,
            rf"\A{path}: the state could not be read: [^\n]+; its records were "
            rf"checked\n{path}: ok, 4 records, [^\n]+\n\Z",
        )
        self.assertEqual(text.count(str(path)), 2)
        answer = self.json(0, "verify", path)
        self.assertIs(answer["ok"], True)
        self.assertEqual((answer["checked"], answer["damage"]), (4, []))
        (unread,) = answer["unread"]
        self.assertEqual(unread["file"], str(path))
        self.assertTrue(unread["problem"])
        flip(path, "data/0")
        text = self.expect(1, "verify", path)
        self.assertIn(": the state could not be read: ", text)
        self.assertRegex(text, r"DAMAGED, 1 of 4 records, [^\n]+\n\Z")

    def test_nonsense_with_a_sound_crc_is_damage_told_once(self):
        path = self.folder / "nonsense.pt"
        write_archive(path, b"\x80\x02}uuu.")
        text = self.expect(1, "verify", path)
        self.assertRegex(
            text, rf"\A{path}: [^\n]+\n{path}: DAMAGED, 0 of 3 records, "
        )
        self.assertEqual(text.count(str(path)), 2)

    def test_corrupt_index_is_damage_without_a_record(self):
        path = self.model()
        path.write_bytes(path.read_bytes()[:-30])
        self.assertRegex(self.expect(1, "verify", path), rf"\A{path}: .+\n\Z")
        (damage,) = self.json(1, "verify", path)["damage"]
        self.assertEqual(damage["record"], "")
        self.assertEqual(damage["file"], str(path))
        self.assertEqual(damage["tensors"], [])
        self.assertTrue(damage["problem"])

    def test_records_without_crc_are_said_to_be_unchecked(self):
        path = self.model()
        clear_crc(path, "data/0")
        clear_crc(path, "version")
        self.assertIn(
            "2 records carry no CRC and could not be checked: ",
            self.expect(0, "verify", path),
        )
        answer = self.json(0, "verify", path)
        self.assertEqual((answer["checked"], answer["unchecked"]), (3, 2))
        self.assertCountEqual(answer["unchecked_records"], [
            {"file": str(path), "record": "data/0"},
            {"file": str(path), "record": "version"},
        ])

    def test_missing_file_does_not_hide_the_others(self):
        sound, bad = self.model("sound.pt"), self.model("bad.pt")
        flip(bad, "data/1")
        missing = self.folder / "missing.pt"
        done = run("verify", missing, bad, sound)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr.decode(), r"\Acaisson: .*missing.pt.*\n\Z")
        self.assertIn(f"{bad}: data/1 at ", done.stdout.decode())
        self.assertIn(f"{sound}: ok, ", done.stdout.decode())
        answer = self.json(2, "verify", missing, bad, sound)
        self.assertIs(answer["ok"], False)
        self.assertEqual(len(answer["damage"]), 1)
        self.assertEqual(answer["errors"][0]["file"], str(missing))

    def test_folder_stands_for_the_checkpoints_in_it(self):
        (self.folder / "run/deep").mkdir(parents=True)
        for name in ("run/b.pt", "run/a.pth", "run/deep/c.bin"):
            self.model(name)
        (self.folder / "run/notes.txt").write_text("no checkpoint")
        lines = self.expect(0, "verify", self.folder / "run").splitlines()
        names = [line.partition(":")[0].rpartition("run/")[2] for line in lines]
        self.assertEqual(names, ["a.pth", "b.pt", "deep/c.bin"])
        (self.folder / "empty").mkdir()
        self.expect_error("verify", self.folder / "empty")

    def test_bad_entries_of_a_folder_do_not_hide_the_others(self):
        # Failed: the walk stopped at the first, and nothing was checked.
        bad = self.folder / "bad.pt"
        self.model("sound.pt")
        self.model("bad.pt")
        flip(bad, "data/1")
        (self.folder / "gone.pt").symlink_to("nowhere")
        (self.folder / "loop.pt").symlink_to("loop.pt")
        (self.folder / "up").symlink_to(self.folder)
        (self.folder / "linked.pt").symlink_to("sound.pt")
        done = run("verify", self.folder)
        self.assertEqual(done.returncode, 2)
        errors = done.stderr.decode().splitlines()
        self.assertEqual(len(errors), 2)
        for name in ("gone.pt", "loop.pt"):
            start = f"caisson: {self.folder / name}: "
            self.assertTrue(any(e.startswith(start) for e in errors), errors)
        text = done.stdout.decode()
        self.assertIn(f"{bad}: DAMAGED, 1 of 5 records", text)
        for name in ("linked.pt", "sound.pt"):
            self.assertIn(f"{self.folder / name}: ok, ", text)
        answer = self.json(2, "verify", self.folder)
        self.assertCountEqual(
            [e["file"] for e in answer["errors"]],
            [str(self.folder / name) for name in ("gone.pt", "loop.pt")],
        )
        self.assertEqual((answer["checked"], len(answer["damage"])), (14, 1))

    @unittest.skipIf(os.geteuid() == 0, "root reads every folder")
    def test_folder_that_cannot_be_read_does_not_hide_the_others(self):
        self.model("sound.pt")
        closed = self.folder / "closed"
        closed.mkdir(mode=0)
        self.addCleanup(closed.chmod, 0o700)
        answer = self.json(2, "verify", self.folder)
        self.assertEqual([e["file"] for e in answer["errors"]], [str(closed)])
        self.assertEqual(answer["checked"], 5)

    def test_names_cannot_drive_the_terminal(self):
        state = {"evil\x1b[2J": Tensor("int8", [1], b"\x01")}
        path = self.pt(state, "e\x1b.pt")
        flip(path, "data/0")
        text = self.expect(1, "verify", path)
        self.assertIn(r"e\x1b.pt: data/0 at", text)
        self.assertIn(r"tensors: evil\x1b[2J", text)

    def test_stock_files_are_sound(self):
        files = sorted(OPTIONS.data.glob("*.pt")) if OPTIONS.data else []
        if not files:
            self.skipTest("no files of stock torch given")
        for path in files:
            self.expect(0, "verify", path)
            self.expect(0, "ls", path)
