#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a small transformer on real text, for states that are not made up.

  bench/real_state.py --out DIR [--minutes N]

Run it with the Python of .venv. A model of bytes, 8 layers of 256, 6 million
parameters, reads the sources of Python's standard library, with AdamW at a rate
that warms up and falls. DIR gets, each of them in PyTorch's and in safetensors'
form: weights_bf16, weights_fp32, adam_m and adam_v; and state.pt, all of it as a
trainer saves it. Prints the loss, so that one sees that it has learnt.
"""

import argparse
import math
import os
import pathlib
import sysconfig
import time

import safetensors.torch
import torch
from torch import nn

CONTEXT, WIDTH, LAYERS, HEADS, BATCH = 128, 256, 8, 4, 12
WARM_UP = 50  # steps


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.before_mlp = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        heads = self.qkv(self.before_attention(x)).view(
            batch, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True)
        x = x + self.mix(seen.transpose(1, 2).reshape(x.shape))
        return x + self.down(nn.functional.gelu(self.up(self.before_mlp(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 256, bias=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def text():
    """The sources of the standard library, as bytes."""
    folder = pathlib.Path(sysconfig.get_path("stdlib"))
    files = sorted(p for p in folder.rglob("*.py")
                   if "site-packages" not in p.parts)
    data = b"\n".join(p.read_bytes() for p in files)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def train(minutes):
    torch.manual_seed(0)
    data, model = text(), Model()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
    end = time.monotonic() + 60 * minutes
    step, began, left = 0, time.monotonic(), 1.0
    while left > 0:
        left = (end - time.monotonic()) / (end - began)
        rate = 0.5 * (1 + math.cos(math.pi * (1 - max(left, 0))))
        for group in adam.param_groups:
            group["lr"] = 1e-3 * min((step + 1) / WARM_UP, max(rate, 0.05))
        at = torch.randint(len(data) - CONTEXT - 1, (BATCH,))
        batch = torch.stack([data[i : i + CONTEXT + 1] for i in at]).long()
        logits = model(batch[:, :-1])
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), batch[:, 1:].flatten())
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        if step % 20 == 0:
            print(f"step {step}: {loss.item() / math.log(2):.3f} bits a byte",
                  flush=True)
        step += 1
    return model, adam, step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    model, adam, step = train(options.minutes)
    weights = model.state_dict()
    moments = {name: adam.state[p] for name, p in model.named_parameters()}
    sets = {
        "weights_bf16": {n: t.bfloat16() for n, t in weights.items()},
        "weights_fp32": dict(weights),
        "adam_m": {n: s["exp_avg"] for n, s in moments.items()},
        "adam_v": {n: s["exp_avg_sq"] for n, s in moments.items()},
    }
    for name, tensors in sets.items():
        torch.save(tensors, options.out / f"{name}.pt")
        safetensors.torch.save_file(
            tensors, str(options.out / f"{name}.safetensors"))
    torch.save({"model": weights, "optimizer": adam.state_dict(),
                "step": step}, options.out / "state.pt")


if __name__ == "__main__":
    main()
