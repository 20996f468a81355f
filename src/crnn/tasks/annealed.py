"""An optimizer whose learning rate falls while it trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crnn import SGD, Adam, RMSprop
from crnn._engine import validate
from crnn._training.rule import Memory
from crnn.reference import Array


@dataclass(frozen=True)
class Annealed:
    """An optimizer whose learning rate falls linearly, from its own towards 0.

    On a small data set the last steps of a constant rate decide the score; small ones at the end
    average over them.

    Parameters
    ----------
    rule : SGD, Adam or RMSprop
    updates : int
        The rate at step k, from 0, is ``lr (1 - k / updates)``; after that it stays at its least,
        ``lr / updates``.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.

    Examples
    --------
    >>> import numpy as np, crnn.tasks
    >>> rule = crnn.tasks.Annealed(crnn.SGD(1.0), 4)
    >>> w, memory = np.zeros(1), rule.start(np.zeros(1))
    >>> for _ in range(4):
    ...     rule.step(w, np.full(1, -1.0), memory)
    >>> w                                                   # 1 + 3/4 + 2/4 + 1/4
    array([2.5])
    """

    rule: SGD | Adam | RMSprop
    updates: int

    def __post_init__(self) -> None:
        if not isinstance(self.rule, (SGD, Adam, RMSprop)):
            raise TypeError(
                f"rule: expected a crnn.SGD, crnn.Adam or crnn.RMSprop, got "
                f"{validate.shown(self.rule)}"
            )
        if not isinstance(self.rule.lr, float):
            raise TypeError(f"rule: expected one whose lr is a number, got {self.rule}")
        object.__setattr__(self, "updates", validate.count("updates", self.updates))

    def start(self, parameters: Array) -> Memory:
        """The state of the rule."""
        return self.rule.start(parameters)

    def step(self, parameters: Array, gradients: Array, memory: Memory) -> None:
        """One update, in place."""
        k, lr = min(memory["step"], self.updates - 1), self.rule.lr
        assert isinstance(lr, float)
        replace(self.rule, lr=lr * (1 - k / self.updates)).step(parameters, gradients, memory)
