"""The initial values of parameters."""

from __future__ import annotations

import numpy as np

from crnn._network.config import Config
from crnn.reference import Array


def orthogonal(n: int, rng: np.random.Generator) -> Array:
    """A random orthogonal matrix (n, n), uniform over all of them.

    Every singular value is 1, so at the start of training the recurrence neither amplifies nor
    damps what it carries through time.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014. The signs make the distribution uniform:
    F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of
    the AMS 54 (2007) 592-604.
    """
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
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


def initialise(config: Config, parameters: dict[str, Array], rng: np.random.Generator) -> None:
    """Fill the parameters: orthogonal Waa, Glorot-uniform Wax and Wya, zero biases.

    Every gate of Waa and Wax is drawn as a matrix of its own.
    """
    n_a, gates = config.n_a, range(config.cell.gates)
    for recurrence in config.recurrences():
        own = recurrence.of(parameters)
        own["Waa"][...] = np.concatenate([orthogonal(n_a, rng) for _ in gates])
        own["Wax"][...] = np.concatenate([glorot(n_a, recurrence.n_in, rng) for _ in gates])
        for bias, _ in config.cell.biases:
            own[bias][...] = 0
    parameters["Wya"] = glorot(config.n_y, config.width, rng)
    parameters["by"][...] = 0
