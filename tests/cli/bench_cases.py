# SPDX-License-Identifier: Apache-2.0
"""caisson bench; no test looks at a time"""

import math
import os

from cli_case import CliTest

STAGES = ["save", "load", "load_fresh", "verify", "save_plane", "load_plane",
          "crc32", "copy_crc32", "save_async_staged"]
SMALL = ("--size", "16MiB", "--rounds", "3")


class BenchTest(CliTest):
    def check_rate(self, rate):
        self.assertTrue(math.isfinite(rate["high"]), rate)
        self.assertGreater(rate["low"], 0)
        self.assertLessEqual(rate["low"], rate["gbps"])
        self.assertLessEqual(rate["gbps"], rate["high"])

    def check_times(self, stage):
        waits = {}
        for name in ("save", "save_plane"):
            waits[name] = {"wait_memory", "sync", "encode"}
        for name in ("load", "load_fresh", "verify", "load_plane"):
            waits[name] = {"wait_disk", "wait_memory"}
        if stage["name"] not in waits:
            self.assertNotIn("seconds", stage)
            return
        seconds = stage["seconds"]
        self.assertEqual(
            set(seconds), {"total", "copy", "transfer"} | waits[stage["name"]])
        for value in seconds.values():
            self.assertGreaterEqual(value, 0)
        self.assertRegex(stage["io"], r"^((threads|io_uring), )?[a-z ]+$")

    def test_json_has_every_stage_beside_its_ceiling(self):
        answer = self.json(0, "bench", "--dir", self.folder, *SMALL)
        machine, stages = answer["machine"], answer["stages"]
        self.assertEqual(set(answer), {"machine", "stages"})
        self.assertEqual([stage["name"] for stage in stages], STAGES)
        for stage in stages:
            self.check_rate(stage)
            ceiling = machine["ceilings"][stage["ceiling"]]
            self.assertEqual(stage["ceiling_gbps"], ceiling["gbps"])
            self.assertGreater(stage["fraction"], 0)
            self.check_times(stage)
        for rate in machine["ceilings"].values():
            self.check_rate(rate)
        self.assertLessEqual(
            {"memcpy", "memcpy_one_thread", "first_touch", "raw_write",
             "raw_read"}, set(machine["ceilings"]))
        self.assertEqual((machine["bytes"], machine["rounds"]), (1 << 24, 3))
        self.assertFalse(machine["weights"])
        self.assertEqual(machine["directory"], str(self.folder))
        self.assertRegex(machine["io"], r"^(threads|io_uring), \w+$")
        self.assertGreaterEqual(machine["threads"], machine["async_threads"])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_state_of_weights_says_so(self):
        answer = self.json(0, "bench", "--dir", self.folder, "--weights",
                           *SMALL)
        self.assertTrue(answer["machine"]["weights"])
        self.assertEqual([stage["name"] for stage in answer["stages"]], STAGES)

    def test_ceilings_alone_have_no_stages(self):
        answer = self.json(
            0, "bench", "--dir", self.folder, "--ceilings", *SMALL)
        self.assertEqual(answer["stages"], [])
        for rate in answer["machine"]["ceilings"].values():
            self.check_rate(rate)
        self.assertIn("raw_read", answer["machine"]["ceilings"])
        text = self.expect(
            0, "bench", "--dir", self.folder, "--ceilings", *SMALL)
        head, empty, machine = text.splitlines()
        self.assertEqual(empty, "")
        self.assertRegex(machine, r"^of the machine, GB/s: memcpy \d+\.\d\d, ")

    def test_table_has_a_line_for_each_stage(self):
        text = self.expect(0, "bench", "--dir", self.folder, *SMALL)
        table, seconds, machine = text.split("\n\n", 1)[1].split("\n\n")
        head, (titles, *lines) = text.splitlines()[0], table.splitlines()
        self.assertRegex(head, r"^16\.8 MB in .*, medians of 3 rounds$")
        for word in ("stage", "GB/s", "ceiling", "fraction"):
            self.assertIn(word, titles)
        self.assertEqual([line.split()[0] for line in lines], STAGES)
        self.assertRegex(machine, r"^of the machine, GB/s: memcpy \d+\.\d\d, ")
        title, *times = seconds.splitlines()
        self.assertEqual(title, "seconds:")
        self.assertEqual([line.split()[0] for line in times], STAGES[:6])
        for line in times:
            self.assertRegex(
                line, r"^\w+ +total \d+\.\d\d, copy \d+\.\d\d, transfer ")
        number = r"\d+\.\d\d"
        for line in lines:
            self.assertRegex(
                line, rf"^\w+ +{number} +{number} to {number} +\w+ +{number} "
                rf"+{number}$")

    def test_sizes_are_read_as_people_write_them(self):
        for text, size in (("9e6", 9_000_000), ("0.01GB", 10_000_000),
                           ("8192 KiB", 1 << 23), ("9m", 9_000_000)):
            machine = self.json(0, "bench", "--dir", self.folder, "--rounds",
                                "3", "--size", text)["machine"]
            self.assertEqual(machine["bytes"], size, text)

    def test_options_that_make_no_sense_fail(self):
        for size in ("2 pounds", "-1", "1e30", "GiB", "2GiBB", "nan"):
            error = self.expect_error("bench", f"--size={size}")
            self.assertIn("no size", error)
        error = self.expect_error("bench", *SMALL[:2], "--rounds", "2")
        self.assertIn("2 rounds", error)
        self.expect_error("bench", "--size", "4KiB")

    def test_missing_directory_is_named(self):
        absent = self.folder / "absent"
        error = self.expect_error("bench", "--dir", absent, *SMALL)
        self.assertIn(str(absent), error)
        self.assertFalse(os.path.exists(absent))
