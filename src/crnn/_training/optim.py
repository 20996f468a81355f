"""Optimizers, each of which updates the whole arena at once.

An optimizer object is immutable. Its state (momentum, moments) belongs to the model that it trains,
so one optimizer can train many models.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crnn._engine import kernels, validate
from crnn._training.rule import Memory, Optimizer, Rule
from crnn._training.schedule import Schedule
from crnn.reference import Array

__all__ = [
    "SGD", "Adam", "AdamW", "Memory", "Optimizer", "RMSprop", "chosen", "clip_by_norm",
    "clip_by_value",
]  # fmt: skip


@dataclass(frozen=True)
class SGD(Rule):
    """Gradient descent, ``W := W - lr dW``; with momentum, ``v := momentum v + dW; W := W - lr v``.

    With weight decay, ``W := W - lr weight_decay W`` before it.

    Parameters
    ----------
    lr : float, Schedule or callable
        The learning rate, above 0; a schedule of `crnn.schedules`; or a callable of the number of
        the step, from 0.
    momentum : float, optional
        In [0, 1); 0 is the plain rule.
    weight_decay : float, optional
        At least 0. Weights decay, but biases and trained initial states do not.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    Examples
    --------
    >>> import crnn
    >>> crnn.SGD(0.1)
    SGD(lr=0.1, momentum=0.0, weight_decay=0.0)
    """

    lr: float | Schedule | Callable[[int], float]
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._check(shares=("momentum",))

    def _moments(self, parameters: Array) -> Memory:
        return {"v": np.zeros_like(parameters) if self.momentum else None}

    def _update(self, parameters: Array, gradients: Array, memory: Memory, lr: float) -> None:
        kernels.sgd(parameters, gradients, memory["v"], lr, self.momentum)


@dataclass(frozen=True)
class Adam(Rule):
    """Adam: steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    lr : float, Schedule or callable, optional
        The step size: see `SGD`.
    beta1, beta2 : float, optional
        Decay of the two means, in [0, 1).
    eps : float, optional
        Added to the root of the second mean, above 0.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    Examples
    --------
    >>> import crnn
    >>> crnn.Adam(2e-3)
    Adam(lr=0.002, beta1=0.9, beta2=0.999, eps=1e-08)
    """

    lr: float | Schedule | Callable[[int], float] = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    _squares: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        self._check(shares=("beta1", "beta2"), positive=("eps",))

    def _moments(self, parameters: Array) -> Memory:
        return {"m": np.zeros_like(parameters), "v": np.zeros_like(parameters)}

    def _update(self, parameters: Array, gradients: Array, memory: Memory, lr: float) -> None:
        t = memory["step"]
        rate, root = lr / (1 - self.beta1**t), 1 / math.sqrt(1 - self.beta2**t)
        kernels.adam(
            parameters, gradients, memory["m"], memory["v"],
            self.beta1, self.beta2, rate, root, self.eps,
        )  # fmt: skip


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: ``W := W - lr weight_decay W``, and then Adam's step.

    The decay is not part of the gradient, so it is not divided by the root of the second mean.

    Parameters
    ----------
    lr, beta1, beta2, eps : optional
        As for `Adam`.
    weight_decay : float, optional
        At least 0. Weights decay, but biases and trained initial states do not.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.

    Examples
    --------
    >>> import crnn
    >>> crnn.AdamW(2e-3)
    AdamW(lr=0.002, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.01)
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class RMSprop(Rule):
    """RMSprop: ``v := decay v + (1 - decay) dW^2; W := W - lr dW / (sqrt(v) + eps)``.

    With momentum, ``u := momentum u + dW / (sqrt(v) + eps); W := W - lr u``. With weight decay,
    ``W := W - lr weight_decay W`` before it.

    Parameters
    ----------
    lr : float, Schedule or callable, optional
        The step size: see `SGD`.
    decay : float, optional
        Decay of the mean of squares v, in [0, 1): 0.9 in the lecture; PyTorch calls it alpha, and
        its default is 0.99.
    eps : float, optional
        Added to the root of v, above 0.
    momentum : float, optional
        In [0, 1); 0 is the plain rule.
    weight_decay : float, optional
        At least 0. Weights decay, but biases and trained initial states do not.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5, rmsprop: divide the gradient by a running average of its
    recent magnitude", COURSERA: Neural Networks for Machine Learning, 2012. With momentum: as
    `torch.optim.RMSprop` computes it.

    Examples
    --------
    >>> import crnn
    >>> crnn.RMSprop(1e-4)
    RMSprop(lr=0.0001, decay=0.9, eps=1e-08, momentum=0.0, weight_decay=0.0)
    """

    lr: float | Schedule | Callable[[int], float] = 1e-3
    decay: float = 0.9
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0
    _squares: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        self._check(shares=("decay", "momentum"), positive=("eps",))

    def _moments(self, parameters: Array) -> Memory:
        return {
            "v": np.zeros_like(parameters),
            "u": np.zeros_like(parameters) if self.momentum else None,
        }

    def _update(self, parameters: Array, gradients: Array, memory: Memory, lr: float) -> None:
        kernels.rmsprop(
            parameters, gradients, memory["v"], memory["u"],
            lr, self.decay, self.eps, self.momentum,
        )  # fmt: skip


# One object each, so that calling `fit` again by the same name continues with the same moments.
_BY_NAME: dict[str, Optimizer] = {
    "sgd": SGD(0.1), "adam": Adam(), "adamw": AdamW(), "rmsprop": RMSprop(),
}  # fmt: skip


def chosen(optimizer: Any) -> Optimizer:
    """The optimizer, which may be given by its name."""
    if isinstance(optimizer, str):
        return _BY_NAME[validate.choice("optimizer", optimizer, tuple(_BY_NAME))]
    methods = (getattr(optimizer, name, None) for name in ("start", "step"))
    if isinstance(optimizer, type) or not all(map(callable, methods)):
        raise TypeError(
            "optimizer: expected crnn.SGD, crnn.Adam, crnn.AdamW, crnn.RMSprop or one of "
            f"{', '.join(map(repr, _BY_NAME))}, got {validate.shown(optimizer)}"
        )
    found: Optimizer = optimizer
    return found


def clip_by_norm(gradients: Array, most: float | None) -> float:
    """The Euclidean norm of gradients (size,). If it exceeds `most`, scale them down to that."""
    return kernels.clip(gradients, math.inf if most is None else most)


def clip_by_value(gradients: Array, most: float) -> None:
    """Move each number of the gradients (size,) into ``-most..most``. NaN stays NaN."""
    limit = gradients.dtype.type(min(most, float(np.finfo(gradients.dtype).max)))
    np.clip(gradients, -limit, limit, out=gradients)
