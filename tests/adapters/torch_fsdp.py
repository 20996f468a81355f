"""Train a model sharded by fully_shard (FSDP2) in one process: torch_fsdp.py FOLDER.

Prints "same" if its parameters end where those of the same model without sharding do, and
"unsupported" if this version of torch cannot shard its own RNN on the CPU (2.6 cannot).
"""

import os
import sys
from pathlib import Path

import torch
from torch.distributed.fsdp import fully_shard

import crnn.torch

T, M, N_X, N_A, STEPS = 12, 4, 3, 6, 3


def make(cls):
    torch.manual_seed(0)
    return torch.nn.ModuleDict(
        {"rnn": cls(N_X, N_A, batch_first=True), "head": torch.nn.Linear(N_A, 1)}
    )


class Answer(torch.nn.Module):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def forward(self, x):
        return self.parts["head"](self.parts["rnn"](x)[1][0])


def train(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        x = torch.randn(M, T, N_X, generator=generator)
        optimizer.zero_grad()
        (model(x) - x.mean((1, 2))[:, None]).square().mean().backward()
        optimizer.step()
    return [getattr(p, "full_tensor", lambda p=p: p)().detach() for p in model.parameters()]


if __name__ == "__main__":
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = f"file://{Path(sys.argv[1]) / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    mesh = torch.distributed.init_device_mesh("cpu", (1,))

    def sharded(cls):
        model = Answer(make(cls))
        fully_shard(model.parts["rnn"], mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model

    try:
        train(sharded(torch.nn.RNN))
    except AttributeError as error:
        print("unsupported:", error)
    else:
        pairs = zip(train(sharded(crnn.torch.RNN)), train(Answer(make(torch.nn.RNN))), strict=True)
        same = all(torch.allclose(mine, theirs, atol=1e-6) for mine, theirs in pairs)
        print("same" if same else "different")
    torch.distributed.destroy_process_group()
