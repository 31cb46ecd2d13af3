#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws a file of benchmarks: rate over size, a panel for each verb.

  bench/plot.py FILE.json PICTURE.png [--verbs crc32,copy_crc32]

Ours is drawn beside the peers. memcpy is the roof, save where ours streams
past the caches and memcpy does not. The band around ours is the middle half of
the rounds. Needs matplotlib; scripts/bench installs it.
"""

import argparse
import math
import sys

from results import Results, size_name

try:
    import matplotlib
except ImportError:
    sys.exit("no matplotlib: scripts/bench installs it, or "
             f"{sys.executable} -m pip install matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

# Drawn unless --verbs says otherwise, in this order, as far as measured.
VERBS = ("crc32", "copy", "copy_crc32", "byte_swap2", "byte_swap4",
         "byte_swap8", "byte_swap4_crc32", "fp32_to_bf16", "bf16_to_fp32",
         "fp32_to_fp16", "fp16_to_fp32", "fp32_to_bf16_crc32",
         "bf16_to_fp32_crc32", "gather_transpose4", "gather_rows4")

# Contestant: (label, colour, line, width, marker), those in front last. Colours
# are those of Okabe and Ito, which readers who are colour-blind can tell apart.
STYLES = {
    "memcpy": ("memcpy", "black", "--", 1.4, None),
    "zlib": ("zlib", "#CC79A7", "-", 1.4, "v"),
    "libdeflate": ("libdeflate", "#E69F00", "-", 1.4, "s"),
    "memcpy-libdeflate": ("memcpy, then libdeflate", "#E69F00", ":", 1.8, "D"),
    "isal": ("ISA-L", "#009E73", "-", 1.4, "^"),
    "caisson-sse4": ("Caisson, SSE4", "#9ECAE9", "-", 1.4, "."),
    "caisson-avx2": ("Caisson, AVX2", "#56B4E9", "-", 1.4, "."),
    "cuda": ("Caisson, CUDA", "#D55E00", "-", 2.4, "o"),
    "caisson": ("Caisson", "#0072B2", "-", 2.4, "o"),
}


def draw_panel(axes, results, verb, ticks):
    """Draws a verb over the sizes `ticks`; {label: line}."""
    lines = {}
    for who, (label, colour, style, width, marker) in STYLES.items():
        sizes = sorted(s for v, w, s in results.keys() if (v, w) == (verb, who))
        if not sizes:
            continue
        rates = [results.rate(verb, who, size) for size in sizes]
        (lines[label],) = axes.plot(
            sizes, [rate.median / 1e9 for rate in rates], style, color=colour,
            linewidth=width, marker=marker, markersize=4, label=label)
        if who == "caisson":
            axes.fill_between(sizes, [rate.low / 1e9 for rate in rates],
                              [rate.high / 1e9 for rate in rates],
                              color=colour, alpha=0.2, linewidth=0)
    axes.set_title(verb, fontsize=10, fontweight="bold", loc="left")
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: size_name(s)))
    axes.set_xlim(ticks[0] / 1.7, ticks[-1] * 1.7)
    # Equal ratios are equally far apart.
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.minorticks_off()
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return lines


def draw(results, verbs, path):
    columns = min(3, len(verbs))
    rows = math.ceil(len(verbs) / columns)
    figure, grid = plt.subplots(rows, columns, squeeze=False,
                                figsize=(4.2 * columns, 2.7 * rows + 1.1),
                                layout="constrained")
    ticks = sorted({size for verb, _, size in results.keys() if verb in verbs})
    lines = {}
    for index, axes in enumerate(grid.flat):
        if index >= len(verbs):
            axes.set_visible(False)
            continue
        lines |= draw_panel(axes, results, verbs[index], ticks)
        if index % columns == 0:
            axes.set_ylabel("GB/s, logarithmic", fontsize=9)
    labels = [label for label, *_ in reversed(STYLES.values())
              if label in lines]
    figure.suptitle("Caisson's kernels and their peers: GB/s over bytes\n"
                    + results.machine(), fontsize=11)
    figure.legend([lines[label] for label in labels], labels,
                  loc="outside lower center", ncols=min(5, len(labels)),
                  fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", metavar="FILE.json")
    parser.add_argument("picture", metavar="PICTURE.png")
    parser.add_argument("--verbs", help="separated by commas")
    options = parser.parse_args()
    results = Results.load(options.results)
    measured = [verb for verb, who, _ in results.keys()
                if who in ("caisson", "cuda")]
    wanted = options.verbs.split(",") if options.verbs else VERBS
    verbs = [verb for verb in wanted if verb in measured]
    if not verbs:
        sys.exit(f"{options.results}: has none of {', '.join(wanted)}")
    draw(results, verbs, options.picture)


if __name__ == "__main__":
    main()
