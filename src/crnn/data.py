"""Series made ready for a network, and forecasts of them compared with what came."""

from __future__ import annotations

from crnn._forecasting.examples import sliding_windows
from crnn._forecasting.scaling import Scaling
from crnn._forecasting.walking import Backtest, walk_forward

# Names of crnn 0.1.0, which this module had.
from crnn._network.data import Batch as Batch
from crnn._network.data import Sequences as Sequences
from crnn._training.batches import windows as windows

__all__ = ["Backtest", "Scaling", "sliding_windows", "walk_forward"]
