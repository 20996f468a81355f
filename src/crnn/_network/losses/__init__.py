"""The losses, by name.

The logits are the output layer's results, also where the answers are values. A row is an example,
or a valid step of an example, and a loss is the mean over the rows. Each row may have a weight. The
weights are scaled so that their mean over all rows of a call is 1. Then the mean of ``w loss`` is
``sum w loss / sum w``, and the expected gradient of a random batch is that of all rows. A row of
weight 0 adds nothing, even if its target or its answer is NaN or infinite.
"""

from __future__ import annotations

from crnn._network.losses.base import UNDECIDED, Objective
from crnn._network.losses.labels import CrossEntropy
from crnn._network.losses.values import MeanSquaredError

__all__ = ["LOSSES", "UNDECIDED", "Objective"]

#: The losses by name.
LOSSES: dict[str, Objective] = {loss.name: loss for loss in (CrossEntropy(), MeanSquaredError())}
