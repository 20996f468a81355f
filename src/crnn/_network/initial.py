"""The initial values of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config, Recurrence
from crnn.reference import Array

MOST_SCALE = 1e6  # so that every initial value is finite in float32
_Draw = Callable[[Config, Recurrence, dict[str, Array], np.random.Generator], None]


@dataclass(frozen=True)
class Init:
    """How the initial parameters of a model are drawn, and on which scales.

    ``crnn.RNN(..., init="identity")`` is short for ``init=crnn.Init("identity")``.

    Parameters
    ----------
    kind : str, optional
        How Waa is drawn. "orthogonal": a random orthogonal matrix. "identity": the identity, with
        which a layer of relu units begins as a sum over time (Le et al. 2015, who draw the other
        weights with a standard deviation of 0.001). "np": normalised positive definite, with 1 as
        its largest eigenvalue and the others below it (Talathi and Vartak 2015). "uniform":
        between ``+-1 / sqrt(n_a)``. With these, each gate is a matrix of its own, Wax and Wya are
        Glorot-uniform and the biases 0. "pytorch" and "keras" draw every parameter as these
        libraries do.
    gain : float, optional
        A factor of Waa, above 0; like the scales below, less than a million.
    input_std : float, optional
        Draw every Wax from a normal distribution with this standard deviation, above 0. None: as
        `kind` says.
    output_gain : float, optional
        A factor of Wya, above 0.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    Q. V. Le, N. Jaitly, G. E. Hinton, "A simple way to initialize recurrent networks of rectified
    linear units", arXiv:1504.00941. S. S. Talathi, A. Vartak, "Improving performance of recurrent
    neural network with relu nonlinearity", arXiv:1511.03771. For "uniform": X. Glorot, Y. Bengio,
    "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 1.

    Examples
    --------
    >>> import crnn
    >>> init = crnn.Init("identity", input_std=0.01)
    >>> crnn.RNN(1, 3, 2, activation="relu", init=init, rng=0).parameters["Waa"]
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """

    kind: str = "orthogonal"
    gain: float = 1.0
    input_std: float | None = None
    output_gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", validate.choice("kind", self.kind, tuple(INITIAL)))
        for name in ("gain", "input_std", "output_gain"):
            value = getattr(self, name)
            if name != "input_std" or value is not None:
                value = validate.number(name, value, above=True, below=MOST_SCALE)
                object.__setattr__(self, name, value)


def chosen(init: Any) -> Init:
    """The Init that a model's argument `init` stands for, which may be given by its kind."""
    if isinstance(init, Init):
        return init
    if isinstance(init, str) and init in INITIAL:
        return Init(init)
    words = ", ".join(map(repr, INITIAL))
    raise ValueError(f"init: expected one of {words} or a crnn.Init, got {validate.shown(init)}")


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


def normalised_positive_definite(n: int, rng: np.random.Generator) -> Array:
    """``(A + I) / e``, (n, n), with A = R' R / n, R standard normal and e its largest eigenvalue.

    So all eigenvalues are above 0, the largest is 1, and what the recurrence carries through time
    is damped except in one direction.

    References
    ----------
    S. S. Talathi, A. Vartak, "Improving performance of recurrent neural network with relu
    nonlinearity", arXiv:1511.03771.
    """
    R = rng.standard_normal((n, n))
    W = R.T @ R / n + np.eye(n)
    largest: Array = np.linalg.eigvalsh(W)[-1]
    return W / largest


def initialise(
    config: Config,
    parameters: dict[str, Array],
    rng: np.random.Generator,
    init: Init | str = "orthogonal",
    forget_bias: float | None = None,
) -> None:
    """Fill the parameters in the way of `init`: see `crnn.RNN`.

    An LSTM's forget_bias is 1 by default, except with "pytorch", which has none of its own.
    """
    init = chosen(init)
    forget_bias = _checked_forget_bias(config, init.kind, forget_bias)
    for recurrence in config.recurrences():
        own = recurrence.of(parameters)
        for bias in config.kind.biases:
            own[bias][...] = 0
        INITIAL[init.kind](config, recurrence, own, rng)
        own["Waa"] *= init.gain
        if init.input_std is not None:
            own["Wax"][...] = rng.normal(0, init.input_std, own["Wax"].shape)
        if forget_bias is not None and "f" in config.kind.gates:
            own["ba"][_rows(config, "f")] = forget_bias
    if init.kind == "pytorch":
        bound = 1 / np.sqrt(config.width)
        parameters["Wya"] = rng.uniform(-bound, bound, (config.n_y, config.features))
        parameters["by"] = rng.uniform(-bound, bound, config.n_y)
    else:
        parameters["Wya"] = glorot(config.n_y, config.features, rng)
        parameters["by"][...] = 0
    parameters["Wya"] = parameters["Wya"] * init.output_gain


def _checked_forget_bias(config: Config, kind: str, forget_bias: float | None) -> float | None:
    if forget_bias is None:
        return None if kind == "pytorch" else 1.0
    if "f" not in config.kind.gates:
        raise ValueError(
            f"forget_bias: expected None with cell={config.cell!r}, which has no forget gate, "
            f"got {validate.shown(forget_bias)}"
        )
    forget_bias = validate.number("forget_bias", forget_bias, least=-np.inf)
    return validate.finite_as("forget_bias", forget_bias, config.np_dtype)


def _rows(config: Config, gate: str) -> slice:
    first = config.kind.gates.index(gate) * config.n_a
    return slice(first, first + config.n_a)


def _uniform(n: int, rng: np.random.Generator) -> Array:
    return rng.uniform(-1 / np.sqrt(n), 1 / np.sqrt(n), (n, n))


def _by_gate(square: Callable[[int, np.random.Generator], Array]) -> _Draw:
    """Waa from `square`, (n_a, n_a), and Glorot-uniform Wax. Every gate is a matrix of its own."""

    def draw(
        config: Config, recurrence: Recurrence, own: dict[str, Array], rng: np.random.Generator
    ) -> None:
        gates, n_a = config.kind.gates, config.n_a
        own["Waa"][...] = np.concatenate([square(n_a, rng) for _ in gates])
        own["Wax"][...] = np.concatenate([glorot(n_a, recurrence.n_in, rng) for _ in gates])

    return draw


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
    """As Keras draws it: like "orthogonal", but the gates of a weight are one matrix.

    So an orthogonal Waa has n_a orthogonal columns of length 1 over all its gates.
    """
    rows, n_a = own["Waa"].shape
    own["Waa"][...] = orthogonal(rows, rng, n_a)
    own["Wax"][...] = glorot(rows, recurrence.n_in, rng)


INITIAL: dict[str, _Draw] = {
    "orthogonal": _by_gate(orthogonal),
    "pytorch": _as_pytorch,
    "keras": _as_keras,
    "identity": _by_gate(lambda n, _: np.eye(n)),
    "np": _by_gate(normalised_positive_definite),
    "uniform": _by_gate(_uniform),
}
