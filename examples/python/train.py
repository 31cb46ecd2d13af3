# SPDX-License-Identifier: Apache-2.0
"""A training loop that saves while it goes on, and resumes exactly.

    python train.py DIR STEPS    goes to step STEPS, from where DIR left off
"""

import pathlib
import sys

import caisson
import torch

EVERY = 5


def main(folder, steps):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(),
                                torch.nn.Dropout(0.1), torch.nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    data = torch.randn(256, 17)
    step = position = 0

    latest = folder / "latest.pt"
    if latest.exists():
        state = caisson.load(latest)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"])
        step, position = state["step"], state["position"]
        print(f"resumed at step {step}", flush=True)

    ticket = None
    while step < steps:
        batch = data[position:position + 8]
        position = (position + 8) % len(data)
        loss = (model(batch[:, :16]).squeeze(1) - batch[:, 16]).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        if ticket is not None:
            ticket.staged()  # before the tensors change
        optimizer.step()
        schedule.step()
        step += 1
        if step % EVERY == 0:
            ticket = caisson.save_async(
                {"model": model.state_dict(), "schedule": schedule.state_dict(),
                 "optimizer": optimizer.state_dict(), "step": step,
                 "rng": torch.get_rng_state(), "position": position}, latest)
    if ticket is not None:
        ticket.wait()
    print(f"step {step}, loss {loss.item():.6f}", flush=True)


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).mkdir(exist_ok=True)
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
