"""What draws the noise of the cells in answers and in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config


def noise_of(config: Config, noise: Any, rng: Any) -> np.random.Generator | None:
    """What draws the noise of answers, if it is asked for: see `crnn.RNN.predict_proba`."""
    if not validate.flag("noise", noise):
        if rng is not None:
            raise ValueError("rng: expected None without noise=True: nothing is drawn")
        return None
    if not config.noise:
        raise ValueError("noise: expected False with a model whose noise is 0, got True")
    return validate.generator(rng)


def seed_for_noise(rng: np.random.Generator | None) -> int | None:
    """A seed for the noise of one pass, or None for a pass without noise."""
    return None if rng is None else int(rng.integers(1 << 63))
