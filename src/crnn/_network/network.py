"""A network: a configuration, its parameters in one arena, and its loss, over whole batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from crnn._engine.packed import PackedWeights
from crnn._network import layers
from crnn._network.arena import Arena, Layout, Views
from crnn._network.batch import Batch
from crnn._network.buffers import Buffers
from crnn._network.config import Config
from crnn._network.constraints import Constraints
from crnn._network.dropout import Dropout
from crnn._network.memory import MemoryLimit, MemoryPlan, plan
from crnn._network.noise import seed_for_noise
from crnn._network.passes import Pass
from crnn._network.penalties import Penalty, rate_costs
from crnn._network.recomputed import RecomputedPass
from crnn._network.recurrences import State
from crnn._network.results import Step, Totals
from crnn._network.state import FinalStates
from crnn.reference import Array


class Options(NamedTuple):
    """How the passes over batches are run, which is the same for all batches of a loop."""

    buffers: Buffers | None = None  # which the passes share; None for new ones
    memory: MemoryLimit = None
    penalty: Penalty | None = None


DEFAULT = Options()


class Network:
    """The computation of a model, shared by `crnn.RNN` and the training loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.layout = Layout(config.shapes(), config.np_dtype)
        self.arena = self.new_arena()
        self.loss = config.objective
        self._packed = PackedWeights()
        constrained = config.masks is not None or config.signs is not None
        self._constraints = Constraints(config) if constrained else None

    @property
    def parameters(self) -> Views:
        """The arena's views, by name."""
        return self.arena.views

    def new_arena(self) -> Arena:
        """An arena of zeros in the layout of the parameters."""
        return Arena(self.layout)

    def new_buffers(self) -> Buffers:
        """Arrays that the passes of a loop reuse."""
        return Buffers(self.config.np_dtype)

    def flat_constraints(self) -> tuple[Array, ...] | None:
        """The masks and signs for the arena's flat array: see `Constraints.of_flat`; or None."""
        if self._constraints is None:
            return None
        places = self.layout.places
        return self._constraints.of_flat(
            {name: np.arange(at.start, at.stop).reshape(shape) for name, at, shape in places}
        )

    def project(self) -> None:
        """Move the parameters to the nearest that fit the masks and signs, if there are any."""
        if self._constraints is not None:
            self._constraints.project(self.parameters)

    def forward(
        self,
        batch: Batch,
        state: State | None = None,
        buffers: Buffers | None = None,
        keep: bool = False,
        noise: int | None = None,
    ) -> layers.Trace:
        """Run the batch from `state`, or else from its own start, without dropout.

        `keep` says whether a backward pass follows. `noise` is a seed; without it there is none.
        """
        return self._forward(batch, self._pass(batch, state, buffers, noise), keep)

    def _pass(
        self,
        batch: Batch,
        state: State | None,
        buffers: Buffers | None,
        noise: int | None,
        dropout: Dropout | None = None,
    ) -> Pass:
        state = batch.start if state is None else self._continued(batch, state)
        buffers = self.new_buffers() if buffers is None else buffers
        return Pass(self.config, self.parameters, buffers, batch.lengths, state, noise, dropout)

    def _forward(self, batch: Batch, run: Pass, keep: bool) -> layers.Trace:
        packed = None
        if not keep:  # then the weights may be those of the call before
            T, m = batch.x.shape[:2]
            packed = self._packed.of([self.arena.flat], len(self.config.recurrences()), T * m)
        trace = layers.forward(run, batch.x, keep, packed)
        if batch.continues is not None:
            trace.fresh = batch.continues < 0
        return trace

    def _continued(self, batch: Batch, state: State) -> State:
        """The states from which a batch's examples begin, after those of the batch before."""
        if batch.continues is None:
            return state
        fresh, found = batch.continues < 0, []
        names = self.config.trained_states
        for place, before in zip(self.config.recurrences(), state, strict=True):
            found.append(tuple(s[batch.continues] for s in before))  # (m, n_a)
            own = place.of(self.parameters)
            for k, s in enumerate(found[-1]):
                s[fresh] = own[names[k]] if names else 0
        return found

    def gradients(
        self,
        batch: Batch,
        gradients: dict[str, Array],
        options: Options = DEFAULT,
        state: State | None = None,
        noise: int | None = None,
        norms: Array | None = None,
    ) -> Step:
        """Run the batch forward and backward, and fill `gradients` and, if given, `norms`.

        The loss has the penalty. With a limit of memory, states are recomputed: the trace and the
        norms have none. The bits are the same. `noise` is a seed for the noise of the cells and for
        dropout; without it there is neither.
        """
        penalty, (T, m) = options.penalty, batch.x.shape[:2]
        costs = rate_costs(penalty, self.config, T, m, batch.lengths)
        dropout = None
        if noise is not None and self.config.dropout:
            dropout = Dropout(self.config.dropout, noise)
        if not self.config.noise:
            noise = None
        run = self._pass(batch, state, options.buffers, noise, dropout)
        if options.memory is None:
            trace = self._forward(batch, run, keep=True)
            loss, metric = self._loss_and_gradient(trace, batch)
            layers.backward(trace, trace.logits, gradients, norms=norms, costs=costs)
        else:
            passes = RecomputedPass(run, batch.x, self._plan(batch, options))
            trace = passes.forward()
            loss, metric = self._loss_and_gradient(trace, batch)
            passes.backward(trace.logits, gradients, costs)
        if costs is not None:
            loss += costs.loss()
        if penalty is not None:
            loss += penalty.of_weights(self.parameters, gradients)
        if self._constraints is not None:
            self._constraints.mask(gradients)
        return Step(loss, metric, len(trace.logits), trace)

    def mean_gradients(
        self,
        batches: Iterable[Batch],
        mean: Arena,
        options: Options = DEFAULT,
        finals: FinalStates | None = None,
    ) -> float:
        """The loss over all rows of all batches; fill `mean` with its gradient, and `finals`."""
        rows, loss, options = 0, 0.0, self._with_buffers(options)
        total = None  # sum of gradient times rows, if there is more than one batch
        for batch in batches:
            if rows and total is None:
                total = mean.flat * np.float64(rows)
            step = self.gradients(batch, mean.views, options)
            if finals is not None:
                finals.add(step.trace, batch.examples)
            if total is not None:
                total += mean.flat * np.float64(step.rows)
            rows += step.rows
            loss += step.loss * step.rows
        if total is None:
            return step.loss
        mean.flat[...] = total / rows
        return loss / rows

    def sums(
        self,
        batches: Iterable[Batch],
        options: Options = DEFAULT,
        carry: bool = False,
        state: State | None = None,
        noise: np.random.Generator | None = None,
        finals: FinalStates | None = None,
    ) -> Totals:
        """The sums over all rows of all batches.

        The first batch starts from `state`. With a limit of memory, no state is carried, and the
        plan is that of gradients with the penalty, which is not part of the loss. `noise` draws a
        seed for the noise of each batch; without it there is none.
        """
        rows, loss, metric, options = 0, 0.0, 0.0, self._with_buffers(options)
        for batch in batches:
            run = self._pass(batch, state, options.buffers, seed_for_noise(noise))
            if options.memory is None:
                trace = self._forward(batch, run, keep=False)
            else:
                trace = RecomputedPass(run, batch.x, self._plan(batch, options)).forward()
            mean_loss, mean_metric = self._loss_and_gradient(trace, batch)
            loss += mean_loss * len(trace.logits)
            metric += mean_metric * len(trace.logits)
            rows += len(trace.logits)
            state = trace.final_states() if carry else None
            if finals is not None:
                finals.add(trace, batch.examples)
        return Totals(loss, metric, rows)

    def _with_buffers(self, options: Options) -> Options:
        """The same for several passes, which share their arrays."""
        return options if options.buffers else options._replace(buffers=self.new_buffers())

    def _plan(self, batch: Batch, options: Options) -> MemoryPlan:
        """How a batch fits in the limit of memory, which there is."""
        assert options.memory is not None
        (T, m), symbols = batch.x.shape[:2], batch.x.ndim == 2
        return plan(self.config, T, m, options.memory, batch.lengths, symbols, options.penalty)

    def _loss_and_gradient(self, trace: layers.Trace, batch: Batch) -> tuple[float, float]:
        """Mean loss and metric of a batch. The trace's logits are overwritten by the gradient."""
        weights = None if batch.weights is None else trace.rows_of(batch.weights)
        return self.loss.loss_and_gradient(trace.logits, trace.rows_of(batch.y), weights)
