"""Penalties: what training adds to the loss for large rates or weights, beside their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.buffers import Buffers
from crnn._network.config import Config
from crnn.reference import Array


@dataclass(frozen=True)
class Penalty:
    """What training adds to the loss for large rates or weights.

    ``rates_l2 mean(r^2) + rates_l1 mean(|r|) + weights_l2 sum(W^2) + weights_l1 sum(|W|)``

    The rates r are what the layers give to those above them: the states, or f(v) with
    equation="current". Their mean is over all units of all layers and directions, and over the
    steps and examples as the loss counts them: with steps="all" over all valid steps, with
    one answer per example over its valid steps and then over the examples. Sample weights do
    not change it. The weights W are all entries of Waa, Wax and Wya of all layers and directions;
    biases are free.

    Parameters
    ----------
    rates_l2, rates_l1, weights_l2, weights_l1 : float, optional
        At least 0; at 0 the term is neither computed nor added.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    References
    ----------
    H. F. Song, G. R. Yang and X.-J. Wang, "Training excitatory-inhibitory recurrent neural networks
    for cognitive tasks", PLoS Computational Biology 12 (2016) e1004792, equations 23 to 25: the
    mean of the squared rates, and the size of the weights.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model, x, y = crnn.RNN(3, 8, 2, rng=0), np.ones((5, 4, 3)), [0, 1, 0, 1]
    >>> loss, _ = model.gradients(x, y, penalty=crnn.Penalty(weights_l2=0.01))
    >>> weights = (model.parameters[name] for name in ("Waa", "Wax", "Wya"))
    >>> added = 0.01 * sum(np.square(W).sum() for W in weights)
    >>> bool(np.isclose(loss, model.gradients(x, y)[0] + added))
    True
    """

    rates_l2: float = 0.0
    rates_l1: float = 0.0
    weights_l2: float = 0.0
    weights_l1: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            checked = validate.number(field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, checked)

    @property
    def of_rates(self) -> bool:
        """Whether rates cost anything."""
        return self.rates_l2 > 0 or self.rates_l1 > 0

    def rate_loss(self, rate: Array, share: Array, buffers: Buffers) -> float:
        """The loss for the rates (T, m, n_a) of a recurrence; see `shares`."""
        loss = 0.0
        if self.rates_l2:
            squares = np.einsum("tmi,tmi->tm", rate, rate)
            loss += self.rates_l2 * float(squares.sum(axis=0, dtype=np.float64) @ share)
        if self.rates_l1:
            sizes = np.abs(rate, out=buffers.array("penalty", rate.shape)).sum(axis=2)  # (T, m)
            loss += self.rates_l1 * float(sizes.sum(axis=0, dtype=np.float64) @ share)
        return loss

    def rate_backward(
        self, rate: Array, share: Array, drate: Array | None, buffers: Buffers
    ) -> Array:
        """Add the gradient with respect to the rates to `drate` in place, None being zeros."""
        scale = share.astype(rate.dtype)[:, None]  # (m, 1)
        term = buffers.array("penalty", rate.shape)  # (T, m, n_a)
        if drate is None:
            drate = buffers.array("drate", rate.shape)
            drate.fill(0)
        if self.rates_l2:
            drate += np.multiply(rate, rate.dtype.type(2 * self.rates_l2) * scale, out=term)
        if self.rates_l1:
            np.sign(rate, out=term)
            drate += np.multiply(term, rate.dtype.type(self.rates_l1) * scale, out=term)
        return drate

    def weight_loss(self, parameters: Mapping[str, Array]) -> float:
        """The loss for the weights."""
        loss = 0.0
        for W in _weights(parameters).values():
            if self.weights_l2:
                loss += self.weights_l2 * float(np.square(W).sum(dtype=np.float64))
            if self.weights_l1:
                loss += self.weights_l1 * float(np.abs(W).sum(dtype=np.float64))
        return loss

    def weight_backward(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]
    ) -> None:
        """Add the gradient with respect to the weights, in place."""
        for name, W in _weights(parameters).items():
            dW = gradients[name]
            if self.weights_l2:
                dW += W.dtype.type(2 * self.weights_l2) * W
            if self.weights_l1:
                dW += W.dtype.type(self.weights_l1) * np.sign(W)


def checked(penalty: Any) -> Penalty | None:
    """The argument of `fit` and `gradients`."""
    if penalty is not None and not isinstance(penalty, Penalty):
        raise TypeError(f"penalty: expected a crnn.Penalty or None, got {validate.shown(penalty)}")
    return penalty


def shares(config: Config, T: int, m: int, lengths: Array | None) -> Array:
    """What the rate of one unit at one step of each example counts in the mean: float64 (m,)."""
    steps = np.full(m, T) if lengths is None else lengths  # of each example
    units = config.num_layers * config.width
    if config.every_step:
        return np.full(m, 1 / (units * float(steps.sum())))
    found: Array = 1 / (float(units * m) * steps)
    return found


def _weights(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: a for name, a in arrays.items() if name.startswith("W")}
