"""Trainings that can be stopped at any step, for the tests of checkpoints."""

from dataclasses import dataclass

import numpy as np

import crnn
from crnn.schedules import OnPlateau


class Stop(Exception):
    """Ends a training like a kill, from inside of a step."""


@dataclass(frozen=True)
class StopsAt(crnn.Adam):
    """Adam that calls a function in the middle of one step, when the parameters are changed."""

    def step(self, parameters, gradients, memory):
        super().step(parameters, gradients, memory)
        if memory["step"] == self.at:
            self.act()

    at = 0

    @staticmethod
    def act():
        raise Stop


def stopper(monkeypatch):
    """A function: stop at the step of this number, counted over the whole training; 0 never."""

    def set_to(step, act=None):
        monkeypatch.setattr(StopsAt, "at", step)
        if act is not None:
            monkeypatch.setattr(StopsAt, "act", staticmethod(act))

    return set_to


class Fit:
    """A training from examples: 8 steps an epoch; lengths, noise and validation."""

    steps = 32
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 60, 3))
    y = (x.sum((0, 2)) > 0).astype(int)
    lengths = rng.integers(1, 7, 60)

    def model(self, seed=0):
        return crnn.RNN(3, 6, 2, cell="leaky", leak=0.5, noise=0.1, rng=seed)

    def run(self, model, **options):
        defaults = {
            "lengths": self.lengths,
            "epochs": 4,
            "batch_size": 8,
            "optimizer": StopsAt(OnPlateau(0.01, patience=1)),
            "validation": (self.x[:, :20], self.y[:20]),
            "patience": 3,
            "progress": False,
            "rng": 3,
        }
        return model.fit(self.x, self.y, **{**defaults, **options})


class FitStream:
    """A training from a long sequence: 9 windows an epoch, the last one short; an LSTM's state."""

    steps = 36
    symbols = np.random.default_rng(1).integers(0, 4, 4 * 70, "uint8")

    def model(self, seed=0):
        return crnn.RNN(4, 5, 4, steps="all", cell="lstm", num_layers=2, rng=seed)

    def run(self, model, **options):
        defaults = {
            "epochs": 4,
            "batch_size": 4,
            "steps": 8,
            "optimizer": StopsAt(0.01),
            "clip_norm": 1.0,
            "progress": False,
        }
        return model.fit_stream(self.symbols, **{**defaults, **options})


class FitBatches(Fit):
    """A training from an iterable of batches, of which it reads again those that were done."""

    def __iter__(self):
        for k in range(0, 60, 8):
            yield self.x[:, k : k + 8], self.y[k : k + 8]

    def run(self, model, **options):
        defaults = {
            "epochs": 4,
            "optimizer": StopsAt(0.01),
            "validation": (self.x[:, :20], self.y[:20]),
            "progress": False,
            "rng": 3,
        }
        return model.fit(self, **{**defaults, **options})


TRAININGS = [Fit(), FitStream(), FitBatches()]


def bits(model):
    return b"".join(p.tobytes() for p in model.parameters.values())


def without_clock(history):
    return {name: value for name, value in vars(history).items() if name != "steps_per_second"}
