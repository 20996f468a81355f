"""Layers of recurrences and an output layer, forward and backward, on checked arrays.

`forward` keeps what `backward` needs in a Trace: each layer's input, each recurrence's states, and
nothing else. Both take their arrays from Buffers, so a Trace is valid until the next pass that uses
the same Buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crnn._engine import kernels, recurrence, validate
from crnn._engine.recurrence import CellInputs, Packed, States
from crnn._network.config import Config
from crnn._network.passes import Pass, sum_of_start
from crnn._network.penalties import RateCosts
from crnn._network.pooling import Pool, parts_of, take_gradients
from crnn._network.recurrences import (
    State,
    apart,
    final_state,
    gradients_of,
    rate,
    rate_backward,
    side_by_side,
    zeros,
)
from crnn._network.segments import Window
from crnn.reference import Array


@dataclass
class Trace:
    """What the backward pass needs of a forward pass."""

    run: Pass
    inputs: list[CellInputs]  # one per recurrence
    states: list[States]  # one per recurrence
    outputs: list[Array]  # (T, m, n_a) of each recurrence, which the layer above reads
    features: Array  # (rows, width): the input of the output layer
    counted: Array | None  # indices of the rows of T * m within lengths; None if all are
    logits: Array  # (rows, n_y): for each step and example, or for each example
    pools: Sequence[Pool] = ()  # one for each direction, if the answers are pooled
    #: (m,): which of the examples that began from a given state began from the network's own
    fresh: Array | None = None

    @property
    def steps(self) -> int:
        """T."""
        return len(self.outputs[0])

    def rows_of(self, y: Array | None) -> Array:
        """The rows of targets or weights, (m, ...) or (T, m, ...), that belong to the logits."""
        assert y is not None
        if not self.run.config.every_step:
            return y
        y = y.reshape(-1, *y.shape[2:])
        return y if self.counted is None else y[self.counted]

    def final_states(self) -> State:
        """Copies of every recurrence's state after its last step: where the next window starts."""
        found: State = []
        for states, of in zip(self.states, self.inputs, strict=True):
            a_n = final_state(states.a, of).copy()
            found.append((a_n,) if states.c_n is None else (a_n, states.c_n))
        return found


def forward(
    run: Pass, x: Array, keep: bool = False, packed: Sequence[Packed | None] | None = None
) -> Trace:
    """Run all recurrences and the output layer on x, (T, m, n_x) or (T, m).

    `keep` says whether `backward` follows. `packed` are packed weights for each recurrence, as
    `recurrence.cell_forward` takes them.
    """
    config, buffers, lengths = run.config, run.buffers, run.lengths
    (T, m), n = x.shape[:2], config.num_directions
    inputs: list[CellInputs] = []
    states: list[States] = []
    outputs: list[Array] = []
    below = x
    for k, place in enumerate(config.recurrences()):
        if place.layer > 0 and k % n == 0:
            below = side_by_side(outputs[-n:], f"below {k}", buffers)
            if run.dropout is not None:
                read = buffers.array(f"dropped {k}", below.shape)  # (T, m, n_in)
                below = run.dropout.apply(place.layer, below, read)
        inputs.append(run.inputs(k, place, below, lengths, run.start(k, place, m)))
        a = buffers.array(f"a {k}", (T, m, config.n_a))
        kept: bool | Array = False
        if keep and config.kind.kept:
            rows = T * m if lengths is None else int(lengths.sum())
            kept = buffers.array(f"kept {k}", (config.kind.kept * rows * config.n_a,))
        weights = None if packed is None else packed[k]
        states.append(recurrence.cell_forward(inputs[-1], kept, a, weights))
        outputs.append(rate(config, a, f"rate {k}", buffers))
    counted = None
    pools: list[Pool] = []
    if not config.every_step:
        last = [final_state(a, of) for a, of in zip(outputs[-n:], inputs[-n:], strict=True)]
        if config.pools:
            pools = _pooled(config, outputs[-n:], inputs[-n:])
            last = parts_of(config, pools, last)
        features = side_by_side(last, "features", buffers)  # (m, features)
    else:
        features = side_by_side(outputs[-n:], "features", buffers).reshape(T * m, config.width)
        if lengths is not None:
            counted = np.flatnonzero(validate.steps_counted(T, lengths))
            features = features[counted]
    logits = buffers.array("logits", (len(features), config.n_y))
    kernels.output_forward(run.parameters["Wya"], run.parameters["by"], features, logits)
    return Trace(run, inputs, states, outputs, features, counted, logits, pools)


def backward(
    trace: Trace,
    dlogits: Array,
    gradients: dict[str, Array],
    need_dx: bool = False,
    norms: Array | None = None,
    costs: RateCosts | None = None,
) -> Array | None:
    """Fill `gradients`, which has the parameters' names, from dlogits (rows, n_y).

    Returns with `need_dx` the gradient of x (T, m, n_x), which are numbers. `norms` (recurrences,
    T, m) is filled too, if it is given: see `recurrence.cell_backward`. With `costs` the gradient
    has that of the rates, which are counted there.
    """
    run, config, buffers = trace.run, trace.run.config, trace.run.buffers
    n, places = config.num_directions, config.recurrences()
    dfeatures = buffers.array("dfeatures", trace.features.shape)
    kernels.output_backward(
        run.parameters["Wya"], dlogits, trace.features, gradients["Wya"], gradients["by"], dfeatures
    )
    da, da_n = _of_the_top(trace, dfeatures)
    for first in range(len(places) - n, -1, -n):  # each layer, the top one first
        dx: list[Array] = []
        for k in range(first, first + n):
            inputs, states, a = trace.inputs[k], trace.states[k], trace.outputs[k]
            if first > 0 or need_dx:
                dx.append(buffers.array(f"dx {k}", (*a.shape[:2], places[k].n_in)))
            own = places[k].of(gradients)
            d0 = run.start_gradients(a.shape[1])
            into = gradients_of(own, dx[-1] if dx else None, d0)
            drate = da[k - first]
            if costs is not None:
                if drate is None:
                    drate = zeros("drate", a.shape, buffers)
                costs.add(k, a, drate, rising=inputs.reverse)
            da_k = rate_backward(config, a, drate)
            da_n_k = rate_backward(config, final_state(a, inputs), da_n[k - first])
            of_k = None if norms is None else norms[k]
            recurrence.cell_backward(inputs, states, da_k, into=into, da_n=da_n_k, norms=of_k)
            sum_of_start(own, d0, run.continued, trace.fresh)
        below = None
        if dx:
            below = dx[0] if n == 1 else np.add(dx[0], dx[1], out=dx[0])  # (T, m, n_in)
            if run.dropout is not None and first > 0:
                run.dropout.apply(places[first].layer, below, below)
        if first > 0:
            assert below is not None
            da, da_n = [*apart(below, n, buffers)], [None] * n
    return below


def _pooled(config: Config, outputs: list[Array], inputs: list[CellInputs]) -> list[Pool]:
    """The pools of the top layer's outputs (T, m, n_a), one for each direction."""
    pools = []
    for a, of in zip(outputs, inputs, strict=True):
        (T, m), lengths = a.shape[:2], of.lengths
        pools.append(Pool(config, Window(T, of.reverse, lengths, 0, T), m))
        pools[-1].add_all(a, lengths)
    return pools


def _of_the_top(trace: Trace, dfeatures: Array) -> tuple[list[Array | None], list[Array | None]]:
    """dL/da<t> of each direction of the top layer, and dL/da of the last step that it reads.

    One of the two may be None: the output layer reads every step, only the last, or both.
    """
    config, buffers = trace.run.config, trace.run.buffers
    (T, m, n_a), n = trace.outputs[0].shape, config.num_directions
    if not config.every_step:
        parts = apart(dfeatures, n * len(config.parts), buffers)
        if not trace.pools:
            return [None] * n, [*parts]
        da_n = take_gradients(config, [*trace.pools], parts)
        lengths = trace.inputs[-1].lengths
        spread = []
        for i, pool in enumerate(trace.pools):
            da_i = buffers.array(f"da of steps {i}", (T, m, n_a))
            spread.append(pool.spread(lengths, 0, da_i))
        return [*spread], da_n
    if trace.counted is None:
        return [*apart(dfeatures.reshape(T, m, n * n_a), n, buffers)], [None] * n
    da = [buffers.array(f"da {i}", (T, m, n_a)) for i in range(n)]
    for part, own in zip(np.split(dfeatures, n, axis=-1), da, strict=True):
        own.fill(0)  # past an example's length
        own.reshape(-1, n_a)[trace.counted] = part
    return [*da], [None] * n
