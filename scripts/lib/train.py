# SPDX-License-Identifier: Apache-2.0
"""Trains a small language model for some steps and saves its state.

    train.py OUT             writes OUT with stock torch.save
    train.py OUT --small     the same for a model that fits a repository
    train.py --compare A B   loads both with stock torch.load and compares
                             every value, tensors bit for bit
"""

import collections
import sys

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        h = self.ln_1(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TinyGpt(nn.Module):
    def __init__(self, vocabulary=512, width=128, layers=4, heads=4):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight  # tied: one storage, two names
        nn.init.normal_(self.wte.weight, std=0.02)

    def forward(self, tokens):
        x = self.wte(tokens)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def train(steps=8, **shape):
    torch.manual_seed(0)
    model = TinyGpt(**shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        tokens = torch.randint(0, model.wte.num_embeddings, (8, 33))
        logits = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    print(f"trained {steps} steps, loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    return collections.OrderedDict(
        step=steps,
        model=model.state_dict(),
        ema={k: v.bfloat16() for k, v in model.state_dict().items()},
        optimizer=optimizer.state_dict(),
        schedule=schedule.state_dict(),
        losses=losses,
        rng=torch.get_rng_state(),
        config={"width": model.ln_f.normalized_shape[0], "tied": True},
    )


def differences(a, b, path="state"):
    """The paths at which two states differ."""
    if type(a) is not type(b):
        return [f"{path}: {type(a).__name__} and {type(b).__name__}"]
    if isinstance(a, torch.Tensor):
        same = (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.stride() == b.stride()
            and bytes(a.untyped_storage()) == bytes(b.untyped_storage())
        )
        return [] if same else [path]
    if isinstance(a, dict):
        if list(a) != list(b):
            return [f"{path}: other keys"]
        return [d for k in a for d in differences(a[k], b[k], f"{path}.{k}")]
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return [f"{path}: other length"]
        pairs = enumerate(zip(a, b))
        return [d for i, (x, y) in pairs for d in differences(x, y, f"{path}.{i}")]
    return [] if a == b else [path]


def count_tensors(value):
    if isinstance(value, torch.Tensor):
        return 1
    if isinstance(value, dict):
        return sum(map(count_tensors, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(count_tensors, value))
    return 0


def main(arguments):
    if arguments[:1] != ["--compare"]:
        small = {"vocabulary": 64, "width": 16, "layers": 2}
        torch.save(train(**(small if "--small" in arguments else {})), arguments[0])
        return 0
    a, b = (torch.load(path, weights_only=True) for path in arguments[1:])
    mapped = torch.load(arguments[2], weights_only=True, mmap=True)
    found = differences(a, b) + differences(a, mapped)
    for line in found:
        print(f"differs: {line}")
    if not found:
        print(
            f"torch {torch.__version__}: weights_only=True, with and without "
            f"mmap: {count_tensors(a)} tensors equal bit for bit"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
