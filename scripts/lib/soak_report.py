# SPDX-License-Identifier: Apache-2.0
"""Writes what ctest found for one part of the soak into docs/soak.md.

soak_report.py DOCUMENT PART RESULTS MACHINE COMMIT [NOT_RUN...]
RESULTS is ctest's JUnit file. The section PART of DOCUMENT is replaced, or
added in order; the others keep what their last run gave. NOT_RUN is a line
`test: reason` for each test that was left out.
"""

import datetime
import pathlib
import re
import sys
import xml.etree.ElementTree

PARTS = {
    "release": "a checkpoint of 20 GB, saved and verified",
    "fuzz": "libFuzzer, ten minutes for each target; power cuts, 1000 of each kind",
    "aarch64": "64-bit Arm under QEMU",
    "s390x": "big-endian IBM Z under QEMU",
}

HEAD = """# The last soak run

Written by `scripts/soak`; a part that was not run keeps its last results.
"""

WORDS = {"run": "pass", "fail": "fail"}

# What a program said of its own cases: GoogleTest, the peers, unittest,
# libFuzzer.
CASES = (
    (r"\[  PASSED  \] (\d+) tests?", "{} passed"),
    (r"\[  SKIPPED \] (\d+) tests?,", "{} skipped"),
    (r"\[  FAILED  \] (\d+) tests?,", "{} failed"),
    (r"(?m)^(\d+ agree, \d+ differ)$", "{}"),
    (r"(?m)^Ran (\d+) tests? in", "{} run"),
    (r"(?m)^(?:OK|FAILED) \((.*)\)$", "{}"),
    (r"(?m)^Done (\d+) runs in", "{} inputs"),
)


def main():
    document, part, results, machine, commit, *not_run = sys.argv[1:]
    path = pathlib.Path(document)
    sections = read_sections(path.read_text() if path.exists() else "")
    cases = xml.etree.ElementTree.parse(results).getroot().findall("testcase")
    sections[part] = section(part, cases, machine, commit, not_run)
    ordered = [sections[name] for name in PARTS if name in sections]
    path.write_text("\n".join([HEAD, *ordered]))


def read_sections(text):
    """{part: text} of a document that this program wrote."""
    pieces = re.split(r"(?m)^(?=## )", text)[1:]
    return {piece[3:].split(":")[0]: piece.rstrip() + "\n" for piece in pieces}


def section(part, cases, machine, commit, not_run):
    today = datetime.datetime.now(datetime.timezone.utc).date()
    passed = sum(1 for case in cases if case.get("status") == "run")
    seconds = sum(float(case.get("time")) for case in cases)
    lines = [
        f"## {part}: {PARTS[part]}",
        "",
        f"- date: {today}",
        f"- machine: {machine}",
        f"- commit: {commit}",
        f"- {passed} of {len(cases)} tests passed, {seconds:.0f} s in all",
        *(f"- not run: {line}" for line in not_run),
        "",
        "| test | result | cases | seconds |",
        "|---|---|---|---|",
        *(row(case) for case in sorted(cases, key=lambda c: c.get("name"))),
    ]
    return "\n".join(lines) + "\n"


def row(case):
    result = WORDS.get(case.get("status"), "not run")
    output = case.findtext("system-out") or ""
    found = [
        words.format(match[1])
        for pattern, words in CASES
        if (match := re.search(pattern, output))
    ]
    seconds = float(case.get("time"))
    return (
        f"| {case.get('name')} | {result} | {', '.join(found)} | "
        f"{seconds:.1f} |"
    )


if __name__ == "__main__":
    main()
