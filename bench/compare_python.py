# SPDX-License-Identifier: Apache-2.0
"""save, load and asynchronous save from Python beside torch.save, torch.load,
safetensors and stock DCP, on the same state in alternated runs.

    python bench/compare_python.py --dir D [--gib 1] [--runs 5] [--svg FILE]

Every save is synced: ours by itself, the others by fsync of the file. Loads
come from the page cache. Rates are medians, in GB/s of the tensors' bytes.
Needs the package caisson, torch and safetensors.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import time
import warnings

import caisson
import torch
import torch.distributed.checkpoint as dcp
from caisson.dcp import CaissonReader, CaissonWriter
from safetensors.torch import load_file, save_file


def synced(path):
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def stock_dcp(state, folder):
    dcp.save(state, storage_writer=dcp.FileSystemWriter(folder), no_dist=True)


def warm(folder):
    """Brings every file into the page cache, which our saves go past."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                while file.read(1 << 24):
                    pass


def verbs(state, target, at):
    """What is measured, by name. `target` is loaded into."""
    def async_staged():
        ticket = caisson.save_async(state, at / "async.pt")
        ticket.staged()
        return ticket

    return {
        "caisson.save": (lambda: caisson.save(state, at / "c.pt")),
        "torch.save": (lambda: (torch.save(state, at / "t.pt"),
                                synced(at / "t.pt"))),
        "safetensors save": (lambda: (save_file(state, at / "s.safetensors"),
                                      synced(at / "s.safetensors"))),
        "dcp, CaissonWriter": (lambda: dcp.save(
            state, storage_writer=CaissonWriter(at / "cd"), no_dist=True)),
        "dcp, FileSystemWriter": (lambda: stock_dcp(state, at / "sd")),
        "save_async, staged": async_staged,
        "caisson.load": (lambda: caisson.load(at / "c.pt")),
        "caisson.load_into": (lambda: caisson.load_into(at / "c.pt", target)),
        "torch.load": (lambda: torch.load(at / "t.pt")),
        "safetensors load": (lambda: load_file(at / "s.safetensors")),
        "dcp, CaissonReader": (lambda: dcp.load(
            target, storage_reader=CaissonReader(at / "cd"), no_dist=True)),
        "dcp, FileSystemReader": (lambda: dcp.load(
            target, storage_reader=dcp.FileSystemReader(at / "sd"),
            no_dist=True)),
    }


def picture(rates, path):
    """Bars, one for each verb, as an SVG without any library."""
    top = max(rates.values())
    rows = []
    for i, (name, rate) in enumerate(rates.items()):
        y = 30 + i * 22
        color = "#2b6cb0" if "aisson" in name or "async" in name else "#a0aec0"
        rows.append(
            f'<text x="190" y="{y + 13}" text-anchor="end">{name}</text>'
            f'<rect x="200" y="{y}" width="{rate / top * 360:.1f}" height="16" '
            f'fill="{color}"/>'
            f'<text x="{206 + rate / top * 360:.1f}" y="{y + 13}">{rate:.2f}'
            "</text>")
    height = 40 + len(rates) * 22
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{height}"'
        ' font-family="sans-serif" font-size="12">'
        '<text x="200" y="18">GB/s, medians of alternated runs</text>'
        + "".join(rows) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--svg", type=pathlib.Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    elems = int(options.gib * 2**30 / 4 / 16)
    state = {str(i): torch.randn(elems) for i in range(16)}
    # Touched, as the tensors of a model are.
    target = {key: torch.ones_like(value) for key, value in state.items()}
    size = 16 * elems * 4
    caisson.configure(pool_bytes=size + (64 << 20) >> 23 << 23)
    at = options.dir / "compare_python"
    at.mkdir()
    try:
        seconds = {name: [] for name in verbs(state, target, at)}
        for run in range(options.runs + 1):  # the first one warms up
            for name, verb in verbs(state, target, at).items():
                if name == "caisson.load":  # the first of those that read
                    warm(at)
                since = time.perf_counter()
                given = verb()
                took = time.perf_counter() - since
                if run > 0:
                    seconds[name].append(took)
                if name == "save_async, staged":
                    given.wait()
                del given
    finally:
        shutil.rmtree(at)
    rates = {name: size / statistics.median(found) / 1e9
             for name, found in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:24} {rate:7.2f} GB/s")
    if options.svg:
        picture(rates, options.svg)


if __name__ == "__main__":
    main()
