# SPDX-License-Identifier: Apache-2.0
"""Tables of a file of kernel benchmarks: ours beside each peer.

A ratio is the median of those of single rounds, in which ours and the peer ran
one after the other; the spread beside it is the middle half of them.
"""

import dataclasses

from results import size_name

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison. `least` is the ratio to reach; None: only reported."""

    verb: str
    size: int
    peer: str
    least: float | None = None


def _rows():
    for size in (4 * KIB, 64 * KIB, MIB):
        yield Row("crc32", size, "isal", 1.0)
        yield Row("crc32", size, "libdeflate", 3.5)
        yield Row("crc32", size, "zlib")
    for size in (64 * MIB, GIB):
        yield Row("copy_crc32", size, "memcpy", 0.90)
        yield Row("copy_crc32", size, "memcpy-libdeflate", 1.6)
    for crc in ("", "_crc32"):
        for width in (2, 4, 8):
            yield Row(f"byte_swap{width}{crc}", 64 * MIB, "memcpy", 0.90)
    for half in ("bf16", "fp16"):
        for crc in ("", "_crc32"):
            for verb in (f"fp32_to_{half}", f"{half}_to_fp32"):
                yield Row(verb + crc, 64 * MIB, "memcpy", 0.90)
    for kind in ("bf16", "fp32"):
        yield Row(f"plane_decode_{kind}", 64 * MIB, "memcpy", 0.70)
    yield Row("plane_encode_bf16", 64 * MIB, "memcpy", 0.45)


def _more_rows():
    yield Row("crc32", 64 * MIB, "isal")
    yield Row("crc32", GIB, "isal")
    yield Row("copy", 64 * MIB, "memcpy")
    for verb in ("copy", "byte_swap4_crc32", "fp32_to_bf16_crc32",
                 "bf16_to_fp32_crc32"):
        yield Row(verb, GIB, "memcpy")
    for verb in ("fp32_to_fp8e4m3fn", "fp8e4m3fn_to_fp32", "fp64_to_fp32",
                 "int64_to_int32"):
        for crc in ("", "_crc32"):
            yield Row(verb + crc, 64 * MIB, "memcpy")
    for verb in ("gather_transpose4", "gather_rows4"):
        for size in (64 * KIB, MIB, 64 * MIB):
            yield Row(verb, size, "memcpy")
    for verb in ("plane_decode", "plane_encode"):
        for kind in ("bf16", "fp32"):
            yield Row(f"{verb}_{kind}", 256 * KIB, "memcpy")
            yield Row(f"{verb}_{kind}", GIB, "memcpy")
    yield Row("plane_encode_fp32", 64 * MIB, "memcpy")
    for verb in ("deflate", "inflate"):
        for peer in ("libdeflate", "isal", "zlib"):
            yield Row(verb, MIB, peer)


# The targets of one thread on a CPU with VPCLMULQDQ on 512 bits, and what is
# reported beside them.
ROWS = tuple(_rows())
MORE_ROWS = tuple(_more_rows())
TARGETS_HOLD_FOR = "avx3_dl"

# Per call or job, in nanoseconds.
SMALL = (
    ("small_batch_copy", 16, "memcpy"),
    ("small_batch_copy", 256, "memcpy"),
    ("small_batch_copy_crc32", 16, "memcpy-libdeflate"),
    ("small_batch_copy_crc32", 256, "memcpy-libdeflate"),
    ("crc32_combine", MIB, "zlib"),
    ("crc32_combine", GIB, "zlib"),
)


def _table(heads, lines):
    """A markdown table whose source is aligned."""
    widths = [max(len(row[i]) for row in [heads, *lines])
              for i in range(len(heads))]
    yield "| " + " | ".join(map(str.ljust, heads, widths)) + " |"
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    for line in lines:
        yield "| " + " | ".join(map(str.ljust, line, widths)) + " |"


def _cells(results, row, targets_hold):
    """(cells of the row's line, whether its target is met or None)."""
    ours = results.rate(row.verb, "caisson", row.size)
    peer = results.rate(row.verb, row.peer, row.size)
    ratio = results.ratio(row.verb, "caisson", row.peer, row.size)
    cells = [row.verb, size_name(row.size),
             f"{ours.median / 1e9:.2f}" if ours else "-",
             row.peer,
             f"{peer.median / 1e9:.2f}" if peer else "-"]
    if ratio is None:
        return [*cells, "-", "-", "-", "not measured"], None
    cells += [f"{ratio.median:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"]
    if row.least is None or not targets_hold:
        return [*cells, "-", "-"], None
    met = ratio.median >= row.least
    return [*cells, f">= {row.least:.2f}", "yes" if met else "NO"], met


HEADS = ["what", "bytes", "ours GB/s", "peer", "GB/s", "ratio", "spread",
         "target", "met"]


def _best_target(results):
    best = results.simd_targets()[:1]
    targets_hold = best == [TARGETS_HOLD_FOR]
    lines, verdicts = [], []
    for row in ROWS:
        cells, met = _cells(results, row, targets_hold)
        lines.append(cells)
        verdicts.append(met)
    yield from _table(HEADS, lines)
    yield ""
    if targets_hold:
        wanted = sum(row.least is not None for row in ROWS)
        yield (f"{verdicts.count(True)} of {wanted} targets met, "
               f"{verdicts.count(False)} not, "
               f"{wanted - verdicts.count(True) - verdicts.count(False)} "
               "not measured")
    else:
        yield (f"The targets hold for {TARGETS_HOLD_FOR}; the best SIMD "
               f"target here is {' '.join(best) or 'unknown'}.")


def _other_targets(results):
    others = results.simd_targets()[1:]
    measured = {who for _, who, _ in results.keys()}
    others = [t for t in others if f"caisson-{t}" in measured]
    lines = []
    for row in (*ROWS, *MORE_ROWS):
        cells = []
        for target in others:
            who = f"caisson-{target}"
            rate = results.rate(row.verb, who, row.size)
            ratio = results.ratio(row.verb, who, row.peer, row.size)
            cells.append(f"{ratio.median:.2f} ({rate.median / 1e9:.1f} GB/s)"
                         if ratio else "-")
        if set(cells) - {"-"}:
            lines.append([row.verb, size_name(row.size), row.peer, *cells])
    yield from _table(["what", "bytes", "peer", *others], lines)


def _small(results):
    lines = []
    for verb, size, peer in SMALL:
        ours = results.nanoseconds(verb, "caisson", size)
        theirs = results.nanoseconds(verb, peer, size)
        if ours and theirs:
            lines.append([verb, size_name(size), f"{ours.median:.1f}",
                          f"{ours.low:.1f} to {ours.high:.1f}", peer,
                          f"{theirs.median:.1f}"])
    yield from _table(["what", "bytes", "ours ns", "spread", "peer", "ns"],
                      lines)


def _stores(results):
    lines = []
    sizes = sorted({size for verb, _, size in results.keys()
                    if verb == "stores_only"})
    for size in sizes:
        cells = [size_name(size)]
        for verb in ("stores_only", "stores_then_read"):
            for who in ("cached", "streaming"):
                rate = results.rate(verb, who, size)
                cells.append(f"{rate.median / 1e9:.1f}" if rate else "-")
        lines.append(cells)
    yield from _table(["bytes", "cached", "streaming", "cached, then read",
                       "streaming, then read"], lines)


def lines(results):
    """The report as lines of markdown."""
    yield results.machine()
    yield ""
    yield from _best_target(results)
    yield "\nWithout a target:\n"
    more = [row for row in MORE_ROWS
            if results.ratio(row.verb, "caisson", row.peer, row.size)]
    yield from _table(HEADS[:7], [_cells(results, row, False)[0][:7]
                                  for row in more])
    yield "\nTime of one call or job:\n"
    yield from _small(results)
    yield "\ncopy_crc32 by its stores, into memory in no cache, in GB/s:\n"
    yield from _stores(results)
    yield "\nThe other SIMD targets of this CPU, as ratios to the peer:\n"
    yield from _other_targets(results)
    if results.errors:
        yield "\nNot measured:\n"
    for message in sorted(set(results.errors.values())):
        names = [n for n, m in results.errors.items() if m == message]
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"* {names[0]}{others}: {message}"
