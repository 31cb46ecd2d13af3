# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON of Google Benchmark as rates by verb, contestant and size.

Benchmarks are called `verb/who/bytes`; repetitions are rounds, in each of
which every contestant ran once.
"""

import dataclasses
import json
import statistics

SIZE_NAMES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median of some numbers and the bounds of their middle half."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values):
        if len(values) < 2:
            return Spread(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(
            values, n=4, method="inclusive"
        )
        return Spread(median, low, high)


class Results:
    """The rates of one file: bytes per second, else items per second."""

    def __init__(self, document):
        self.context = document["context"]
        self.errors = {}  # name: message
        self._rates = {}  # (verb, who, bytes): {round: rate}
        self._items = {}  # the same of items per second
        for run in document["benchmarks"]:
            if run.get("run_type", "iteration") != "iteration":
                continue
            if run.get("error_occurred"):
                self.errors[run["name"]] = run["error_message"]
                continue
            verb, who, size = run["name"].split("/")
            key = (verb, who, int(size))
            index = run.get("repetition_index", 0)
            items = run.get("items_per_second")
            rate = run.get("bytes_per_second", items)
            if rate is not None:
                self._rates.setdefault(key, {})[index] = rate
            if items is not None:
                self._items.setdefault(key, {})[index] = items

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as file:
            return Results(json.load(file))

    def keys(self):
        """Every (verb, who, bytes) that was measured, in file order."""
        return list(self._rates)

    def rate(self, verb, who, size):
        """The Spread of the rates, or None if it was not measured."""
        rates = self._rates.get((verb, who, size))
        return Spread.of(list(rates.values())) if rates else None

    def nanoseconds(self, verb, who, size):
        """The Spread of the time of one item, or None."""
        items = self._items.get((verb, who, size))
        return Spread.of([1e9 / i for i in items.values()]) if items else None

    def ratio(self, verb, who, peer, size):
        """The Spread of the ratios that each round gives, or None."""
        ours = self._rates.get((verb, who, size), {})
        theirs = self._rates.get((verb, peer, size), {})
        both = [ours[i] / theirs[i] for i in ours if i in theirs]
        return Spread.of(both) if both else None

    def simd_targets(self):
        """The SIMD targets of the machine, the best first."""
        return self.context.get("simd_targets", "").split()

    def machine(self):
        """The machine, the compiler and the commit in one line."""
        known = self.context.get("machine", {})
        words = [known.get("cpu", self.context.get("host_name", "?"))]
        words.append(f"{self.context.get('num_cpus', '?')} cores")
        if self.simd_targets():
            words.append(self.simd_targets()[0])
        words.append(self.context.get("compiler", ""))
        words.append(f"commit {known['commit']}" if "commit" in known else "")
        words.append(self.context.get("date", "")[:10])
        return ", ".join(word for word in words if word)


def size_name(size):
    """4096 as "4 KiB"."""
    for unit, name in SIZE_NAMES:
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} B"
