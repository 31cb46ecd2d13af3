#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws sizes and speeds of compressors on tensors: what is left over the rate.

  kernels_bench --benchmark_filter='plane_.*/1048576$' \\
    --benchmark_format=json >FILE
  bench/plot_codec.py FILE PICTURE.svg [--zipnn FILE] [--sets bf16,fp32,fp16]

A panel for each set; a compressor is a line from its rate of encoding (hollow)
to that of decoding (filled), at the height of the size that it leaves. Lower
and further right is better. --zipnn: what bench/zipnn_peer.py --json printed.
"""

import argparse
import json
import math
import pathlib
import statistics

# Those of Okabe and Ito, which readers who are colour-blind can tell apart.
STYLES = {
    "caisson": ("plane codec", "#0072B2"),
    "zstd-1": ("zstd -1", "#E69F00"),
    "zstd-1-planes": ("zstd -1, planes", "#D55E00"),
    "zstd-3-planes": ("zstd -3, planes", "#CC79A7"),
    "libdeflate-1-planes": ("libdeflate -1, planes", "#56B4E9"),
    "lz4": ("LZ4", "#999999"),
    "zipnn": ("ZipNN", "#009E73"),
}
TITLES = {"bf16": "bf16 weights", "fp32": "fp32 weights",
          "fp16": "fp16 weights",
          "adam_v": "Adam's second moment, fp32"}
WIDTH, HEIGHT, LEFT, TOP = 290, 260, 52, 34
RATES = (0.1, 30.0)  # GB/s, logarithmic
SIZES = (60.0, 104.0)  # percent


def read(path):
    """{(verb, set, who): [rate]} and {(set, who): stored percent}."""
    rates, stored = {}, {}
    for run in json.loads(path.read_text())["benchmarks"]:
        if run.get("run_type") != "iteration" or "bytes_per_second" not in run:
            continue
        verb, who, _ = run["name"].split("/")
        _, way, name = verb.split("_", 2)
        rates.setdefault((way, name, who), []).append(
            run["bytes_per_second"] / 1e9)
        if "stored" in run:
            stored[name, who] = 100 * run["stored"]
    return rates, stored


def add_zipnn(path, rates, stored):
    for row in json.loads(path.read_text()):
        stored[row["set"], "zipnn"] = row["percent"]
        rates["encode", row["set"], "zipnn"] = [row["encode_gbps"]]
        rates["decode", row["set"], "zipnn"] = [row["decode_gbps"]]


def x_of(rate):
    low, high = map(math.log10, RATES)
    share = (math.log10(rate) - low) / (high - low)
    return LEFT + min(max(share, 0), 1) * (WIDTH - LEFT - 14)


def y_of(percent):
    share = (SIZES[1] - percent) / (SIZES[1] - SIZES[0])
    return TOP + min(max(share, 0), 1) * (HEIGHT - TOP - 40)


def panel(name, rates, stored):
    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">'
             f'{TITLES.get(name, name)}</text>']
    for percent in range(60, 105, 10):
        y = y_of(percent)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 14}" y1="{y:.1f}" '
                     f'y2="{y:.1f}" stroke="#ddd"/><text x="{LEFT - 6}" '
                     f'y="{y + 4:.1f}" text-anchor="end">{percent} %</text>')
    for rate in (0.1, 0.3, 1, 3, 10, 30):
        x = x_of(rate)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" '
                     f'y2="{HEIGHT - 40}" stroke="#eee"/><text x="{x:.1f}" '
                     f'y="{HEIGHT - 24}" text-anchor="middle">{rate:g}</text>')
    for who, (_, colour) in STYLES.items():
        if (name, who) not in stored:
            continue
        y = y_of(stored[name, who])
        encode, decode = (x_of(statistics.median(rates[way, name, who]))
                          for way in ("encode", "decode"))
        parts.append(
            f'<line x1="{encode:.1f}" x2="{decode:.1f}" y1="{y:.1f}" '
            f'y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{encode:.1f}" cy="{y:.1f}" r="4" fill="white" '
            f'stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{decode:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmarks", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--zipnn", type=pathlib.Path)
    parser.add_argument("--sets", default="bf16,fp32,fp16")
    options = parser.parse_args()
    rates, stored = read(options.benchmarks)
    if options.zipnn:
        add_zipnn(options.zipnn, rates, stored)
    sets = options.sets.split(",")
    legend = []
    for i, (label, colour) in enumerate(STYLES.values()):
        x = LEFT + i % 4 * 190
        y = HEIGHT + 18 + i // 4 * 20
        legend.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour}"/>'
                      f'<text x="{x + 10}" y="{y}">{label}</text>')
    panels = "".join(
        f'<g transform="translate({i * WIDTH}, 0)">'
        f"{panel(name, rates, stored)}</g>" for i, name in enumerate(sets))
    width = max(WIDTH * len(sets), LEFT + 4 * 190)
    options.picture.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{HEIGHT + 50}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{panels}'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">GB/s on one thread: encoding '
        "hollow, decoding filled; the height is what is left</text>"
        + "".join(legend) + "</svg>\n")


if __name__ == "__main__":
    main()
