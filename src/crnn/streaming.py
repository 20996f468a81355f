"""One time step at a time: streaming, and sampling, which feeds outputs back as inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._engine.stream import LINKS, Stepper
from crnn._network.config import Config
from crnn._network.state import checked_state
from crnn.reference import Array

#: Symbols drawn in one call. Ctrl-C takes effect between calls.
SYMBOLS_PER_CALL = 256


class Stream:
    """Reads m sequences one step at a time and keeps the state: made by `crnn.RNN.stream`.

    T steps give the same results as one call over T steps, up to rounding. The weights are packed
    when the stream is made; `refresh` reads them again. Threads may share a stream: concurrent
    steps run one after another, in some order.

    Attributes
    ----------
    state : list of array (m, n_a), or of pairs of them
        Copies of the states after the last step, one per layer; of an LSTM the pairs (a, c).
        Assign to set the states.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> stream = crnn.RNN(3, 8, 2, rng=0).stream()
    >>> stream.step(np.zeros((1, 3))).shape
    (1, 2)
    """

    def __init__(
        self, config: Config, parameters: dict[str, Array], m: int, logits: bool = False
    ) -> None:
        if config.direction != "forward":
            raise ValueError(
                f"stream: expected a model with direction 'forward', got {config.direction!r}: "
                "another direction needs the end of a sequence first"
            )
        if config.pools:
            raise ValueError(
                f"stream: expected a model with steps 'last' or 'all', got {config.steps!r}: its "
                "answer needs the states of all steps"
            )
        self._config, self._parameters, self._m = config, parameters, m
        self._of_logits = logits
        link = "linear" if logits else config.objective.link
        #: Whether a function in Python makes y_hat of the logits: that of a loss of the user's.
        self._converts = link is None
        self._link = LINKS[link or "linear"]
        self._dtype = config.np_dtype
        self.refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        parameters = {name: p.copy() for name, p in self._parameters.items()}
        arguments = (self._config, parameters, self._m, self._of_logits)
        return type(self), arguments, {"state": self.state}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.state = kept["state"]

    def refresh(self) -> None:
        """Read the model's parameters again; the state goes back to the initial one.

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
        p, own = self._parameters, [r.of(self._parameters) for r in self._config.recurrences()]
        self._stepper = Stepper(
            self._m,
            {name: [layer[name] for layer in own] for name in own[0]},
            p["Wya"],
            p["by"],
            self._config.rule,
            self._link,
        )

    def reset(self, rows: Any = None) -> None:
        """Go back to the initial state: zeros, or that of the model's parameters.

        Parameters
        ----------
        rows : booleans (m,), optional
            True for the sequences that begin again; by default all.

        Raises
        ------
        ValueError
            If `rows` does not fit.

        Examples
        --------
        >>> import crnn
        >>> stream = crnn.RNN(3, 2, 2, rng=0).stream()
        >>> y_hat = stream.step([1])
        >>> stream.reset()
        >>> stream.state
        [array([[0., 0.]], dtype=float32)]
        """
        if rows is None:
            self._stepper.reset(list(range(self._m)))
            return
        a = validate.plain("rows", rows)
        if a.dtype.kind != "b" or a.shape != (self._m,):
            raise ValueError(
                f"rows: expected True or False in shape (m,) = ({self._m},), got "
                f"{validate.described(a)}"
            )
        self._stepper.reset(np.flatnonzero(a).tolist())

    @property
    def state(self) -> list[Any]:
        """Copies of the states (m, n_a) after the last step, one per layer; pairs for an LSTM."""
        states = self._stepper.read_states()  # (states, num_layers, m, n_a)
        return list(states[0]) if len(states) == 1 else list(zip(*states, strict=True))

    @state.setter
    def state(self, state: Any) -> None:
        given = checked_state(self._config, "state", state, self._m)
        self._stepper.write_states(
            np.stack([np.stack(parts) for parts in zip(*given, strict=True)])
        )

    def step(self, x_t: Any, out: Array | None = None) -> Array:
        """Read one step and return the model's answer.

        Parameters
        ----------
        x_t : array (m, n_x), or integers (m,)
            The inputs of this step; integers (m,) stand for one-hot rows. With m = 1 one number
            will do: the input itself if n_x = 1, else a symbol.
        out : array (m, n_y), optional
            C-contiguous array of the model's dtype for the answer.

        Returns
        -------
        y_hat : array (m, n_y)
            As `RNN.predict_proba` gives it; `out` if it is given.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; the state stays as it was.

        Examples
        --------
        >>> import crnn
        >>> stream = crnn.RNN(3, 8, 2, rng=0).stream(m=2)
        >>> stream.step([1, 0]).sum(axis=1).round(5)      # one symbol per sequence
        array([1., 1.], dtype=float32)
        """
        y_hat = self._stepper.step(x_t, out)
        if y_hat is not None:  # both fit as they are
            return self._answer(y_hat) if self._converts else y_hat
        x_t = self._checked(x_t)
        if out is not None:
            shape_y = (self._m, self._config.n_y)
            validate.output("out", out, shape_y, self._dtype, {"x_t": x_t})
        y_hat = self._stepper.step(x_t, None if out is None else np.asarray(out))
        if y_hat is None:
            raise RuntimeError("x_t no longer fits: it changed after it had been checked")
        if self._converts:
            y_hat = self._answer(y_hat)
        return y_hat if out is None else out

    def _answer(self, logits: Array) -> Array:
        """y_hat in place of the logits (m, n_y) that a step gave."""
        logits[...] = self._config.objective.y_hat(logits)
        return logits

    def _checked(self, x_t: Any) -> Array:
        """x_t as floats (m, n_x) of the model's dtype, or as symbols (m,)."""
        config, m = self._config, self._m
        x = validate.plain("x_t", x_t)
        if x.ndim == 0 and m == 1:
            x = x.reshape((1, 1) if config.n_x == 1 else (1,))
        if x.ndim == 1 and x.dtype.kind in "iu":
            return validate.class_numbers("x_t", x, config.n_x, None, m)
        if x.shape != (m, config.n_x) or x.dtype.kind not in "fiub":
            raise ValueError(
                f"x_t: expected numbers of shape (m, n_x) = ({m}, {config.n_x}) or integers of "
                f"shape ({m},), got {validate.described(x)}"
            )
        return validate.in_order(x, self._dtype)


def sample(
    config: Config, parameters: dict[str, Array], n: int, prime: Any, temperature: float, rng: Any
) -> Array:
    """n symbols, each drawn from the answer to the previous one: see `crnn.RNN.sample`."""
    if config.steps != "all" or not config.classifies or config.n_x != config.n_y:
        raise ValueError(
            "sample: expected a model with steps='all', loss='cross_entropy' and n_x == n_y, "
            f"got steps={config.steps!r}, loss={config.loss!r}, n_x={config.n_x}, n_y={config.n_y}"
        )
    n = validate.count("n", n, least=0)
    temperature = validate.number("temperature", temperature)
    stream = Stream(config, parameters, 1, logits=True)
    rng = validate.generator(rng)
    prime = validate.plain("prime", () if prime is None else prime)
    if prime.size == 0:
        logits = stream.step(np.zeros((1, config.n_x), config.np_dtype))  # no symbol yet
    else:
        prime = validate.class_numbers("prime", prime, config.n_x, None, prime.size)
        for k in range(len(prime)):
            logits = stream.step(prime[k : k + 1])
    symbols = np.empty(n, np.intp)
    for start in range(0, n, SYMBOLS_PER_CALL):
        part = symbols[start : start + SYMBOLS_PER_CALL]
        uniforms = rng.random(len(part)) if temperature > 0 else np.zeros(len(part))
        drawn = stream._stepper.sample(logits, part, uniforms, temperature)
        if drawn < len(part):
            at = len(prime) + start + drawn
            raise ValueError(f"sample: the model's answer to step {at} has NaN")
    return symbols
