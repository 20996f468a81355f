"""Training from examples: methods of `crnn.RNN`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from crnn._engine import validate
from crnn._network.class_weight import checked as checked_class_weight
from crnn._network.data import Sequences
from crnn._network.memory import checked_memory
from crnn._network.memory import plan as plan_of
from crnn._network.penalties import Penalty, checked
from crnn._training.accumulating import Grouped
from crnn._training.batches import Examples, checked_batch_size
from crnn._training.checkpoint import Checkpoint
from crnn._training.history import History
from crnn._training.iterable import Batches, is_array
from crnn._training.optim import SGD, Optimizer, chosen
from crnn._training.plan import Plan
from crnn._training.ranks import over_ranks
from crnn._training.trained import Trained


class FromExamples(Trained):
    """A model that learns from examples."""

    @over_ranks
    def fit(
        self,
        x: Any,
        y: Any = None,
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
        checkpoint: str | os.PathLike[str] | None = None,
        every: str | int | timedelta = "epoch",
        resume: bool | str | os.PathLike[str] = True,
        memory: Any = None,
        penalty: Penalty | None = None,
        inspect: bool = False,
        a0: Any = None,
        accumulate: int = 1,
        class_weight: Any = None,
        comm: Any = None,
        shards: int | None = None,
    ) -> History:
        """Train by gradient descent on shuffled mini-batches of similar lengths.

        Masks and signs of the model hold after every step. Ctrl-C ends training after the current
        step. Another call with the same optimizer object
        continues with its momentum or moments; a new optimizer starts with none.

        Parameters
        ----------
        x, y, lengths, sample_weight
            As for `gradients`; or x alone, an iterable of batches, see below. The weights are
            scaled to a mean of 1 over all examples. A batch's loss is the mean of ``w loss``, so
            its gradient is right on average. Examples of weight 0 are left out before anything is
            drawn.
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
            Draws the order of the examples, dropout, and the noise of a leaky cell.
        callback : callable, optional
            Called with the History after each epoch; training ends if it returns True.
        checkpoint : path, optional
            A file with the model and the state of its training, written before the first step,
            when it is due by `every`, when a signal ends training, and at its end. If the file
            exists, training goes on where it stands, and ends with the same bits as if it had
            never stopped; `epochs` counts from the beginning. Model, data and arguments must be
            those of the file; `epochs`, `progress`, `callback` and `memory` may change. `load`
            reads the model. See docs/resume.md.
        every : "epoch", int or timedelta, optional
            Write the file after each epoch, after this many steps, or after each epoch and
            whenever so much time has passed.
        resume : bool or path, optional
            False begins anew and replaces the file. With a path, training goes on from that file
            and writes `checkpoint`.
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
        class_weight : dict of int to float, or "balanced", optional
            The weights are multiplied by that of each target's class, 1 by default. "balanced"
            gives all classes the same total weight. The validation loss is without it.
        comm : mpi4py.MPI.Intracomm, optional
            The processes (ranks) that train this model together: each calls this method, with the
            same arguments. They all begin from the first rank's parameters, optimizer state and
            `rng`, and end with the same parameters. `batch_size` counts the rows of all ranks. The
            first rank alone shows the bar and calls `callback`.
        shards : int, optional
            Sum the gradient of a batch over this many parts of it, in a fixed order: the bits are
            then the same for any number of ranks that is not larger. By default they agree to
            rounding.

        Returns
        -------
        History
            Losses, metric, gradient norm and steps per second of each epoch.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or the file of `checkpoint` has another training or is
            damaged; nothing is changed, unless it is a later batch of an iterable: then the steps
            before it remain.
        OSError
            If the file cannot be read or written, as on a full disk; the last good file is still
            there.
        DivergenceError
            If a loss, gradient or update is not finite; the parameters are those of the last
            good step.

        Notes
        -----
        Data that do not fit in memory are an iterable of batches,
        ``(x, y[, lengths[, sample_weight[, a0]]])`` each, as the arguments of `gradients`, with any
        number of examples and steps. It is read once in each epoch, in its order, so an iterator or
        a generator will do for one epoch only. `batch_size` then has no meaning, and weights are
        scaled to a mean of 1 in each batch. A training with `checkpoint` that resumes reads the
        iterable from its beginning and skips the batches that were done in this epoch.

        With `comm`, arrays and lists are the same on every rank, and each works on its own rows of
        a batch. An iterable gives each rank its own share: a step is on the batches of all ranks
        together, and a rank whose batches have ended waits for the others.

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
            generator, checked_memory(memory), penalty, inspect,
            accumulate, comm,
            comm.from_first(lambda: Checkpoint.asked(checkpoint, every, resume, rng)),
        )  # fmt: skip
        data: Examples | Batches
        if y is None and not is_array(x):
            validate.count("batch_size", batch_size)
            for name, given in (("lengths", lengths), ("sample_weight", sample_weight), ("a0", a0)):
                if given is not None:
                    raise ValueError(f"{name}: expected None with batches, which have their own")
            class_weight = checked_class_weight(class_weight, self.config, totals_known=False)
            held_out = self._held_out(validation)
            data = Batches(self.config, x, epochs, held_out, class_weight, comm)
            if plan.checkpoint is not None:
                data.require_restart()
        else:
            batch_size = checked_batch_size(batch_size, comm)
            validate.given("y", y)
            class_weight = checked_class_weight(class_weight, self.config)
            sequences = Sequences(
                self.config, x, y, lengths, sample_weight, a0, class_weight=class_weight
            )
            data = Examples(sequences, batch_size, generator, self._held_out(validation), comm)
            if plan.memory is not None:  # refuse bytes that cannot suffice before the first step
                rows = -(-min(batch_size, sequences.m) // comm.shards)  # of the largest shard
                plan_of(self.config, sequences.longest, rows, plan.memory, penalty=penalty)
        return self._train(Grouped(data, accumulate) if accumulate > 1 else data, plan)

    def _held_out(self, validation: Any) -> Sequences | None:
        """The validation data, checked."""
        if validation is None:
            return None
        if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3, 4, 5):
            raise ValueError(
                "validation: expected (x, y), (x, y, lengths), (x, y, lengths, sample_weight) "
                f"or (x, y, lengths, sample_weight, a0), got {validate.shown(validation)}"
            )
        x, y, *options = validation
        validate.given("validation y", y)
        return Sequences(self.config, x, y, *options, of="validation ")
