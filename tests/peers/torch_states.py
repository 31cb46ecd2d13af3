# SPDX-License-Identifier: Apache-2.0
"""States for stock torch to save: random ones, training ones, the goldens.

random_states(count, seed) yields (name, state); state i depends on i and seed
alone, so a failing one can be made again by its name. Whole storages are at
most 4 KiB. torch.load reads all of them with weights_only=True, except those of
full_pickle_states(). No two views share a storage of 0 bytes, because stock
does not keep that sharing (canonical.py).

As a program it saves them: torch_states.py DIR [--count N] [--seed N].
"""

import argparse
import collections
import pathlib
import warnings

import torch

from state_maker import CONTAINER_SIZES, CONTAINERS, Maker

OrderedDict = collections.OrderedDict


def random_states(count, seed):
    """Yields `count` pairs (name, state) that weights_only=True can read."""
    sized = [(kind, n) for n in CONTAINER_SIZES for kind in CONTAINERS]
    for i in range(count):
        make = Maker(f"{seed}:{i}", i)
        if i % 8 == 7:
            kind, n = sized[i // 8 % len(sized)]
            yield f"{i:04d}_{kind}_{n}", CONTAINERS[kind](make, n)
        else:
            yield f"{i:04d}_tree", make.tree()


def full_pickle_states():
    """Yields pairs (name, state) that need weights_only=False."""
    yield "full_empty_bytes", {"empty": b"", "list": [b"", b"\x00"]}
    yield "full_frozenset", [frozenset([3, 1, 2]), frozenset(), {(1, 2)}]
    yield "full_long4", [2**2400 + 1, -(2**2399), 2**2039]


def special_states():
    """Yields pairs (name, state), one for each rebuild that trees lack."""
    plain = torch.arange(4.0)
    plain.note = {"scale": 0.5, "names": ["a"]}
    parameter = torch.nn.Parameter(torch.arange(3.0), requires_grad=False)
    parameter.tag = "frozen"
    yield "attributes", {"tensor": plain, "parameter": parameter}
    yield "meta", [
        torch.empty(3, 2, device="meta"),
        torch.empty_strided((2, 2), (1, 4), dtype=torch.int8, device="meta"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        parts = [torch.ones(2, 3), torch.zeros(1, 3)]
        nested = torch.nested.nested_tensor(parts)
    yield "nested", {"nested": nested, "after": torch.ones(1)}
    # 300 memo entries: LONG_BINPUT and LONG_BINGET.
    names = [f"name {i}" for i in range(300)]
    yield "memo", [names, list(reversed(names)), [torch.ones(1)] * 3]
    # CPython has one object for each str of one character, also for the text
    # that bytes are made of.
    yield "characters", ["x", b"x", {"x": b"y", "y": "x"}, b"z", "z"]
    # Twelve storages: their order in the file tells text from number.
    yield "twelve", {f"t{i}": torch.full((i,), float(i)) for i in range(12)}


def golden(n):
    """Object Gn of docs/formats.md, 1 <= n <= 6, built as described there."""
    if n == 1:
        return torch.arange(6, dtype=torch.float32).reshape(2, 3)
    if n == 2:
        return OrderedDict([
            ("w", torch.arange(6, dtype=torch.float32).reshape(2, 3)),
            ("b", torch.tensor([1, -2, 0.5], dtype=torch.bfloat16)),
        ])
    if n == 3:
        base = torch.arange(10, dtype=torch.int64)
        return [
            base[2:8:2],
            base.view(2, 5).t(),
            torch.empty(0, 3),
            torch.tensor(2.5, dtype=torch.float64),
        ]
    if n == 4:
        return {
            "i": [
                0, 255, 256, 65535, 65536, -1, 2**31 - 1, 2**31, -(2**31),
                2**63 - 1, -(2**63), 2**64,
            ],
            "f": 1.5,
            "b": (True, False, None),
            "s": "h\u00e9",
            "y": b"\x00\xff",
            "t4": (1, 2, 3, 4),
            "t1": (1,),
            "t0": (),
            "d": {},
            "l": [],
        }
    if n == 5:
        return {
            "u16": torch.tensor([1, 65535], dtype=torch.uint16),
            "f8": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
        }
    if n == 6:
        return torch.tensor([1 + 2j], dtype=torch.complex64).conj()
    raise ValueError(f"no golden object {n}")


class _Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(11, 8)
        self.body = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU()
        )
        self.head = torch.nn.Linear(16, 11, bias=False)
        self.out = torch.nn.Linear(8, 11)
        self.out.weight = self.embed.weight  # tied
        self.register_buffer("mask", torch.ones(4, 4).tril().bool())

    def forward(self, tokens):
        hidden = self.body(self.embed(tokens))
        return self.head(hidden) + self.out(self.embed(tokens))


def module_state():
    """The state dict of a module: OrderedDict, `_metadata`, BatchNorm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return _Model().state_dict()


def adamw_state():
    """What a training script saves: model, AdamW, scheduler, RNG, counters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = _Model()
        decay = [p for p in model.parameters() if p.dim() > 1]
        other = [p for p in model.parameters() if p.dim() <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decay}, {"params": other, "weight_decay": 0.0}], lr=1e-3
        )
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
        for _ in range(3):
            tokens = torch.randint(0, 11, (5,))
            loss = torch.nn.functional.cross_entropy(model(tokens), tokens)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        return {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": 3,
            "step": 30000,
            "best": float("inf"),
            "args": {"lr": 1e-3, "betas": (0.9, 0.999), "amp": True},
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    options.folder.mkdir(parents=True, exist_ok=True)
    states = [
        *random_states(options.count, options.seed),
        *special_states(),
        *full_pickle_states(),
        *((f"golden_{n}", golden(n)) for n in range(1, 7)),
        ("module", module_state()),
        ("adamw", adamw_state()),
    ]
    for name, state in states:
        torch.save(state, options.folder / f"{name}.pt")


if __name__ == "__main__":
    main()
