"""Random models and data for them, and the equations of a whole model in NumPy."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import crnn
from crnn import reference

#: How many times as many models to try as usual.
TIMES = int(os.environ.get("CRNN_FUZZ", 1))

#: Losses, and how many outputs each number of a target has.
LOSSES = {
    "cross_entropy": 1, "binary_cross_entropy": 1, "mse": 1, "mae": 1, crnn.Huber(0.5): 1,
    crnn.Quantiles((0.1, 0.5, 0.9)): 3, "gaussian_nll": 2,
}  # fmt: skip


@dataclass
class Problem:
    """A model, and examples for it."""

    model: crnn.RNN
    x: Any  # (T, m, n_x), or (T, m) of integers
    y: Any
    lengths: Any  # (m,), or None


@st.composite
def configurations(draw, smooth, fixed):
    """Keyword arguments of `crnn.RNN` that fit together, of which some are fixed.

    With `smooth` the loss is a function of the parameters alone, whose derivative has no jumps.
    """
    loss = draw(st.sampled_from(["cross_entropy", "mse", "gaussian_nll"] if smooth else [*LOSSES]))
    n_a, n_y = draw(st.integers(1, 20)), draw(st.integers(2, 4)) * LOSSES[loss]
    found = {
        "n_x": draw(st.integers(1, 5)),
        "n_a": n_a,
        "n_y": n_y,
        "loss": loss,
        "num_layers": draw(st.integers(1, 3)),
        "direction": draw(st.sampled_from(["forward", "reverse", "bidirectional"])),
        "steps": draw(st.sampled_from(["last", "all", "mean"] + ["max", "pooled"] * (not smooth))),
        "dtype": "float64" if smooth else draw(st.sampled_from(["float32", "float64"])),
        "cell": draw(st.sampled_from(["vanilla", "leaky", "gru", "lstm"])),
        "initial_state": draw(st.sampled_from(["zeros", "trained"])),
        **fixed,
    }
    if found["cell"] == "leaky":
        found["leak"] = draw(st.sampled_from([1.0, 0.3, list(np.linspace(0.2, 1, n_a))]))
        found["equation"] = draw(st.sampled_from(["rate", "current"]))
    if smooth:
        return found
    if found["num_layers"] > 1 and draw(st.booleans()):
        found["dropout"] = 0.25
    if found["cell"] in ("vanilla", "leaky"):
        found["activation"] = draw(st.sampled_from(["tanh", "relu"]))
    if found["cell"] == "leaky":
        found["noise"] = draw(st.sampled_from([0.0, 0.1]))
    if draw(st.booleans()):
        model = crnn.RNN(**found, rng=0)
        name = draw(st.sampled_from([n for n in model.parameters if n.startswith("W")]))
        pattern = np.arange(model.parameters[name].size).reshape(model.parameters[name].shape) % 3
        found[draw(st.sampled_from(["masks", "signs"]))] = {name: pattern}
        if "masks" in found:
            found["masks"] = {name: pattern > 0}
        else:
            found["signs"] = {name: (pattern - 1).astype("i1")}
    return found


@st.composite
def problems(draw, smooth=False, **fixed):
    """A model with random biases, and examples for it."""
    options = draw(configurations(smooth, fixed))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    model = crnn.RNN(**options, rng=seed)
    for name, value in model.parameters.items():
        if name.startswith(("b", "a0", "c0")):
            value[...] = rng.normal(scale=0.3, size=value.shape)
    T, m = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    lengths = rng.integers(1, T + 1, m) if draw(st.booleans()) else None
    if draw(st.booleans()):
        x = rng.integers(0, options["n_x"], (T, m))
    else:
        x = rng.normal(size=(T, m, options["n_x"])).astype(options["dtype"])
    shape = (T, m) if options["steps"] == "all" else (m,)
    if options["loss"] == "cross_entropy":
        y = rng.integers(0, options["n_y"], shape)
    else:
        width = options["n_y"] // LOSSES[options["loss"]]
        y = rng.normal(size=(*shape, width)).astype(options["dtype"])
        y = (y > 0).astype(options["dtype"]) if options["loss"] == "binary_cross_entropy" else y
    return Problem(model, x, y, lengths)


def answers(p):
    """`predict_proba` by the reference, in float64; 0 past an example's length."""
    config, (T, m) = p.model.config, p.x.shape[:2]
    parameters = {name: np.float64(value) for name, value in p.model.parameters.items()}
    ends = np.full(m, T) if p.lengths is None else p.lengths
    valid = (np.arange(T)[:, None] < ends)[..., None]  # (T, m, 1)
    below = np.eye(config.n_x)[p.x] if p.x.ndim == 2 else np.float64(p.x)
    places = config.recurrences()
    for layer in range(config.num_layers):
        of_layer = [place for place in places if place.layer == layer]
        states = [_states(config, place, parameters, below, p.lengths) for place in of_layer]
        below = np.concatenate(states, axis=2)
    final = [
        a[0 if place.reverse else ends - 1, np.arange(m)]
        for place, a in zip(of_layer, states, strict=True)
    ]
    parts = {
        "last": np.concatenate(final, axis=1),
        "mean": below.sum(axis=0, where=valid) / ends[:, None],
        "max": below.max(axis=0, where=valid, initial=-np.inf),
        "all": below,
    }
    read = ["last", "mean", "max"] if config.steps == "pooled" else [config.steps]
    z = np.concatenate([parts[part] for part in read], axis=-1) @ parameters["Wya"].T
    y_hat = _linked(config, z + parameters["by"])
    return y_hat * valid if config.steps == "all" else y_hat


def _states(config, place, parameters, x, lengths):
    """What the layer above reads of a recurrence: (T, m, n_a)."""
    own, m = place.of(parameters), x.shape[1]
    for name in ("a0", "c0"):
        if name in own:
            own[name] = np.tile(own[name], (m, 1))
    if config.cell in ("vanilla", "leaky"):
        own["activation"] = config.activation
    if config.cell == "leaky":
        leak = np.broadcast_to(config.leak, config.n_a)
        own |= {"leak": np.float64(leak), "equation": config.equation}
    name = {"vanilla": "rnn"}.get(config.cell, config.cell)
    found = getattr(reference, f"{name}_forward")(x, lengths=lengths, reverse=place.reverse, **own)
    a = found if config.cell == "vanilla" else found.a
    return reference.activate(a, config.activation) if config.equation == "current" else a


def _linked(config, z):
    """The answers that logits give."""
    if config.loss == "cross_entropy":
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)
    if config.loss == "binary_cross_entropy":
        return 1 / (1 + np.exp(-z))
    if config.loss == "gaussian_nll":
        half = config.n_y // 2
        return np.concatenate([z[..., :half], np.exp(z[..., half:] / 2)], axis=-1)
    return z
