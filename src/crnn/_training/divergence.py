"""The error of a training that diverges."""

from __future__ import annotations

from typing import Any

VALIDATION_LOSS = "validation loss"


class DivergenceError(ArithmeticError):
    """A loss, a gradient or an update in training is not finite.

    The model has the parameters of the last step whose loss and gradient were finite. If NaN or
    infinity in the data is the cause, the message names the argument and the place.

    Attributes
    ----------
    step : int
        The step at which it happened, from 1.
    loss : float
        The loss of that step.
    fault : str or None
        What is not finite in the data, as in "x: expected finite numbers, got nan ...".

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 2, 2, rng=0)
    >>> try:
    ...     model.fit(np.full((3, 4, 1), np.nan), [0, 1, 0, 1], progress=False)
    ... except crnn.DivergenceError as error:
    ...     print(error.step, error.loss)
    1 nan
    """

    #: What the message of an error without a fault in the data ends with.
    advice = "A smaller learning rate or clip_norm helps."

    def __init__(self, step: int, loss: float, what: str, fault: str | None = None) -> None:
        self.step, self.loss, self.what, self.fault = step, loss, what, fault
        kept = "the parameters are those of the last good step"
        if fault is None:
            message = (
                f"training diverged at step {step}: the {what} is not finite (loss {loss:g}); "
                f"{kept}."
            )
        else:
            message = (
                f"{fault}; because of it the {what} of step {step} is not finite (loss {loss:g}), "
                f"and {kept}"
            )
        super().__init__(message)

    def __str__(self) -> str:
        return super().__str__() + (f" {self.advice}" if self.fault is None else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.step, self.loss, self.what, self.fault)
