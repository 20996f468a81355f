"""Training from examples: methods of `crnn.RNN`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crnn._engine import validate
from crnn._network.data import Sequences
from crnn._network.memory import checked_memory
from crnn._network.memory import plan as plan_of
from crnn._network.penalties import Penalty, checked
from crnn._training.accumulating import Grouped
from crnn._training.batches import Examples
from crnn._training.history import History
from crnn._training.optim import SGD, Optimizer, chosen
from crnn._training.plan import Plan
from crnn._training.trained import Trained


class FromExamples(Trained):
    """A model that learns from examples."""

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        lengths: Any = None,
        sample_weight: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: Optimizer | str = SGD(0.1),  # noqa: B008 - frozen
        clip_norm: float | None = None,
        clip_value: float | None = None,
        validation: Any = None,
        patience: int | None = None,
        progress: bool = True,
        rng: Any = None,
        callback: Callable[[History], object] | None = None,
        memory: Any = None,
        penalty: Penalty | None = None,
        inspect: bool = False,
        a0: Any = None,
        accumulate: int = 1,
    ) -> History:
        """Train by gradient descent on shuffled mini-batches of similar lengths.

        Masks and signs of the model hold after every step. Ctrl-C ends training after the current
        step. Another call with the same optimizer object
        continues with its momentum or moments; a new optimizer starts with none.

        Parameters
        ----------
        x, y, lengths, sample_weight
            As for `gradients`. The weights are scaled to a mean of 1 over all examples. A batch's
            loss is the mean of ``w loss``, so its gradient is right on average. Examples of weight
            0 are left out before anything is drawn.
        epochs, batch_size : int, optional
        optimizer : SGD, Adam, AdamW, RMSprop, "sgd", "adam", "adamw" or "rmsprop", optional
            The names mean ``SGD(0.1)``, ``Adam()``, ``AdamW()`` and ``RMSprop()``.
        clip_norm : float, optional
            If the gradient's global norm is larger, scale it down to this.
        clip_value : float, optional
            Move each number of the gradient into ``-clip_value..clip_value``, before `clip_norm`.
        validation : (x, y[, lengths[, sample_weight[, a0]]]), optional
            Evaluated after each epoch.
        patience : int, optional
            Stop after this many epochs without a lower validation loss; the parameters of the
            best epoch are kept. Needs `validation`.
        progress : bool, optional
            Show a bar with loss and throughput on stderr.
        rng : int or numpy.random.Generator, optional
            Draws the order of the examples, and the noise of a leaky cell.
        callback : callable, optional
            Called with the History after each epoch; training ends if it returns True.
        memory : int or "sqrt", optional
            For each batch, as for `gradients`. With lengths, the peak depends on those of a batch,
            and bytes that do not suffice for one are a ValueError at its step.
        penalty : Penalty, optional
            Added to the loss of training, for large rates or weights; the validation loss is
            without it.
        inspect : bool, optional
            Write down in the History, at the first batch of each epoch, how fast the gradient
            vanishes and how much is saturated.
        a0 : list of array (m, n_a), or of pairs of them, optional
            Where the examples begin, as for `RNN.predict_proba`. It is given, not learned: the
            parameters of a trained initial state then stay as they are.
        accumulate : int, optional
            The batches of a step: it uses their mean gradient, that of one batch of
            ``accumulate * batch_size`` examples up to rounding, in the memory of a small one. The
            last step of an epoch may have fewer.

        Returns
        -------
        History
            Losses, metric, gradient norm and steps per second of each epoch.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; nothing is changed.
        DivergenceError
            If a loss, gradient or update is not finite; the parameters are those of the last
            good step.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((12, 200, 1)).astype("float32")
        >>> y = (x.sum(axis=0)[:, 0] > 0).astype(int)          # the sign of the sum
        >>> model = crnn.RNN(1, 16, 2, rng=0)
        >>> history = model.fit(x, y, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
        >>> history.metric[-1] > 0.9
        True
        """
        generator = validate.generator(rng)
        penalty = checked(penalty)
        plan = Plan(
            epochs, chosen(optimizer), clip_norm, clip_value, patience, progress, callback,
            generator, checked_memory(memory, self.config, penalty), penalty, inspect,
            accumulate,
        )  # fmt: skip
        batch_size = validate.count("batch_size", batch_size)
        sequences = Sequences(self.config, x, validate.given("y", y), lengths, sample_weight, a0)
        held_out = None
        if validation is not None:
            if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3, 4, 5):
                raise ValueError(
                    "validation: expected (x, y), (x, y, lengths), (x, y, lengths, sample_weight) "
                    "or (x, y, lengths, sample_weight, a0)"
                )
            val_x, val_y, *val_options = validation
            validate.given("validation y", val_y)
            held_out = Sequences(self.config, val_x, val_y, *val_options, of="validation ")
        if plan.memory is not None:  # refuse bytes that cannot suffice before the first step
            plan_of(self.config, sequences.longest, min(batch_size, sequences.m), plan.memory)
        data = Examples(sequences, batch_size, generator, held_out)
        return self._train(Grouped(data, accumulate) if accumulate > 1 else data, plan)
