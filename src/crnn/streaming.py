"""One time step at a time: streaming, and sampling, which feeds outputs back as inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn import _validate, layers
from crnn.config import Config
from crnn.losses import LOSSES
from crnn.reference import Array


class Stream:
    """m sequences read one step at a time, with the state kept: made by `crnn.RNN.stream`.

    T steps give what one call over T steps gives. The stream reads the model's parameters as
    they are at each step.
    """

    def __init__(self, config: Config, parameters: dict[str, Array], m: int) -> None:
        if config.direction != "forward":
            raise ValueError(
                f"stream: expected a model with direction 'forward', got {config.direction!r}: "
                "it needs the end of a sequence first"
            )
        self._config, self._parameters, self._m = config, parameters, m
        self.reset()

    def reset(self) -> None:
        """Go back to the zero state."""
        config = self._config
        self._state = [
            np.zeros((self._m, config.n_a), config.np_dtype) for _ in range(config.num_layers)
        ]

    @property
    def state(self) -> list[Array]:
        """The states (m, n_a) after the last step, one per layer; assign to set them."""
        return [a.copy() for a in self._state]

    @state.setter
    def state(self, state: Any) -> None:
        n = self._config.num_layers
        if len(state) != n:
            raise ValueError(f"state: expected {n} arrays, one per layer, got {len(state)}")
        self._state = [
            _validate.array(
                f"state[{i}]", a, self._config.np_dtype, like="the model", m=self._m,
                n_a=self._config.n_a,
            ).copy()
            for i, a in enumerate(state)
        ]  # fmt: skip

    def step(self, x_t: Any) -> Array:
        """Read one step and answer.

        Parameters
        ----------
        x_t : array (m, n_x), or integers (m,)
            The inputs of this step; integers stand for one-hot rows.

        Returns
        -------
        y_hat : array (m, n_y)
            Class probabilities for cross entropy, values for mse.

        Raises
        ------
        ValueError, TypeError
            Where x_t does not fit; the state stays as it was.
        """
        return LOSSES[self._config.loss].y_hat(self.logits(x_t))

    def logits(self, x_t: Any) -> Array:
        """As `step`, but the output layer's numbers (m, n_y) before any softmax."""
        config, m = self._config, self._m
        x = _validate.plain("x_t", x_t)
        if x.dtype.kind in "iu":
            x = _validate.class_numbers("x_t", x, config.n_x, None, m)
        elif x.shape != (m, config.n_x) or x.dtype.kind != "f":
            raise ValueError(
                f"x_t: expected floats of shape (m, n_x) = ({m}, {config.n_x}) or integers of "
                f"shape ({m},), got {_validate.described(x)}"
            )
        else:
            x = np.ascontiguousarray(x, config.np_dtype)
        trace = layers.forward(config, self._parameters, x[None], None, self._state)
        self._state = trace.final_states()
        return trace.logits


def sample(
    config: Config, parameters: dict[str, Array], n: int, prime: Any, temperature: float, rng: Any
) -> Array:
    """n symbols, each drawn from the answer to the one before: see `crnn.RNN.sample`."""
    if config.steps != "all" or not config.classifies or config.n_x != config.n_y:
        raise ValueError(
            "sample: expected a model with steps='all', loss='cross_entropy' and n_x == n_y, "
            f"got steps={config.steps!r}, loss={config.loss!r}, n_x={config.n_x}, n_y={config.n_y}"
        )
    n = _validate.count("n", n, least=0)
    temperature = _validate.number("temperature", temperature)
    stream = Stream(config, parameters, 1)
    rng = _validate.generator(rng)
    prime = _validate.plain("prime", () if prime is None else prime)
    if prime.size == 0:
        logits = stream.logits(np.zeros((1, config.n_x), config.np_dtype))  # no symbol yet
    else:
        prime = _validate.class_numbers("prime", prime, config.n_x, None, prime.size)
        for k in range(len(prime)):
            logits = stream.logits(prime[k : k + 1])
    drawn = np.empty(n, np.intp)
    for k in range(n):
        drawn[k] = draw(logits[0], temperature, rng)
        if k + 1 < n:
            logits = stream.logits(drawn[k : k + 1])
    return drawn


def draw(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    """A class from softmax(logits / temperature), logits (n_y,); the most probable one at 0."""
    if temperature == 0:
        return int(logits.argmax())
    # At a temperature near 0, -inf is right for all but the most probable; NaN stays NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = (logits - logits.max()).astype(np.float64) / temperature
        cumulative = np.cumsum(np.exp(shifted))
    # The last class with any probability catches what rounding leaves over.
    k = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    return int(min(k, np.searchsorted(cumulative, cumulative[-1])))
