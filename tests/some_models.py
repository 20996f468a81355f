"""Small models of every cell, and their steps and Jacobians by way of the reference."""

import numpy as np

import crnn
from crnn import reference

N_X, N_A, N_Y = 3, 4, 2

#: Options of every kind of cell.
KINDS = {
    "tanh": {},
    "relu": {"activation": "relu"},
    "rate": {"cell": "leaky", "leak": 0.4},
    "rate of relu": {"cell": "leaky", "leak": [0.2, 0.4, 0.6, 1.0], "activation": "relu"},
    "current": {"cell": "leaky", "leak": [0.2, 0.4, 0.6, 1.0], "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}


def model_of(kind, *, n_x=N_X, n_a=N_A, n_y=N_Y, dtype="float64", rng=0, **options):
    """A model with random biases, so that no symmetry hides an error."""
    model = crnn.RNN(n_x, n_a, n_y, dtype=dtype, rng=rng, **{**KINDS[kind], **options})
    generator = np.random.default_rng(rng)
    for name, value in model.parameters.items():
        if name.startswith("b"):
            value[...] = generator.normal(scale=0.5, size=value.shape)
    return model


def one_unit(n_x=1, **options):
    """A model of one unit whose parameters are all zero."""
    model = crnn.RNN(n_x, 1, 2, dtype="float64", rng=0, **options)
    for value in model.parameters.values():
        value[...] = 0
    return model


def size(model):
    """N, the numbers of a state."""
    return model.config.n_a * len(model.config.kind.states)


class Reference:
    """A cell of a model: its step, and its Jacobian from the reference's backward pass."""

    def __init__(self, model, cell=0):
        self.config, self.place = model.config, model.config.recurrences()[cell]
        own = self.place.of(model.parameters)
        self.own = {name: np.float64(value) for name, value in own.items()}
        zeros = np.zeros(self.config.n_a)
        self.start = [self.own.pop(f"{s}0", zeros) for s in self.place.cell.states]
        self.options = {}
        if model.config.cell in ("vanilla", "leaky"):
            self.options["activation"] = model.config.activation
        if model.config.cell == "leaky":
            self.options |= {"equation": model.config.equation}
            self.options["leak"] = np.float64(model.config.leak)
        name = {"vanilla": "rnn"}.get(model.config.cell, model.config.cell)
        self.forward = getattr(reference, f"{name}_forward")
        self.backward = getattr(reference, f"{name}_backward")

    def starts(self, s):
        """The state (m, N) as arguments."""
        a0, *c0 = np.split(s, len(self.place.cell.states), axis=1)
        return {"a0": a0} | ({"c0": c0[0]} if c0 else {})

    def run(self, s, x):
        """What the forward function gives for x (T, m, n_in) from s (m, N)."""
        return self.forward(x, **self.own, **self.starts(s), **self.options)

    def step(self, s, x):
        """The states (m, N) after one step from s (m, N), given x (m, n_in)."""
        out = self.run(s, x[None])
        if self.config.cell == "vanilla":
            return out[0]
        return np.concatenate([out.a[0], out.c_n], axis=1) if hasattr(out, "c_n") else out.a[0]

    def jacobian(self, s, x):
        """The Jacobian (N, N) at s (N,), whose rows are gradients of the numbers of the state."""
        N = len(s)
        s, x = np.repeat(s[None], N, axis=0), np.repeat(x[None, None], N, axis=1)
        da, *dc = np.split(np.eye(N), len(self.place.cell.states), axis=1)
        out = self.run(s, x)
        weights = self.own["Waa"], self.own["Wax"]
        last = {"dc_n": dc[0]} if dc else {}
        g = self.backward(da[None], out, x, *weights, **self.starts(s), **last, **self.options)
        return np.concatenate([g.da0, g.dc0], axis=1) if dc else g.da0


def trajectory(model, x, cell=0):
    """The state before each step that a cell reads, and what it reads there, in its order."""
    places = model.config.recurrences()
    read = x
    for layer in range(places[cell].layer):
        below = [k for k, place in enumerate(places) if place.layer == layer]
        parts = []
        for k in below:
            states = _states(Reference(model, k), read[::-1] if places[k].reverse else read)
            a = states[1:, : model.config.n_a]
            if model.config.equation == "current":
                a = reference.activate(a, model.config.activation)
            parts.append(a[::-1] if places[k].reverse else a)
        read = np.concatenate(parts, axis=1)
    read = read[::-1] if places[cell].reverse else read
    return _states(Reference(model, cell), read)[:-1], read


def _states(cell, x):
    """The initial state and those after each step of x (T, n_in)."""
    s = [np.concatenate(cell.start)[None]]
    for x_t in x:
        s.append(cell.step(s[-1], x_t[None]))
    return np.concatenate(s)
