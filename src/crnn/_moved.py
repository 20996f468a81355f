"""Aliases for the module paths of crnn 0.1.0, which existing programs and pickles still use."""

import sys

import crnn
from crnn._network import config, initial, layers, losses, network
from crnn._training import optim, train

MOVED = {
    "config": config,
    "initial": initial,
    "layers": layers,
    "losses": losses,
    "network": network,
    "optim": optim,
    "train": train,
}

for name, module in MOVED.items():
    sys.modules[f"crnn.{name}"] = module
    setattr(crnn, name, module)
