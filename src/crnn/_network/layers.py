"""Layers of recurrences and an output layer, forward and backward, on checked arrays.

`forward` keeps what `backward` needs in a Trace: each layer's input, each recurrence's states, and
nothing else. Both take their arrays from Buffers, so a Trace is valid until the next pass that uses
the same Buffers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from crnn._engine import kernels, recurrence, validate
from crnn._engine.recurrence import CellGradients, CellInputs, Packed, States
from crnn._network.buffers import Buffers
from crnn._network.config import Config, Recurrence
from crnn._network.dropout import Dropout
from crnn._network.penalties import Penalty, shares
from crnn._network.pooling import Pool, parts_of, take_gradients
from crnn._network.segments import Window
from crnn.reference import Array

_NONE: Mapping[str, Array] = MappingProxyType({})
#: The arrays (m, n_a) that each recurrence carries from step to step, named in the table of cells.
State = list[tuple[Array, ...]]


@dataclass
class Trace:
    """What the backward pass needs of a forward pass."""

    inputs: list[CellInputs]  # one per recurrence
    states: list[States]  # one per recurrence
    outputs: list[Array]  # (T, m, n_a) of each recurrence, which the layer above reads
    features: Array  # (rows, width): the input of the output layer
    every_step: bool  # whether there is a row for each step and example, or one for each example
    counted: Array | None  # indices of the rows of T * m within lengths; None if all are
    logits: Array  # (rows, n_y)
    buffers: Buffers
    continued: bool = False  # whether it began from a given state, not from the network's own
    pools: Sequence[Pool] = ()  # one for each direction, if the answers are pooled
    dropout: Dropout | None = None  # that of this pass
    #: (m,): which of the examples that began from a given state began from the network's own
    fresh: Array | None = None

    @property
    def steps(self) -> int:
        """T."""
        return len(self.outputs[0])

    def rows_of(self, y: Array | None) -> Array:
        """The rows of targets or weights, (m, ...) or (T, m, ...), that belong to the logits."""
        assert y is not None
        if not self.every_step:
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
    config: Config,
    parameters: dict[str, Array],
    x: Array,
    lengths: Array | None = None,
    state: State | None = None,
    buffers: Buffers | None = None,
    keep: bool = False,
    noise: int | None = None,
    packed: Sequence[Packed | None] | None = None,
    dropout: Dropout | None = None,
) -> Trace:
    """Run all recurrences and the output layer on x, (T, m, n_x) or (T, m).

    They begin from `state`, by default from the trained initial state, if there is one, or from 0.
    `keep` says whether `backward` follows. `noise` is a seed, or None for a pass without noise.
    `dropout` drops units between layers. `packed` are packed weights for each recurrence, as
    `recurrence.cell_forward` takes them.
    """
    (T, m), n = x.shape[:2], config.num_directions
    if buffers is None:
        buffers = Buffers(config.np_dtype)
    inputs: list[CellInputs] = []
    states: list[States] = []
    outputs: list[Array] = []
    below = x
    for k, place in enumerate(config.recurrences()):
        if place.layer > 0 and k % n == 0:
            below = side_by_side(outputs[-n:], f"below {k}", buffers)
            if dropout is not None:
                read = buffers.array(f"dropped {k}", below.shape)  # (T, m, n_in)
                below = dropout.apply(place.layer, below, read)
        start = None if state is None else state[k]
        if state is None and config.trained_states:
            start = _trained(config, place, parameters, m, k, buffers)
        seed = None if noise is None else (noise + k) % 2**64
        inputs.append(inputs_of(config, place, parameters, below, lengths, start, seed))
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
    kernels.output_forward(parameters["Wya"], parameters["by"], features, logits)
    every_step = config.every_step
    continued = state is not None
    return Trace(
        inputs, states, outputs, features, every_step, counted, logits, buffers, continued, pools,
        dropout,
    )  # fmt: skip


def backward(
    config: Config,
    parameters: dict[str, Array],
    trace: Trace,
    dlogits: Array,
    gradients: dict[str, Array],
    need_dx: bool = False,
    norms: Array | None = None,
    penalty: Penalty | None = None,
) -> tuple[float, Array | None]:
    """Fill `gradients`, which has the parameters' names, from dlogits (rows, n_y).

    Returns what the penalty adds to the loss for the rates, whose gradient is included; and with
    `need_dx` the gradient of x (T, m, n_x), which are numbers. `norms` (recurrences, T, m) is
    filled too, if it is given: see `recurrence.cell_backward`.
    """
    loss, share = 0.0, None
    if penalty is not None and penalty.of_rates:
        of = trace.inputs[0]
        share = shares(config, trace.steps, of.m, of.lengths)
    n, buffers, places = config.num_directions, trace.buffers, config.recurrences()
    dfeatures = buffers.array("dfeatures", trace.features.shape)
    kernels.output_backward(
        parameters["Wya"], dlogits, trace.features, gradients["Wya"], gradients["by"], dfeatures
    )
    da, da_n = _of_the_top(config, trace, n, dfeatures)
    for first in range(len(places) - n, -1, -n):  # each layer, the top one first
        dx: list[Array] = []
        for k in range(first, first + n):
            inputs, states, a = trace.inputs[k], trace.states[k], trace.outputs[k]
            if first > 0 or need_dx:
                dx.append(buffers.array(f"dx {k}", (*a.shape[:2], places[k].n_in)))
            own = places[k].of(gradients)
            d0 = _NONE
            if config.trained_states:
                m = a.shape[1]
                d0 = {s: buffers.array(f"d{s}", (m, config.n_a)) for s in config.trained_states}
            into = gradients_of(own, dx[-1] if dx else None, d0)
            drate = da[k - first]
            if penalty is not None and share is not None:
                loss += penalty.rate_loss(a, share, buffers)
                drate = penalty.rate_backward(a, share, drate, buffers)
            da_k = rate_backward(config, a, drate)
            da_n_k = rate_backward(config, final_state(a, inputs), da_n[k - first])
            of_k = None if norms is None else norms[k]
            recurrence.cell_backward(inputs, states, da_k, into=into, da_n=da_n_k, norms=of_k)
            for name, d in d0.items():  # one state for all examples; none is read after another
                own[name][...] = _own_sum(trace, d)
        below = None
        if dx:
            below = dx[0] if n == 1 else np.add(dx[0], dx[1], out=dx[0])  # (T, m, n_in)
            if trace.dropout is not None and first > 0:
                trace.dropout.apply(places[first].layer, below, below)
        if first > 0:
            assert below is not None
            da, da_n = [*_apart(below, n, buffers)], [None] * n
    return loss, below


def _own_sum(trace: Trace, d: Array) -> Array:
    """The sum of dL/da<0> (m, n_a) over the examples that began from the network's own state."""
    if trace.continued:
        d = d[:0] if trace.fresh is None else d[trace.fresh]
    total: Array = d.sum(axis=0)
    return total


def bytes_per_step(config: Config, backward: bool, penalty: Penalty | None = None) -> int:
    """The most bytes that a pass allocates for each step of each example, not counting x.

    Index arrays and temporaries of the loss are included. The C workspace is not, because its size
    does not grow with the number of steps.
    """
    size, width = config.np_dtype.itemsize, config.width
    states = config.num_layers * width  # the a of every recurrence
    if config.equation == "current":
        states *= 2  # and its rates
    above, both = config.num_layers - 1, config.num_directions > 1
    if both:
        states += above * width  # both directions side by side, as input
    if backward:
        states += config.num_layers * width * config.kind.kept
        states += above * width * (config.dropout > 0)  # what is left of a layer's outputs
        if penalty is not None and penalty.of_rates:
            states += config.n_a * 2  # terms of the gradient, and with steps="last" the gradient
        # dx of each recurrence above the lowest layer, and its directions in arrays of their own
        states += above * config.num_directions * width + (width if both and above else 0)
    if config.pools and backward:
        states += config.width  # the gradient of the top's outputs
    if not config.every_step:
        return states * size
    # features of the valid rows; their gradient, and its directions in arrays of their own
    rows = width * (4 if backward else 2)
    # logits, y and weights, in float64 for the squared error; numbers and masks of rows
    return (states + rows) * size + config.n_y * (3 * size + 8) + 48


def final_state(a: Array, of: CellInputs) -> Array:
    """The state (m, n_a) after the last step read, which is step 0 if read from right to left.

    It is a view of `a` if all examples end at the same step.
    """
    t = 0 if of.reverse else -1
    state: Array = a[t]
    if of.lengths is not None and not of.reverse:
        state = a[of.lengths - 1, np.arange(a.shape[1])]
    return state


def inputs_of(
    config: Config,
    place: Recurrence,
    parameters: dict[str, Array],
    x: Array,
    lengths: Array | None,
    start: tuple[Array, ...] | None,
    seed: int | None,
) -> CellInputs:
    own, (a0, c0) = place.of(parameters), (*(start or ()), None, None)[:2]
    rule = config.rule if seed is None else config.rule._replace(noise=config.noise, seed=seed)
    return CellInputs(
        x, own["Waa"], own["Wax"], own["ba"], own.get("baa"), a0, c0, lengths, place.reverse, rule
    )


def _trained(
    config: Config,
    place: Recurrence,
    parameters: dict[str, Array],
    m: int,
    k: int,
    buffers: Buffers,
) -> tuple[Array, ...]:
    """The trained initial states (m, n_a) of recurrence k, the same for all examples."""
    own, found = place.of(parameters), []
    for name in config.trained_states:
        found.append(buffers.array(f"{name} {k}", (m, config.n_a)))
        found[-1][...] = own[name]
    return tuple(found)


def gradients_of(
    own: dict[str, Array], dx: Array | None, d0: Mapping[str, Array] = _NONE
) -> CellGradients:
    """The arrays that a backward call fills; d0 are those of trained initial states."""
    return CellGradients(
        own["Waa"], own["Wax"], own["ba"], own.get("baa"), dx, d0.get("a0"), d0.get("c0")
    )


def rate(config: Config, a: Array, name: str, buffers: Buffers) -> Array:
    """What a recurrence gives to the layer above: its states, or with "current" f of them."""
    if config.equation != "current":
        return a
    rates = buffers.array(name, a.shape)  # (T, m, n_a)
    rates[...] = a
    kernels.activate(config.relu, rates.reshape(-1))
    return rates


def rate_backward(config: Config, rates: Array, drates: Array | None) -> Array | None:
    """The gradient of the states from that of their `rate`, computed in place."""
    if config.equation == "current" and drates is not None:
        kernels.activate_backward(config.relu, rates.reshape(-1), drates.reshape(-1))
    return drates


def side_by_side(parts: list[Array], name: str, buffers: Buffers) -> Array:
    """The arrays of both directions in one array. With one direction it is that array itself."""
    if len(parts) == 1:
        return parts[0]
    *leading, n_a = parts[0].shape
    both = buffers.array(name, (*leading, len(parts) * n_a))
    return np.concatenate(parts, axis=-1, out=both)


def _apart(both: Array, n: int, buffers: Buffers) -> list[Array]:
    """The opposite of `side_by_side`: the gradient of each direction, from (..., n n_a)."""
    if n == 1:
        return [both]
    *leading, width = both.shape
    parts = np.split(both, n, axis=-1)
    apart = [buffers.array(f"da {i}", (*leading, width // n)) for i in range(n)]
    for part, own in zip(parts, apart, strict=True):
        own[...] = part
    return apart


def _pooled(config: Config, outputs: list[Array], inputs: list[CellInputs]) -> list[Pool]:
    """The pools of the top layer's outputs (T, m, n_a), one for each direction."""
    pools = []
    for a, of in zip(outputs, inputs, strict=True):
        (T, m), lengths = a.shape[:2], of.lengths
        pools.append(Pool(config, Window(T, of.reverse, lengths, 0, T), m))
        pools[-1].add_all(a, lengths)
    return pools


def _of_the_top(
    config: Config, trace: Trace, n: int, dfeatures: Array
) -> tuple[list[Array | None], list[Array | None]]:
    """dL/da<t> of each direction of the top layer, and dL/da of the last step that it reads.

    One of the two may be None: the output layer reads every step, only the last, or both.
    """
    T, m, n_a = trace.outputs[0].shape
    if not trace.every_step:
        parts = _apart(dfeatures, n * len(config.parts), trace.buffers)
        if not trace.pools:
            return [None] * n, [*parts]
        da_n = take_gradients(config, [*trace.pools], parts)
        lengths = trace.inputs[-1].lengths
        spread = []
        for i, pool in enumerate(trace.pools):
            da_i = trace.buffers.array(f"da of steps {i}", (T, m, n_a))
            spread.append(pool.spread(lengths, 0, da_i))
        return [*spread], da_n
    if trace.counted is None:
        return [*_apart(dfeatures.reshape(T, m, n * n_a), n, trace.buffers)], [None] * n
    da = [trace.buffers.array(f"da {i}", (T, m, n_a)) for i in range(n)]
    for part, own in zip(np.split(dfeatures, n, axis=-1), da, strict=True):
        own.fill(0)  # past an example's length
        own.reshape(-1, n_a)[trace.counted] = part
    return [*da], [None] * n
