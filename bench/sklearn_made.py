"""Made sets of series for bench/sklearn_defaults.py, each a function that draws one example."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Kind(NamedTuple):
    """A set: its examples have the classes 0 to classes - 1 in turn."""

    draw: Callable[[np.random.Generator, int], Array]  # of a class: (T,) or (T, n_x)
    classes: int
    m: int  # examples to learn from


def drawn(kind: Kind, m: int, seed: int) -> tuple[list[Array], Array]:
    """Draw m examples (T, n_x), and their classes."""
    rng, y = np.random.default_rng(seed), np.arange(m) % kind.classes
    series = [kind.draw(rng, int(k)) for k in y]
    return [x if x.ndim == 2 else x[:, None] for x in series], y


def cylinder_bell_funnel(rng: np.random.Generator, k: int) -> Array:
    """N. Saito, "Local feature extraction and its applications", Yale University 1994."""
    a, t = rng.integers(16, 33), np.arange(128)
    b = a + rng.integers(32, 97)
    shape = (1.0, (t - a) / (b - a), (b - t) / (b - a))[k]
    bump: Array = (t >= a) & (t <= b)
    found: Array = bump * shape * (6 + rng.standard_normal()) + rng.standard_normal(128)
    return found


def control_chart(rng: np.random.Generator, k: int) -> Array:
    """R. J. Alcock and Y. Manolopoulos, "Time-series similarity queries ...", HCI 1999."""
    T, t = 60, np.arange(1, 61)
    x: Array = 30 + 2 * rng.uniform(-3, 3, T)
    if k == 1:
        x += rng.uniform(10, 15) * np.sin(2 * np.pi * t / rng.uniform(10, 15))
    elif k in (2, 3):
        x += (1 if k == 2 else -1) * rng.uniform(0.2, 0.5) * t
    elif k in (4, 5):
        x += (1 if k == 4 else -1) * rng.uniform(7.5, 20) * (t >= rng.uniform(T / 3, 2 * T / 3))
    return x


def two_patterns(rng: np.random.Generator, k: int) -> Array:
    """P. Geurts, "Contributions to decision tree induction", Liege 2002: up or down, twice."""
    x: Array = rng.standard_normal(128)
    for (low, high), up in zip(((8, 48), (70, 110)), divmod(k, 2), strict=True):
        at, width, size = rng.integers(low, high), rng.integers(6, 10), 5 if up else -5
        x[max(0, at - width) : at], x[at : at + width] = -size, size
    return x


def waves(rng: np.random.Generator, k: int) -> Array:
    """Sines or squares of two periods, from a random phase, of 250 to 449 samples."""
    t = np.arange(rng.integers(250, 450))
    x = np.sin(2 * np.pi * t / (20 if k % 2 else 28) + rng.uniform(0, 2 * np.pi))
    found: Array = (x if k < 2 else np.sign(x)) + 0.5 * rng.standard_normal(len(t))
    return found


def bursts(rng: np.random.Generator, k: int) -> Array:
    """A burst in each of three channels of noise, 600 samples: which comes last."""
    x: Array = rng.standard_normal((600, 3))
    order = [*(c for c in rng.permutation(3) if c != k), k]
    for at, channel in zip(np.sort(rng.integers(20, 570, 3)), order, strict=True):
        x[at : at + 12, channel] += 3
    return x


#: Those that chose the defaults.
MADE = {
    "CBF": Kind(cylinder_bell_funnel, 3, 30),
    "ControlChart": Kind(control_chart, 6, 150),
    "TwoPatterns": Kind(two_patterns, 4, 200),
    "Waves": Kind(waves, 4, 100),
    "Bursts": Kind(bursts, 3, 150),
}


def chirp(rng: np.random.Generator, k: int) -> Array:
    """A sine whose frequency rises or falls, 500 samples."""
    t = np.arange(500) / 500
    turns = 10 * t + (8 if k else -8) * (t**2 - t)
    x: Array = np.sin(2 * np.pi * (turns + rng.uniform())) + 0.5 * rng.standard_normal(500)
    return x


def peaks(rng: np.random.Generator, k: int) -> Array:
    """One to four peaks anywhere in 150 to 249 samples."""
    x: Array = 0.3 * rng.standard_normal(rng.integers(150, 250))
    for at in rng.choice(len(x) // 12 - 1, k + 1, replace=False):
        x[12 * at + 2 : 12 * at + 8] += rng.uniform(2, 4)
    return x


def autoregression(rng: np.random.Generator, k: int) -> Array:
    """x<t> = 0.3 x<t-1> + c x<t-2> + noise with c of -0.4, 0 or 0.4, 300 samples."""
    x = rng.standard_normal(300)
    for t in range(2, 300):
        x[t] += 0.3 * x[t - 1] + 0.4 * (k - 1) * x[t - 2]
    return x


def leading_channel(rng: np.random.Generator, k: int) -> Array:
    """Two channels of the same slow noise, one 5 samples after the other; which comes first."""
    slow = np.convolve(rng.standard_normal(230), np.ones(9) / 3, "valid")  # (222,)
    x: Array = np.stack([slow[5:205], slow[:200]][:: 1 if k else -1], axis=1)
    return x + 0.3 * rng.standard_normal(x.shape)


def beats(rng: np.random.Generator, k: int) -> Array:
    """A spike every 35 to 44 samples; in class 1 one is inverted, in class 2 one is late."""
    gaps = rng.integers(35, 45) + rng.integers(-1, 2, 10)
    odd = int(rng.integers(2, 8))
    gaps[odd] += 12 if k == 2 else 0
    x: Array = 0.2 * rng.standard_normal(480)
    for i, at in enumerate(np.cumsum(gaps)):
        x[at : at + 4] += (-1 if k == 1 and i == odd else 1) * np.array([1, 3, 2, -1])[: 480 - at]
    return x


#: Those that were measured once the defaults were chosen.
LATER = {
    "Chirp": Kind(chirp, 2, 60),
    "Peaks": Kind(peaks, 4, 160),
    "Autoregression": Kind(autoregression, 3, 150),
    "LeadingChannel": Kind(leading_channel, 2, 80),
    "Beats": Kind(beats, 3, 150),
}
