"""Schedules, dropout and accumulation go on from a checkpoint to the same bits.

With a checkpoint the steps are taken in Python, so this also compares compiled epochs with them.
"""

import numpy as np
import pytest

import crnn
from crnn.schedules import Cosine, Linear, OnPlateau, Step, Warmup


class Stopped(Exception):
    """Raised by the callback in the middle of a training."""


def trained(path, stop_after, lr, model_options, options):
    """The parameters of a training with the file of another one, if `path` exists."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 40, 2)), rng.integers(0, 2, 40)
    model = crnn.RNN(2, 4, 2, num_layers=2, **model_options, rng=0)

    def callback(history):
        if len(history.loss) == stop_after:
            raise Stopped

    given = {"optimizer": crnn.AdamW(lr), "epochs": 4, "batch_size": 6, "callback": callback}
    if path is not None:
        given |= {"checkpoint": path, "every": 2}
    try:
        model.fit(x, y, progress=False, rng=0, **given, **options)
    except Stopped:
        assert stop_after
    return model._network.arena.flat.tobytes()


@pytest.mark.parametrize(
    "lr",
    [Cosine(0.1), Warmup(5, Linear(0.1)), OnPlateau(0.1, patience=0), Step(0.1, 3),
     lambda step: 0.1 / (1 + step)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("model_options", "options"), [({}, {}), ({}, {"accumulate": 2}), ({"dropout": 0.3}, {})]
)
def test_same_bits(tmp_path, lr, model_options, options):
    path = tmp_path / "model.safetensors"
    stopped = trained(path, 2, lr, model_options, options)
    resumed = trained(path, None, lr, model_options, options)
    assert stopped != resumed
    assert resumed == trained(None, None, lr, model_options, options)
