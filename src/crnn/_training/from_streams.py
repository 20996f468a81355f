"""Training from one long sequence: methods of `crnn.RNN`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from crnn._engine import validate
from crnn._network.penalties import Penalty, checked
from crnn._training.batches import LongSequence, checked_batch_size, checked_symbols, windows
from crnn._training.checkpoint import Checkpoint
from crnn._training.history import History
from crnn._training.optim import SGD, Optimizer, chosen
from crnn._training.plan import Plan
from crnn._training.ranks import over_ranks
from crnn._training.trained import Trained


class FromStreams(Trained):
    """A model that learns from one long sequence."""

    @over_ranks
    def fit_stream(
        self,
        symbols: Any,
        *,
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
        comm: Any = None,
        shards: int | None = None,
    ) -> History:
        """Train to predict the next symbol of one long sequence, by truncated BPTT.

        The sequence is read as `batch_size` parallel rows, in windows of `steps` steps. The state
        is passed on from window to window; gradients are not.

        Parameters
        ----------
        symbols : integers (N,)
            In ``0..n_x - 1``; N is more than `batch_size`. The model has steps="all",
            loss="cross_entropy", direction="forward" and n_x == n_y.
        steps : int, optional
            The window's length.
        validation : integers, optional
            A held-out sequence; its loss after each epoch is in nats per symbol.
        epochs, batch_size, optimizer, clip_norm, clip_value, patience, progress, callback, penalty
            As for `fit`. The order is that of the sequence.
        checkpoint, every, resume
            As for `fit`.
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
        """
        generator = validate.generator(rng)
        plan = Plan(
            epochs, chosen(optimizer), clip_norm, clip_value, patience, progress, callback,
            generator, penalty=checked(penalty), ranks=comm,
            checkpoint=comm.from_first(lambda: Checkpoint.asked(checkpoint, every, resume, rng)),
        )  # fmt: skip
        batch_size = checked_batch_size(batch_size, comm)
        steps = validate.count("steps", steps)
        symbols = checked_symbols(self.config, "symbols", symbols, batch_size)
        if validation is not None:
            validation = checked_symbols(self.config, "validation", validation, 1)
        return self._train(LongSequence(symbols, batch_size, steps, validation, comm), plan)

    def evaluate_stream(self, symbols: Any, batch_size: int = 32) -> tuple[float, float]:
        """Mean loss (nats per symbol) and accuracy of predicting a sequence's next symbol.

        The sequence is read as `batch_size` parallel rows (fewer if it is short), each from
        the zero state.

        Parameters
        ----------
        symbols : integers (N,)
            As for `fit_stream`; N is at least 2.
        batch_size : int, optional

        Returns
        -------
        loss, accuracy : float

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
        symbols = checked_symbols(self.config, "symbols", symbols, 1)
        m = min(validate.count("batch_size", batch_size), len(symbols) - 1)
        return self._network.evaluate(windows(symbols, m, 64), carry=True)
