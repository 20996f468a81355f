"""A loss against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.losses import Objective, Wanted, chosen
from crnn.reference import Array

#: Of a fourth-order difference with h = 1e-3: h^4 = 1e-12 of truncation and eps / h = 2e-13 of
#: rounding, each times derivatives of up to some thousands.
TOLERANCE = 1e-8
_STEP = 1e-3


def check_loss(loss: Any, logits: Any, y: Any) -> float:
    """Check the gradient of a loss against finite differences, in float64.

    Parameters
    ----------
    loss : str, object or callable
        As for `RNN`.
    logits : array (rows, n_y)
        Where to look, away from kinks such as that of the absolute error at 0. Some rows with
        numbers of the size that training has are enough.
    y : array
        The targets of the rows: (rows, n_y) for values, integers (rows,) for classes.

    Returns
    -------
    error : float
        The largest difference between the gradient and the finite difference of fourth order,
        relative to the largest number in the gradient.

    Raises
    ------
    ValueError
        If the error is above 1e-8, or a row's loss depends on other rows; the message names the
        place. Also, as TypeError, if an argument does not fit.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> def cubed(logits, y):
    ...     e = logits - y
    ...     return (np.abs(e) ** 3).sum(axis=1), 3 * e * np.abs(e)
    >>> crnn.check_loss(cubed, np.array([[1.0, -2.0]]), np.zeros((1, 2))) < 1e-10
    True
    >>> crnn.check_loss(lambda z, y: ((z - y) ** 2 @ [1, 1], z - y), [[1.0, 2.0]], [[0.0, 0.0]])
    Traceback (most recent call last):
        ...
    ValueError: loss: the gradient of row 0 with respect to logit 0 is 1, and a finite difference 2
    """
    objective = chosen(loss)
    given = validate.plain("logits", logits)
    if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "fiu":
        raise ValueError(
            f"logits: expected numbers of shape (rows, n_y), got {validate.described(given)}"
        )
    z = np.array(given, np.float64, order="C")  # (rows, n_y), a copy
    if not np.isfinite(z).all():
        raise ValueError("logits: expected finite numbers")
    rows, n_y = z.shape
    objective.check(n_y)
    targets = objective.checked(y, Wanted("y", n_y, z.dtype, (rows,)))
    together = z.copy()
    objective.loss_and_gradient(together, targets)
    together *= rows  # the gradient of each row's own loss
    worst, largest = 0.0, 0.0
    for i in range(rows):
        row, y_i = z[i : i + 1], targets[i : i + 1]
        gradient = row.copy()
        objective.loss_and_gradient(gradient, y_i)
        if not np.allclose(gradient[0], together[i], rtol=1e-10, atol=1e-12, equal_nan=True):
            raise ValueError(f"loss: the loss of row {i} depends on other rows")
        for k in range(n_y):
            numeric = _difference(objective, row, y_i, k)
            error = abs(gradient[0, k] - numeric)
            size = max(abs(numeric), *np.abs(gradient[0]))
            if not error <= TOLERANCE * max(size, 1e-3):
                raise ValueError(
                    f"loss: the gradient of row {i} with respect to logit {k} is "
                    f"{gradient[0, k]:g}, and a finite difference {numeric:g}"
                )
            worst, largest = max(worst, error), max(largest, size)
    return float(worst / largest) if largest else 0.0


def _difference(objective: Objective, row: Array, y: Array, k: int) -> float:
    """``(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h`` of the loss over logit k."""
    h = _STEP * max(1.0, abs(row[0, k]))

    def loss(step: float) -> float:
        moved = row.copy()
        moved[0, k] += step * h
        return objective.loss_and_gradient(moved, y)[0]

    return float((8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * h))
