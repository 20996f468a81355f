"""One of two processes that train a model by DistributedDataParallel: torch_ddp.py FOLDER RANK."""

import os
import sys
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

import crnn.torch

STEPS, T, M = 20, 12, 8


def make(cls):
    torch.manual_seed(0)
    return torch.nn.ModuleDict({"rnn": cls(3, 16), "head": torch.nn.Linear(16, 1)})


class Answer(torch.nn.Module):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def forward(self, x):
        return self.parts["head"](self.parts["rnn"](x)[1][0])


def train(parts, examples, wrap=lambda module: module):
    """The parameters after some steps on these examples of each batch."""
    model = wrap(Answer(parts))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        x = torch.randn(T, M, 3, generator=generator)[:, examples]
        optimizer.zero_grad()
        (model(x) - x.mean((0, 2))[:, None]).square().mean().backward()
        optimizer.step()
    return parts.state_dict()


if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = f"file://{folder / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    parts = make(crnn.torch.RNN)
    half = slice(rank * M // 2, (rank + 1) * M // 2)
    torch.save(train(parts, half, DistributedDataParallel), folder / f"{rank}.pt")
    torch.distributed.barrier()  # neither leaves the group before the other is done
    torch.distributed.destroy_process_group()
