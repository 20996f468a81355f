"""The Jacobian of one step, and the spectral radius."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.model import Model
from crnn.inspect import _arguments
from crnn.reference import Array


def jacobian(model: Any, a: Any, x: Any, cell: int = 0) -> Array:
    """The Jacobian of one step, d state<t> / d state<t-1>, in closed form.

    For the vanilla cell it is ``diag(f'(z)) Waa`` with ``z = Waa a<t-1> + Wax x<t> + ba``.

    Parameters
    ----------
    model : RNN
    a : array (n_a,) or (rows, n_a)
        The state before the step, or several of them: v with the equation "current". For an LSTM
        (2 n_a,) or (rows, 2 n_a), a and then c, or a pair (a, c).
    x : array (n_in,) or (rows, n_in), or integers () or (rows,)
        What the cell reads in this step: for the lowest layer the model's input, n_in = n_x, where
        an integer is a symbol; above it the states of the layer below.
    cell : int, optional
        Which layer and direction, in the order of computation.

    Returns
    -------
    J : array (N, N) or (rows, N, N)
        In float64; ``J[i, j] = d state<t>_i / d state<t-1>_j``. N is n_a, and 2 n_a for an LSTM.
        At z = 0 the slope of a relu is 0, as in the backward pass.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 2, 2, rng=0)
    >>> model.parameters["Waa"] = [[0, 1], [2, 0]]
    >>> crnn.inspect.jacobian(model, np.zeros(2), np.zeros(1))     # tanh'(0) = 1
    array([[0., 1.],
           [2., 0.]])
    """
    of = _arguments.cell_of(model, cell)
    s = _arguments.states("a", a, of)
    rows = np.atleast_2d(s)
    J = of.jacobians(rows, _arguments.inputs_of(x, of, len(rows)))
    return J[0] if s.ndim == 1 else J


def spectral_radius(matrix: Any) -> Any:
    """The largest modulus of the eigenvalues of Waa, of a Jacobian, or of any square matrix.

    Parameters
    ----------
    matrix : array (..., n, n), or RNN
        A matrix or several of them, such as `jacobian` gives. A model stands for the Waa of all its
        cells, each gate a matrix of its own: (cells, gates, n_a, n_a), without the axes of size 1.

    Returns
    -------
    float, or array (...) of float64
        The radius of each matrix. For a model of one vanilla or leaky cell a float, for one GRU
        an array (3,) in the order r, z, n, for one LSTM (4,) in the order i, f, g, o.

    Raises
    ------
    ValueError, TypeError
        If it is neither a model nor a square matrix of finite real numbers.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> float(crnn.inspect.spectral_radius(np.array([[0.5, 1.0], [0.0, -0.75]])))
    0.75
    >>> crnn.inspect.spectral_radius(crnn.RNN(3, 8, 2, rng=0)).round(6)    # Waa is orthogonal
    np.float64(1.0)
    >>> crnn.inspect.spectral_radius(crnn.RNN(3, 8, 2, cell="lstm", rng=0)).shape
    (4,)
    """
    if isinstance(matrix, Model):
        config, parameters = _arguments.in_float64(matrix)
        each = [of.of(parameters)["Waa"] for of in config.recurrences()]
        a = np.stack(each).reshape(len(each), -1, config.n_a, config.n_a)
        a = a.reshape(tuple(size for size in a.shape[:2] if size > 1) + a.shape[2:])
    else:
        a = validate.plain("matrix", matrix)
    if a.dtype.kind not in "fiu" or a.ndim < 2 or a.shape[-1] != a.shape[-2] or not a.shape[-1]:
        raise ValueError(
            f"matrix: expected a crnn.RNN or real numbers of shape (..., n, n), "
            f"got {validate.described(a)}"
        )
    if not np.isfinite(a).all():
        raise ValueError("matrix: expected finite numbers, got NaN or infinity")
    radius = np.abs(np.linalg.eigvals(np.float64(a))).max(axis=-1)
    return radius
