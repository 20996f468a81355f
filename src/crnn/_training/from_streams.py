"""Training from one long sequence: methods of `crnn.RNN`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from crnn._engine import validate
from crnn._network.penalties import Penalty, checked
from crnn._training.accumulating import Grouped
from crnn._training.batches import (
    STEPS,
    LongSequence,
    checked_batch_size,
    checked_symbols,
    require_rows,
    rows_of,
    windows,
)
from crnn._training.checkpoint import Checkpoint
from crnn._training.history import History
from crnn._training.optim import SGD, Optimizer, chosen
from crnn._training.plan import Plan
from crnn._training.ranks import over_ranks
from crnn._training.series import LongSeries
from crnn._training.stream_arguments import checked_series, is_series
from crnn._training.trained import Trained

#: The most rows that are read side by side unless a number is given.
ROWS = 32


class FromStreams(Trained):
    """A model that learns from one long sequence."""

    @over_ranks
    def fit_stream(
        self,
        symbols: Any,
        y: Any = None,
        *,
        resets: Any = None,
        mask: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        steps: int = 64,
        optimizer: Optimizer | str = SGD(0.1),  # noqa: B008 - frozen
        clip_norm: float | None = None,
        clip_value: float | None = None,
        validation: Any = None,
        patience: int | None = None,
        progress: bool = True,
        rng: Any = None,
        callback: Callable[[History], object] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: str | int | timedelta = "epoch",
        resume: bool | str | os.PathLike[str] = True,
        penalty: Penalty | None = None,
        accumulate: int = 1,
        comm: Any = None,
        shards: int | None = None,
    ) -> History:
        """Train on a long sequence of symbols or numbers, by truncated BPTT.

        The sequence is read as `batch_size` parallel rows, in windows of `steps` steps. The state
        is passed on from window to window; gradients are not.

        Parameters
        ----------
        symbols : integers (N,) or (T, m), or numbers (N, n_x) or (T, m, n_x)
            What each step reads: symbols in ``0..n_x - 1``, or n_x numbers (with n_x = 1 also
            floats (N,)). One sequence of N steps is cut into `batch_size` rows; several sequences
            side by side are the rows themselves.
            The model has steps="all" and direction="forward".
        y : targets of each step, in the shape of those of `fit`, optional
            For one sequence without the axis of examples: classes (N,) or values (N, n_y). By
            default the target of a step is what the next step reads; then n_x == n_y, and the
            loss is of classes for symbols and of values for numbers.
        resets : booleans (N,) or (T, m), optional
            True where a new sequence begins: before this step its row goes back to the initial
            state. Without `y`, the step before it has no target.
        mask : booleans (N,) or (T, m), and without `y` also in the shape of numbers, optional
            False where a value is missing. Such a value is no target, and a step of which one is
            missing does not count in the loss. Without `y` it is read as 0, which is the mean of
            values that are scaled; with `y` the mask is that of the targets alone.
        steps : int, optional
            The window's length.
        validation : array, or tuple (x, y, resets, mask) or the first two or three of these
            Held out; its loss after each epoch is that of a step, in nats for symbols. One sequence
            of symbols alone is read in as many rows, up to `batch_size`, as leave 64 steps in each,
            any other sequence in one.
        epochs, batch_size, optimizer, clip_norm, clip_value, patience, progress, callback, penalty
            As for `fit`. The order is that of the sequence.
        checkpoint, every, resume
            As for `fit`.
        accumulate : int, optional
            The windows of a step: it uses their mean gradient. The state is passed on from each
            window to the next one, as always.
        comm, shards
            As for `fit`; each rank trains its own of the parallel rows.
        rng : int or numpy.random.Generator, optional
            Draws dropout and the noise of a leaky cell, the only things that are random here.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError, OSError, DivergenceError
            As for `fit`.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> symbols = np.tile([0, 1, 2, 1], 200)
        >>> model = crnn.RNN(3, 16, 3, steps="all", rng=0)
        >>> adam = crnn.Adam(1e-2)
        >>> history = model.fit_stream(
        ...     symbols, batch_size=4, steps=16, optimizer=adam, progress=False
        ... )
        >>> history.metric[-1] > 0.9
        True

        A series of numbers, of which some are missing:

        >>> wave = np.sin(np.arange(400.0))[:, None]           # (N, n_x)
        >>> known = np.arange(400) % 7 > 0
        >>> model = crnn.RNN(1, 16, 1, steps="all", loss="mse", rng=0)
        >>> history = model.fit_stream(
        ...     np.where(known[:, None], wave, np.nan), mask=known, batch_size=4, steps=16,
        ...     optimizer=adam, progress=False,
        ... )
        >>> history.loss[-1] < 0.5
        True
        """
        generator = validate.generator(rng)
        plan = Plan(
            epochs, chosen(optimizer), clip_norm, clip_value, patience, progress, callback,
            generator, penalty=checked(penalty), accumulate=accumulate, ranks=comm,
            checkpoint=comm.from_first(lambda: Checkpoint.asked(checkpoint, every, resume, rng)),
        )  # fmt: skip
        batch_size = checked_batch_size(batch_size, comm)
        steps = validate.count("steps", steps)
        symbols = validate.plain("symbols", symbols)
        held_out, *others = _several(validation)
        given = (y, resets, mask, *others)
        if not is_series(self.config, symbols) and all(item is None for item in given):
            symbols = checked_symbols(self.config, "symbols", symbols, batch_size)
            if held_out is not None:
                held_out = checked_symbols(self.config, "validation", held_out, 1)
            long = LongSequence(symbols, batch_size, steps, held_out, comm)
            return self._train(Grouped(long, accumulate) if accumulate > 1 else long, plan)
        series = checked_series(self.config, symbols, y, resets, mask, batch_size)
        if held_out is not None:
            held_out = checked_series(self.config, held_out, *others, of="validation ")
        require_rows("symbols", series.m, comm)
        data = LongSeries(series, steps, held_out, comm)
        return self._train(Grouped(data, accumulate) if accumulate > 1 else data, plan)

    def evaluate_stream(
        self, symbols: Any, batch_size: int | None = None, y: Any = None, *, resets: Any = None,
        mask: Any = None,
    ) -> tuple[float, float]:  # fmt: skip
        """Mean loss (of symbols: nats per symbol) and metric of a long sequence.

        One sequence is read as parallel rows, which is faster; each begins at the initial state.

        Parameters
        ----------
        symbols, y, resets, mask
            As for `fit_stream`; a sequence without `y` has at least 2 steps.
        batch_size : int, optional
            The rows that one sequence is cut into, at most one for each step; 1 carries the state
            through the whole sequence. By default as many, up to 32, as leave 64 steps in each.

        Returns
        -------
        loss, metric : float
            The metric is the accuracy for classes.

        Raises
        ------
        ValueError, TypeError
            As for `fit_stream`.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 16, 3, steps="all", rng=0)
        >>> loss, accuracy = model.evaluate_stream(np.tile([0, 1, 2, 1], 20))
        >>> 0 <= accuracy <= 1
        True
        """
        symbols = validate.plain("symbols", symbols)
        if batch_size is None:
            m = rows_of(len(symbols) if symbols.ndim else 1, ROWS)
        else:
            m = validate.count("batch_size", batch_size)
        others = (y, resets, mask)
        if not is_series(self.config, symbols) and all(item is None for item in others):
            symbols = checked_symbols(self.config, "symbols", symbols, 1)
            m = min(m, len(symbols) - 1)
            return self._network.sums(windows(symbols, m, STEPS), carry=True).means
        m = max(1, min(m, len(symbols) - (y is None)))
        series = checked_series(self.config, symbols, y, resets, mask, m)
        return self._network.sums(series.windows(STEPS), carry=True).means


def _several(validation: Any) -> list[Any]:
    """The held-out x, y, resets and mask: a tuple with an array in it has some of them."""
    found = [validation]
    if isinstance(validation, tuple) and any(
        item is not None and validate.plain("validation", item).ndim for item in validation
    ):
        found = [*validation]
    if len(found) > 4:
        raise ValueError("validation: expected x, or (x, y, resets, mask), or fewer")
    return [*found, None, None, None][:4]
