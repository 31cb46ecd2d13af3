# SPDX-License-Identifier: Apache-2.0
"""Kills examples/trainer in the middle and runs it again.

trainer_test.py [--emulator WORDS] TRAINER
WORDS go before TRAINER to run a program of another machine.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
import unittest

OPTIONS = argparse.Namespace(trainer="trainer", emulator="")
KILLS = 5
FOREVER = 10**9  # steps
EVERY = 10  # steps from one save to the next
LIMIT = 120  # seconds


class TrainerTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="caisson_trainer_")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def start(self, steps):
        return subprocess.Popen(
            [*shlex.split(OPTIONS.emulator), OPTIONS.trainer,
             str(self.folder), str(steps)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def latest(self):
        """The step that `latest` leads to; 0 if there is none."""
        link = self.folder / "latest"
        if not link.is_symlink():
            return 0
        self.assertTrue(link.exists(), "latest leads nowhere")
        return int(re.fullmatch(r"step(\d+)\.pt", str(link.readlink()))[1])

    def kill_after_saves(self):
        """Runs until some saves are over, then kills without warning."""
        process = self.start(FOREVER)
        begun, deadline = self.latest(), time.monotonic() + LIMIT
        try:
            while self.latest() < begun + 3 * EVERY:
                self.assertIsNone(process.poll(), "it ended by itself")
                self.assertLess(time.monotonic(), deadline, "it saves nothing")
                time.sleep(0.001)
        finally:
            process.kill()
            _, error = process.communicate()
        self.assertEqual(error, "")

    def finish(self, steps):
        """(step it began with, step it ended with, weight)."""
        process = self.start(steps)
        text, error = process.communicate(timeout=LIMIT)
        self.assertEqual((process.returncode, error), (0, ""))
        found = re.fullmatch(
            r"from step (\d+)\nat step (\d+), weight ([\d.]+)\n", text
        )
        self.assertIsNotNone(found, text)
        return int(found[1]), int(found[2]), float(found[3])

    def test_resumes_at_the_last_save_with_its_values(self):
        for _ in range(KILLS):
            self.kill_after_saves()
            saved = self.latest()
            self.assertEqual(saved % EVERY, 0)
            # 25 steps more: two saves, and five that nobody saves.
            begun, ended, weight = self.finish(saved + 25)
            self.assertEqual((begun, ended), (saved, saved + 25))
            self.assertEqual(weight, 1 + 0.5 * ended)
            self.assertEqual(self.latest(), saved + 20)
        begun, ended, weight = self.finish(self.latest())
        self.assertEqual(begun, ended)
        self.assertEqual(weight, 1 + 0.5 * begun)
        names = [path.name for path in self.folder.glob("step*.pt")]
        self.assertLessEqual(len(names), 4, names)  # keeps three; one was cut

    def test_begins_anew_where_nothing_was_saved(self):
        self.assertEqual(self.finish(5), (0, 5, 3.5))
        self.assertEqual(self.finish(5), (0, 5, 3.5))

    def test_damage_is_an_error_and_no_new_beginning(self):
        self.finish(EVERY)
        path = self.folder / f"step{EVERY}.pt"
        with open(path, "r+b") as file:
            file.seek(1 << 20)
            byte = file.read(1)[0]
            file.seek(1 << 20)
            file.write(bytes([byte ^ 1]))
        process = self.start(2 * EVERY)
        text, error = process.communicate(timeout=LIMIT)
        self.assertEqual((process.returncode, text), (1, ""))
        self.assertRegex(error, r"^trainer: corrupt: .*data/0.*crc32")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trainer")
    parser.add_argument("--emulator", default="")
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
