"""Where the modules of crnn 0.1.0 are now. Programs and pickles made with it name the old paths."""

import sys

import crnn
from crnn._network import config, initial, layers, losses, network
from crnn._training import courses, optim, train

MOVED = {
    "config": config,
    "data": courses,
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
