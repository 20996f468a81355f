"""One time step at a time: streaming, and sampling, which feeds outputs back as inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._engine.stream import Stepper
from crnn._network.config import Config
from crnn.reference import Array


class Stream:
    """m sequences read one step at a time, with the state kept: made by `crnn.RNN.stream`.

    T steps give what one call over T steps gives, up to rounding. The weights are packed once, as
    they are when the stream is made; `refresh` reads them again.

    Attributes
    ----------
    state : list of array (m, n_a)
        The states after the last step, one per layer: copies; assign to set them.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> stream = crnn.RNN(3, 8, 2, rng=0).stream()
    >>> stream.step(np.zeros((1, 3))).shape
    (1, 2)
    """

    def __init__(
        self, config: Config, parameters: dict[str, Array], m: int, softmax: bool | None = None
    ) -> None:
        if config.direction != "forward":
            raise ValueError(
                f"stream: expected a model with direction 'forward', got {config.direction!r}: "
                "it needs the end of a sequence first"
            )
        self._config, self._parameters, self._m = config, parameters, m
        self._softmax = config.classifies if softmax is None else softmax
        self._shape, self._dtype = (m, config.n_x), config.np_dtype
        self._shape_y = (m, config.n_y)
        self.refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        parameters = {name: p.copy() for name, p in self._parameters.items()}
        arguments = (self._config, parameters, self._m, self._softmax)
        return type(self), arguments, {"state": self.state}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.state = kept["state"]

    def refresh(self) -> None:
        """Read the model's parameters again; the state goes back to zero.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, loss="mse", rng=0)
        >>> stream = model.stream()
        >>> model.parameters["Wya"], model.parameters["by"] = 0, [1, 2]
        >>> stream.refresh()
        >>> stream.step(np.zeros((1, 3), "float32"))
        array([[1., 2.]], dtype=float32)
        """
        p, weights, biases = self._parameters, [], []
        for recurrence in self._config.recurrences():
            own = recurrence.of(p)
            weights += [own["Wax"], own["Waa"]]
            biases += [own[name] for name, _ in self._config.cell.biases]
        self._stepper = Stepper(
            self._m,
            [*weights, p["Wya"]],
            np.concatenate([*biases, p["by"]]),
            self._config.relu,
            self._softmax,
        )

    def reset(self) -> None:
        """Go back to the zero state.

        Examples
        --------
        >>> import crnn
        >>> stream = crnn.RNN(3, 2, 2, rng=0).stream()
        >>> y_hat = stream.step([1])
        >>> stream.reset()
        >>> stream.state
        [array([[0., 0.]], dtype=float32)]
        """
        self._stepper.a[...] = 0

    @property
    def state(self) -> list[Array]:
        """The states (m, n_a) after the last step, one per layer; assign to set them."""
        return [a.copy() for a in self._stepper.a]

    @state.setter
    def state(self, state: Any) -> None:
        n, m, n_a = self._stepper.a.shape
        try:
            state = list(state)
        except TypeError:
            raise TypeError(
                f"state: expected {n} arrays, one per layer, got {type(state).__name__}"
            ) from None
        if len(state) != n:
            raise ValueError(f"state: expected {n} arrays, one per layer, got {len(state)}")
        checked = [
            validate.array(f"state[{i}]", a, self._dtype, like="the model", m=m, n_a=n_a)
            for i, a in enumerate(state)
        ]
        for a, value in zip(self._stepper.a, checked, strict=True):
            a[...] = value

    def step(self, x_t: Any, out: Array | None = None) -> Array:
        """Read one step and answer.

        Parameters
        ----------
        x_t : array (m, n_x), or integers (m,)
            The inputs of this step; integers stand for one-hot rows.
        out : array (m, n_y), optional
            C-contiguous array of the model's dtype for the answer.

        Returns
        -------
        y_hat : array (m, n_y)
            Class probabilities for cross entropy, values for mse; `out` where that is given.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the state stays as it was.

        Examples
        --------
        >>> import crnn
        >>> stream = crnn.RNN(3, 8, 2, rng=0).stream(m=2)
        >>> stream.step([1, 0]).sum(axis=1).round(5)      # symbols 1 and 0: one a sequence
        array([1., 1.], dtype=float32)
        """
        x, symbols = x_t, None
        if (  # what needs no help is not looked at twice: a step may take a microsecond
            type(x_t) is not np.ndarray
            or x_t.dtype != self._dtype
            or x_t.shape != self._shape
            or not x_t.flags.c_contiguous
            or not x_t.flags.aligned
        ):
            x, symbols = self._checked(x_t)
        if out is None:
            out = np.empty(self._shape_y, self._dtype)  # (m, n_y)
        else:
            read = x if symbols is None else symbols
            out = validate.output("out", out, self._shape_y, self._dtype, {"x_t": read})
        self._stepper.step(out, x, symbols)
        return out

    def _checked(self, x_t: Any) -> tuple[Array | None, Array | None]:
        """x_t as floats (m, n_x), or as symbols (m,)."""
        config, m = self._config, self._m
        x = validate.plain("x_t", x_t)
        if x.dtype.kind in "iu":
            return None, validate.class_numbers("x_t", x, config.n_x, None, m)
        if x.shape != self._shape or x.dtype.kind != "f":
            raise ValueError(
                f"x_t: expected floats of shape (m, n_x) = ({m}, {config.n_x}) or integers of "
                f"shape ({m},), got {validate.described(x)}"
            )
        return validate.in_order(x, self._dtype), None


def sample(
    config: Config, parameters: dict[str, Array], n: int, prime: Any, temperature: float, rng: Any
) -> Array:
    """n symbols, each drawn from the answer to the one before: see `crnn.RNN.sample`."""
    if config.steps != "all" or not config.classifies or config.n_x != config.n_y:
        raise ValueError(
            "sample: expected a model with steps='all', loss='cross_entropy' and n_x == n_y, "
            f"got steps={config.steps!r}, loss={config.loss!r}, n_x={config.n_x}, n_y={config.n_y}"
        )
    n = validate.count("n", n, least=0)
    temperature = validate.number("temperature", temperature)
    stream = Stream(config, parameters, 1, softmax=False)
    rng = validate.generator(rng)
    prime = validate.plain("prime", () if prime is None else prime)
    if prime.size == 0:
        logits = stream.step(np.zeros((1, config.n_x), config.np_dtype))  # no symbol yet
    else:
        prime = validate.class_numbers("prime", prime, config.n_x, None, prime.size)
        for k in range(len(prime)):
            logits = stream.step(prime[k : k + 1])
    drawn = np.empty(n, np.intp)
    for k in range(n):
        if np.isnan(logits).any():
            raise ValueError(f"sample: the model's answer to step {len(prime) + k} has NaN")
        drawn[k] = draw(logits[0], temperature, rng)
        if k + 1 < n:
            logits = stream.step(drawn[k : k + 1])
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
