"""A forward and backward pass that follows a plan of `memory`: states are recomputed in backward.

The gradients are the same bits as those of `layers`. Layers that read in one direction run
together, a segment at a time, as one stack. A bidirectional layer reads both directions of the
layer below at each step, so that layers run one after the other, each direction a stack of its own,
and the outputs of every layer below the top are kept.
"""

from __future__ import annotations

import numpy as np

from crnn._engine import kernels, validate
from crnn._network import recurrences
from crnn._network.costs import streams
from crnn._network.layers import Trace
from crnn._network.memory import MemoryPlan
from crnn._network.passes import Pass
from crnn._network.penalties import RateCosts
from crnn._network.pooling import Pool, parts_of, take_gradients
from crnn._network.segments import Window
from crnn._network.stack import Above, Sink, Stack
from crnn._network.streamed_head import StreamedHead
from crnn.reference import Array


class RecomputedPass:
    """One forward and one backward pass over a batch."""

    def __init__(self, run: Pass, x: Array, plan: MemoryPlan) -> None:
        self._run, self._x = run, x
        self._config, self._parameters, self._buffers = run.config, run.parameters, run.buffers
        config, self._lengths = run.config, run.lengths
        # With one direction the stack applies it.
        self._dropout = run.dropout if config.num_directions > 1 else None
        places = dict(enumerate(config.recurrences()))
        n = config.num_directions
        groups = [places] if n == 1 else [{k: place} for k, place in places.items()]
        self._stacks = [Stack(run, group, plan) for group in groups]
        self._below: list[Array] = []  # what the stacks of each layer read, (T, m, n)
        self._head: StreamedHead | None = None
        self._pools: list[Pool] = []
        if streams(config):
            T, m = x.shape[:2]
            self._head = StreamedHead(run, T, m)

    def forward(self) -> Trace:
        """The answers. The trace has no states."""
        config, n = self._config, self._config.num_directions
        if self._head is not None:
            return self._forward_streamed(self._head)
        (T, m), every_step = self._x.shape[:2], self._config.every_step
        if config.pools:
            self._pools = [
                Pool(config, Window(T, place.reverse, self._lengths, 0, T), m)
                for place in config.recurrences()[-n:]
            ]
        below = self._x
        final: list[Array] = []
        for first in range(0, len(self._stacks), n):
            top = first + n == len(self._stacks)
            name = "features" if top else f"below {first}"
            outputs = None
            if not top or every_step:
                outputs = self._buffers.array(name, (T, m, config.width))
            self._below.append(below)
            final = []
            for i in range(n):
                sink = None if outputs is None else _writer(self._part(outputs, i))
                if top and self._pools:
                    sink = self._pools[i].add
                final.append(self._stacks[first + i].forward(below, sink))
                if len(self._stacks) > 1:
                    self._stacks[first + i].forget()
            if self._dropout is not None and not top and outputs is not None:
                self._dropout.apply(first // n + 1, outputs, outputs)
            below = outputs if outputs is not None else below
        counted = None
        if not every_step:
            self._final = final
            if self._pools:
                final = parts_of(config, self._pools, final)
            features = recurrences.side_by_side(final, "features", self._buffers)  # (m, features)
        else:
            features = below.reshape(T * m, config.width)
            if self._lengths is not None:
                counted = np.flatnonzero(validate.steps_counted(T, self._lengths))
                features = features[counted]
        logits = self._buffers.array("logits", (len(features), config.n_y))
        kernels.output_forward(self._parameters["Wya"], self._parameters["by"], features, logits)
        return self._traced(features, counted, logits)

    def backward(
        self, dlogits: Array, gradients: dict[str, Array], costs: RateCosts | None = None
    ) -> None:
        """Fill `gradients` from dlogits (rows, n_y), which have replaced the trace's logits.

        With `costs` the gradient has that of the rates, which are counted there.
        """
        if self._head is not None:
            self._stacks[0].backward(self._x, self._head.backward, None, gradients, costs=costs)
            self._head.write_sums(gradients["Wya"], gradients["by"])
            return
        n, trace = self._config.num_directions, self._trace
        top = len(self._below) - 1
        dfeatures = self._buffers.array("dfeatures", trace.features.shape)
        kernels.output_backward(
            self._parameters["Wya"],
            dlogits,
            trace.features,
            gradients["Wya"],
            gradients["by"],
            dfeatures,
        )
        da, da_n = self._of_the_top(dfeatures)
        for layer in range(top, -1, -1):
            dx = None
            if layer > 0:
                dx = self._buffers.array(f"d below {layer % 2}", self._below[layer].shape)
            for i in range(n):
                stack = self._stacks[layer * n + i]
                above = None if da is None else _reader(self._part(da, i))
                if layer == top and self._pools:
                    above = _spreader(self._pools[i])
                sink = None if dx is None else _writer(dx, add=i > 0)
                stack.backward(self._below[layer], above, da_n[i], gradients, sink, costs)
            if self._dropout is not None and dx is not None:
                self._dropout.apply(layer, dx, dx)
            da, da_n = dx, [None] * n

    def _forward_streamed(self, head: StreamedHead) -> Trace:
        self._stacks[0].forward(self._x, head.forward)
        counted = None
        if self._lengths is not None:
            counted = np.flatnonzero(validate.steps_counted(len(self._x), self._lengths))
        return self._traced(head.logits[:0], counted, head.logits)

    def _traced(self, features: Array, counted: Array | None, logits: Array) -> Trace:
        self._trace = Trace(self._run, [], [], [], features, counted, logits)
        return self._trace

    def _of_the_top(self, dfeatures: Array) -> tuple[Array | None, list[Array | None]]:
        """dL/da (T, m, width) of the top layer's outputs, and dL/da of each direction's last."""
        config, n = self._config, self._config.num_directions
        if not config.every_step:
            parts = [
                np.ascontiguousarray(self._part(dfeatures, i)) for i in range(n * len(config.parts))
            ]
            last: list[Array | None] = [*parts]
            if self._pools:
                last = take_gradients(config, self._pools, parts)
            return None, [
                recurrences.rate_backward(config, np.ascontiguousarray(final), part)
                for final, part in zip(self._final, last, strict=True)
            ]
        T, m = self._x.shape[:2]
        da = dfeatures
        if self._trace.counted is not None:
            da = self._buffers.array("da", (T * m, config.width))
            da.fill(0)  # past an example's length
            da[self._trace.counted] = dfeatures
        return da.reshape(T, m, config.width), [None] * n

    def _part(self, both: Array, i: int) -> Array:
        """The columns of one direction, or of one direction of a part."""
        n_a = self._config.n_a
        return both[..., i * n_a : (i + 1) * n_a]


def _writer(whole: Array, add: bool = False) -> Sink:
    """Puts the steps of windows into an array (T, m, n), or adds them."""
    return lambda window, steps: window.put(steps, whole, add)


def _spreader(pool: Pool) -> Above:
    """dL/da of the outputs of windows where answers are pooled, as new arrays."""
    return lambda window, a: pool.spread_window(window, np.empty(a.shape, a.dtype))


def _reader(whole: Array) -> Above:
    """The steps of windows from an array (T, m, n), as new arrays."""
    return lambda window, _: window.copy_of(whole)
