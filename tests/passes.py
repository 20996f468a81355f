"""Models and data of several chunks, for tests of passes that recompute states."""

import tracemalloc

import numpy as np

from crnn._engine import workspace

CELLS = {
    "vanilla": {},
    "relu": {"activation": "relu"},
    "rate": {"cell": "leaky", "leak": 0.3, "noise": 0.1},
    "current": {"cell": "leaky", "leak": 0.3, "noise": 0.1, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
#: A chunk has 1024 rows at these sizes, so there are four.
T, M, N_X, N_A, N_Y = 700, 5, 3, 6, 4
LENGTHS = np.array([700, 3, 650, 351, 650])


def data(model, m=M, steps=T, symbols=False, seed=0):
    rng = np.random.default_rng(seed)
    c = model.config
    x = rng.integers(0, c.n_x, (steps, m)) if symbols else rng.standard_normal((steps, m, c.n_x))
    rows = (steps, m) if c.steps == "all" else (m,)
    if c.classifies:
        return x, rng.integers(0, c.n_y, rows)
    return x, rng.standard_normal((*rows, c.n_y))


def peak_of(call):
    """The most bytes allocated at one time in a call that begins without workspaces."""
    workspace._own.workspace = np.empty(0, np.uint8)
    workspace._shared._free.clear()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
