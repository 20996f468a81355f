"""The initial values of parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config, Recurrence
from crnn.reference import Array


def orthogonal(n: int, rng: np.random.Generator, columns: int | None = None) -> Array:
    """A random orthogonal matrix (n, n), uniform over all of them; or its first columns.

    Every singular value is 1, so at the start of training the recurrence neither amplifies nor
    damps what it carries through time.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014. The signs make the distribution uniform:
    F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of
    the AMS 54 (2007) 592-604.
    """
    Q, R = np.linalg.qr(rng.standard_normal((n, columns or n)))
    signs: Array = np.where(np.diag(R) < 0, -1.0, 1.0)
    return Q * signs


def glorot(n_out: int, n_in: int, rng: np.random.Generator) -> Array:
    """A matrix (n_out, n_in), uniform between ``+-sqrt(6 / (n_in + n_out))``.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.
    """
    limit = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_out, n_in))


def initialise(
    config: Config,
    parameters: dict[str, Array],
    rng: np.random.Generator,
    init: str = "orthogonal",
    forget_bias: float | None = None,
) -> None:
    """Fill the parameters in the way of `init`: see `crnn.RNN`.

    An LSTM's forget_bias is 1 by default, except with "pytorch", which has none of its own.
    """
    draw = INITIAL[validate.choice("init", init, tuple(INITIAL))]
    if forget_bias is not None:
        if "f" not in config.kind.gates:
            raise ValueError(
                f"forget_bias: expected None with cell={config.cell!r}, which has no forget gate, "
                f"got {validate.shown(forget_bias)}"
            )
        forget_bias = validate.number("forget_bias", forget_bias, least=-np.inf)
        validate.finite_as("forget_bias", forget_bias, config.np_dtype)
    elif init != "pytorch":
        forget_bias = 1.0
    for recurrence in config.recurrences():
        own = recurrence.of(parameters)
        for bias in config.kind.biases:
            own[bias][...] = 0
        draw(config, recurrence, own, rng)
        if forget_bias is not None and "f" in config.kind.gates:
            own["ba"][_rows(config, "f")] = forget_bias
    if init == "pytorch":
        bound = 1 / np.sqrt(config.width)
        parameters["Wya"] = rng.uniform(-bound, bound, (config.n_y, config.width))
        parameters["by"] = rng.uniform(-bound, bound, config.n_y)
    else:
        parameters["Wya"] = glorot(config.n_y, config.width, rng)
        parameters["by"][...] = 0


def _rows(config: Config, gate: str) -> slice:
    first = config.kind.gates.index(gate) * config.n_a
    return slice(first, first + config.n_a)


def _by_gate(
    config: Config, recurrence: Recurrence, own: dict[str, Array], rng: np.random.Generator
) -> None:
    """Orthogonal Waa and Glorot-uniform Wax. Every gate is a matrix of its own."""
    gates, n_a = config.kind.gates, config.n_a
    own["Waa"][...] = np.concatenate([orthogonal(n_a, rng) for _ in gates])
    own["Wax"][...] = np.concatenate([glorot(n_a, recurrence.n_in, rng) for _ in gates])


def _as_pytorch(
    config: Config, recurrence: Recurrence, own: dict[str, Array], rng: np.random.Generator
) -> None:
    """Everything uniform between ``+-1 / sqrt(n_a)``, as `torch.nn.RNNBase` draws it.

    torch has two biases where ba is their sum, except for the part that r multiplies in a GRU.
    """
    bound = 1 / np.sqrt(config.n_a)
    for name in config.kind.parameters:
        values = own[name]
        values[...] = rng.uniform(-bound, bound, values.shape)
        if name == "ba":
            summed = values[: _rows(config, "n").start] if "baa" in own else values
            summed += rng.uniform(-bound, bound, summed.shape)


def _as_keras(
    config: Config, recurrence: Recurrence, own: dict[str, Array], rng: np.random.Generator
) -> None:
    """As Keras draws it: like `_by_gate`, but the gates of a weight are one matrix.

    So an orthogonal Waa has n_a orthogonal columns of length 1 over all its gates.
    """
    rows, n_a = own["Waa"].shape
    own["Waa"][...] = orthogonal(rows, rng, n_a)
    own["Wax"][...] = glorot(rows, recurrence.n_in, rng)


_Draw = Callable[[Config, Recurrence, dict[str, Array], np.random.Generator], None]
INITIAL: dict[str, _Draw] = {
    "orthogonal": _by_gate,
    "pytorch": _as_pytorch,
    "keras": _as_keras,
}
