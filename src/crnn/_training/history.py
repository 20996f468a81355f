"""The course of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """The course of a training: each list has one entry per epoch.

    Attributes
    ----------
    loss, metric : list of float
        Means over the epoch's steps and examples, computed during training, with its noise and with
        the penalties.
    val_loss, val_metric : list of float
        The same for the validation data after each epoch; empty if there are none.
    gradient_norm : list of float
        Mean over the epoch of the gradient's global norm, before clipping.
    learning_rate : list of float
        The rate of the epoch's last step; NaN if the optimizer has none.
    rate, reach, saturated : list of list of float
        With ``inspect=True`` one list per epoch, with a number per cell, of its first batch: the
        change of the log norm of the gradient per step back, how many steps back it has fallen to
        1/e, and the share of saturated states. See `crnn.inspect.gradient_flow`.
    steps_per_second : list of float
        Optimizer steps per second, not counting the time for validation.
    metric_name : str
        Such as "accuracy", "mean absolute error", "coverage of the 90 % interval"; see the losses.
    best_epoch : int or None
        The epoch (from 0) with the lowest validation loss.
    stopped_early, interrupted : bool
        Whether patience ran out or the callback returned True; whether Ctrl-C ended training. After
        Ctrl-C the model is that of the last finished step, even with patience.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, y = np.ones((3, 4, 1)), [0, 1, 0, 1]
    >>> history = crnn.RNN(1, 2, 2, rng=0).fit(x, y, epochs=5, progress=False, rng=0)
    >>> len(history.loss), history.metric_name, history.metric[-1]
    (5, 'accuracy', 0.5)
    """

    metric_name: str
    loss: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_metric: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    steps_per_second: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    rate: list[list[float]] = field(default_factory=list)
    reach: list[list[float]] = field(default_factory=list)
    saturated: list[list[float]] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_early: bool = False
    interrupted: bool = False

    def plot(self) -> Any:
        """Draw loss, metric, gradient norm and learning rate by epoch; and the rates, if there are.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ModuleNotFoundError
            If matplotlib is not installed: ``python -m pip install "crnn[plot]"``.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> x, y = np.ones((3, 4, 1)), [0, 1, 0, 1]
        >>> history = crnn.RNN(1, 2, 2, rng=0).fit(x, y, epochs=5, progress=False, rng=0)
        >>> [axes.get_ylabel() for axes in history.plot().axes]
        ['loss', 'accuracy', 'norm of the gradient', 'learning rate']
        """
        from crnn._training.history_plot import draw

        return draw(self)
