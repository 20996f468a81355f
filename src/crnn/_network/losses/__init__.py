"""The losses: one table, and the choice of one by its name, an object, or the entry in a file.

The logits are the output layer's results, also where the answers are values. A row is an example,
or a valid step of an example, and a loss is the mean over the rows. Each row may have a weight. The
weights are scaled so that their mean over all rows of a call is 1. Then the mean of ``w loss`` is
``sum w loss / sum w``, and the expected gradient of a random batch is that of all rows. A row of
weight 0 adds nothing, even if its target or its answer is NaN or infinite.
"""

from __future__ import annotations

from typing import Any

from crnn._engine import validate
from crnn._network.losses.base import UNDECIDED, Objective, Wanted
from crnn._network.losses.distributions import GaussianNLL, Quantiles
from crnn._network.losses.labels import BinaryCrossEntropy, CrossEntropy
from crnn._network.losses.own import Loss, Own
from crnn._network.losses.values import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "LOSSES", "UNDECIDED", "Huber", "Loss", "Objective", "Quantiles", "UnknownLossError", "Wanted",
    "chosen", "plain",
]  # fmt: skip

#: The losses with their default options, by name.
LOSSES: dict[str, Objective] = {
    loss.name: loss
    for loss in (
        CrossEntropy(),
        BinaryCrossEntropy(),
        MeanSquaredError(),
        MeanAbsoluteError(),
        Huber(),
        Quantiles(),
        GaussianNLL(),
    )
}


class UnknownLossError(ValueError):
    """A file has only the name of a model's loss."""


def chosen(loss: Any) -> Objective:
    """The loss of a name, an object, a callable, or an entry of a file.

    Raises ValueError or TypeError if it is none of them.
    """
    if isinstance(loss, Objective):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if isinstance(loss, dict):
        return _of_entry(loss)
    if isinstance(loss, type) and issubclass(loss, (Objective, Loss)):
        raise TypeError(f"loss: expected an object such as {loss.__name__}(), got the class itself")
    if callable(loss):
        return Own(loss)
    names = ", ".join(map(repr, LOSSES))
    raise ValueError(
        f"loss: expected one of {names}, a loss such as crnn.Huber(2.0), or a callable, "
        f"got {validate.shown(loss)}"
    )


def plain(loss: Any) -> Any:
    """The loss as a configuration keeps it: a name where that says all, else the object."""
    found = chosen(loss)
    if isinstance(found, Own):
        return found.of
    entry = found.entry()
    return entry if isinstance(entry, str) else found


def _of_entry(entry: dict[Any, Any]) -> Objective:
    if set(entry) == {"own"}:
        raise UnknownLossError(
            f"loss: the model has a loss of its own, {entry['own']}, which no file can hold: give "
            "it as loss="
        )
    kind = type(LOSSES.get(str(entry.get("name"))))
    options = {name: value for name, value in entry.items() if name != "name"}
    if not issubclass(kind, Objective) or not options:
        raise ValueError(f"loss: expected one that this version has, got {validate.shown(entry)}")
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"loss: {validate.shown(entry)}: {error}") from None
