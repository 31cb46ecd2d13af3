# SPDX-License-Identifier: Apache-2.0
"""What the tables of bench/report.py say of numbers that are known."""

import pathlib
import sys
import unittest

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench")
)
import report  # noqa: E402
from results import Results, size_name  # noqa: E402

SWAP = "byte_swap4/{}/67108864"


def results(ours, peer, simd_targets="avx3_dl avx2", errors=()):
    """Rounds of byte_swap4 at 64 MiB, in GB/s."""
    runs = []
    for name, rates in ((SWAP.format("caisson"), ours),
                        (SWAP.format("memcpy"), peer)):
        for index, rate in enumerate(rates):
            runs.append({"name": name, "run_type": "iteration",
                         "repetition_index": index,
                         "bytes_per_second": rate * 1e9})
    for name in errors:
        runs.append({"name": name, "error_occurred": True,
                     "error_message": "unsupported: no kernel"})
    return Results({"context": {"simd_targets": simd_targets, "num_cpus": 2},
                    "benchmarks": runs})


def line_of(found, start):
    """The cells of the first line that begins with `start`."""
    for line in report.lines(found):
        if line.startswith(start):
            return [cell.strip() for cell in line.strip("| ").split("|")]
    raise AssertionError(f"no line begins with {start!r}")


class ReportTest(unittest.TestCase):
    def test_takes_the_median_of_the_ratios_of_rounds(self):
        # The ratio of the medians would be 10 / 20.
        found = results([10, 30, 8], [10, 20, 40])
        ratio = found.ratio("byte_swap4", "caisson", "memcpy", 64 << 20)
        self.assertEqual(ratio.median, 1.0)
        self.assertAlmostEqual(ratio.low, 0.6)
        self.assertAlmostEqual(ratio.high, 1.25)

    def test_compares_only_rounds_in_which_both_ran(self):
        found = results([10, 10], [20, 20, 1])
        ratio = found.ratio("byte_swap4", "caisson", "memcpy", 64 << 20)
        self.assertEqual((ratio.low, ratio.high), (0.5, 0.5))

    def test_says_whether_the_target_is_met(self):
        met = line_of(results([9] * 3, [10] * 3), "| byte_swap4 ")
        self.assertEqual(met, ["byte_swap4", "64 MiB", "9.00", "memcpy",
                               "10.00", "0.90", "0.90 to 0.90", ">= 0.90",
                               "yes"])
        missed = line_of(results([8.9] * 3, [10] * 3), "| byte_swap4 ")
        self.assertEqual(missed[-1], "NO")

    def test_has_no_targets_for_lesser_machines(self):
        found = results([9] * 3, [10] * 3, simd_targets="avx2")
        self.assertEqual(line_of(found, "| byte_swap4 ")[-2:], ["-", "-"])

    def test_says_what_was_not_measured(self):
        found = results([9] * 3, [10] * 3, errors=["fp32_to_bf16/caisson/4096"])
        self.assertEqual(line_of(found, "| byte_swap2 ")[-1], "not measured")
        text = "\n".join(report.lines(found))
        self.assertIn("1 of 27 targets met, 0 not, 26 not measured", text)
        self.assertIn("fp32_to_bf16/caisson/4096: unsupported: no kernel", text)

    def test_names_sizes(self):
        self.assertEqual([size_name(n) for n in (16, 4096, 1 << 20, 1 << 30)],
                         ["16 B", "4 KiB", "1 MiB", "1 GiB"])


if __name__ == "__main__":
    unittest.main()
