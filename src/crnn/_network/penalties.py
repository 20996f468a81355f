"""Penalties: what training adds to the loss for large rates or weights, beside their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from crnn._engine import kernels, validate
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

    def of_weights(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> float:
        """The loss for the weights, whose gradient is added to `gradients` in place.

        Parameters
        ----------
        parameters, gradients : dict of str to array
            By name; those that begin with W are weights.

        Returns
        -------
        float

        Examples
        --------
        >>> import numpy as np, crnn
        >>> W, dW = np.full((2, 2), 3.0), np.zeros((2, 2))
        >>> crnn.Penalty(weights_l2=0.5).of_weights({"Waa": W}, {"Waa": dW})    # 0.5 (4 times 3^2)
        18.0
        >>> dW[0, 0]                                                            # 0.5 times 2 W
        np.float64(3.0)
        """
        loss = 0.0
        if self.weights_l2 == 0 and self.weights_l1 == 0:
            return loss
        for name, W in parameters.items():
            if name.startswith("W"):
                shares, sums = np.ones(len(W)), np.zeros(len(W))  # of each row
                kernels.penalise(
                    W[None], self.weights_l2, self.weights_l1, shares, gradients[name][None], sums,
                    True,
                )  # fmt: skip
                loss += float(sums.sum())
        return loss


class RateCosts:
    """What a penalty adds for the rates in one backward pass over all recurrences.

    The costs of an example are summed step by step in the order of backward, so that they are the
    same bits whether a pass has all steps at once or a segment at a time.
    """

    def __init__(
        self, penalty: Penalty, config: Config, T: int, m: int, lengths: Array | None
    ) -> None:
        self._penalty = penalty
        self._shares = shares(config, T, m, lengths)  # (m,)
        self._sums = np.zeros((len(config.recurrences()), m))

    def add(self, k: int, rates: Array, drates: Array, rising: bool) -> None:
        """Count the rates (steps, m, n_a) of recurrence k, and add their gradient to `drates`.

        `rising` says whether backward goes through the steps in rising order.
        """
        l2, l1 = self._penalty.rates_l2, self._penalty.rates_l1
        kernels.penalise(rates, l2, l1, self._shares, drates, self._sums[k], rising)

    def loss(self) -> float:
        """The loss for all rates that were counted."""
        return float((self._sums @ self._shares).sum())


def rate_costs(
    penalty: Penalty | None, config: Config, T: int, m: int, lengths: Array | None
) -> RateCosts | None:
    """The costs of the rates in a pass; None if they are free."""
    if penalty is None or not penalty.of_rates:
        return None
    return RateCosts(penalty, config, T, m, lengths)


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
