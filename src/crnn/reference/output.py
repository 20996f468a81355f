"""The output layer and the loss: forward beside backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.reference.loop import Array


def output_forward(a: Array, Wya: Array, by: Array) -> Array:
    """The logits ``Wya a<t> + by``.

    Parameters
    ----------
    a : array (..., n_a)
    Wya : array (n_y, n_a)
    by : array (n_y,)

    Returns
    -------
    logits : array (..., n_y)

    Examples
    --------
    >>> output_forward(np.ones((1, 2)), np.ones((3, 2)), np.zeros(3))
    array([[2., 2., 2.]])
    """
    return a @ Wya.T + by


def output_backward(dy: Array, a: Array, Wya: Array) -> tuple[Array, Array, Array]:
    """``dWya = sum dy<t> a<t>'``, ``dby = sum dy<t>`` and ``da<t> = Wya' dy<t>``.

    Parameters
    ----------
    dy : array (..., n_y)
        The gradient with respect to the logits.
    a : array (..., n_a)
    Wya : array (n_y, n_a)

    Returns
    -------
    dWya, dby, da : array
        Shaped as Wya, by and a.

    Examples
    --------
    >>> dWya, dby, da = output_backward(np.ones((5, 3)), np.ones((5, 2)), np.ones((3, 2)))
    >>> dby, da[0]
    (array([5., 5., 5.]), array([3., 3.]))
    """
    n_y, n_a = Wya.shape
    dy_rows = dy.reshape(-1, n_y)
    return dy_rows.T @ a.reshape(-1, n_a), dy_rows.sum(axis=0), dy @ Wya


def softmax(logits: Array) -> Array:
    """``exp(z_k) / sum_j exp(z_j)`` over the last axis, shifted so that nothing overflows.

    Parameters
    ----------
    logits : array (..., n_y)

    Returns
    -------
    y_hat : array (..., n_y)

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    y_hat: Array = e / e.sum(axis=-1, keepdims=True)
    return y_hat


def cross_entropy(logits: Array, y: Array, weights: Array | None = None) -> Any:
    """``-w sum_k y_k log y_hat_k``, summed over all rows; from the logits.

    Parameters
    ----------
    logits : array (..., n_y)
    y : integers (...), class numbers
    weights : array (...), optional
        Each row's w; ones by default.

    Returns
    -------
    loss : float

    Examples
    --------
    >>> bool(cross_entropy(np.zeros((1, 2)), np.array([0])) == np.log(2))
    True
    """
    # exp(0) = 1 of the largest logit is left out of the sum, and added by log1p: a small rest
    # would be rounded away in 1 + rest.
    largest = logits.argmax(axis=-1)[..., None]
    shifted = logits - np.take_along_axis(logits, largest, axis=-1)
    e = np.exp(shifted)
    np.put_along_axis(e, largest, 0, axis=-1)
    losses = np.log1p(e.sum(axis=-1)) - np.take_along_axis(shifted, y[..., None], axis=-1)[..., 0]
    return losses.sum() if weights is None else (weights * losses).sum()


def cross_entropy_backward(logits: Array, y: Array, weights: Array | None = None) -> Array:
    """``dy<t> = w (y_hat<t> - y<t>)``, the gradient with respect to the logits.

    Parameters
    ----------
    logits : array (..., n_y)
    y : integers (...), class numbers
    weights : array (...), optional
        Each row's w; ones by default.

    Returns
    -------
    dy : array (..., n_y)

    Examples
    --------
    >>> cross_entropy_backward(np.zeros((1, 2)), np.array([0]))
    array([[-0.5,  0.5]])
    """
    # For the class itself, y_hat_y - 1 is minus the sum of the others, which does not cancel.
    dy = softmax(logits)
    np.put_along_axis(dy, y[..., None], 0, axis=-1)
    np.put_along_axis(dy, y[..., None], -dy.sum(axis=-1, keepdims=True), axis=-1)
    return dy if weights is None else weights[..., None] * dy
