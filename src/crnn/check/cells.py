"""Comparisons of the leaky cell, the GRU and the LSTM, for `crnn.check` and the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crnn import functional, reference
from crnn.reference import Array

#: Each kind of cell by its name in the comparisons: the functions' prefix and their options.
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "rate": ("leaky", {"equation": "rate"}),
    "rate relu": ("leaky", {"equation": "rate", "activation": "relu"}),
    "current": ("leaky", {"equation": "current"}),
    "gru": ("gru", {}),
    "lstm": ("lstm", {}),
}
GATES = {"leaky": 1, "gru": 3, "lstm": 4}
KEPT = {"leaky": 1, "gru": 4, "lstm": 5}


@dataclass
class Problem:
    """The arguments of one cell's forward and backward."""

    cell: str
    arguments: dict[str, Any]
    initial: dict[str, Any]
    options: dict[str, Any]
    da: Any
    noise: dict[str, Any] = field(default_factory=dict)
    dc_n: Any = None

    def forward(self, library: Any = functional, **more: Any) -> Any:
        """The states that a library's forward function gives."""
        function = getattr(library, f"{self.cell}_forward")
        return function(**self.arguments, **self.initial, **self.options, **self.noise, **more)

    def backward(self, s: Any, library: Any = functional, **more: Any) -> Any:
        """The gradients that its backward function gives."""
        weights = {name: self.arguments[name] for name in ("x", "Waa", "Wax")}
        if self.cell == "lstm":
            more["dc_n"] = self.dc_n
        function = getattr(library, f"{self.cell}_backward")
        return function(self.da, s, **weights, **self.initial, **self.options, **more)

    def results(self, library: Any = functional) -> dict[str, Array | None]:
        """Everything that forward and backward compute, by name."""
        s = self.forward(library)
        c_n = {"c_n": s.c_n} if self.cell == "lstm" else {}
        return {"a": s.a, **c_n, **self.backward(s, library)._asdict()}


def problem(
    name: str,
    T: int,
    m: int,
    n_x: int,
    n_a: int,
    *,
    dtype: str = "float64",
    integers: bool = False,
    lengths: bool = False,
    reverse: bool = False,
    initial: bool = True,
) -> Problem:
    """Draw the arguments of one of CELLS, with biases and initial states that are not zero."""
    rng = np.random.default_rng([T, m, n_x, n_a])
    cell, options = CELLS[name]
    rows = GATES[cell] * n_a

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    arguments: dict[str, Any] = {
        "x": rng.integers(0, n_x, (T, m)) if integers else draw(T, m, n_x),
        "Waa": (draw(rows, n_a) / np.sqrt(4 * n_a)).astype(dtype),
        "Wax": draw(rows, n_x),
        "ba": draw(rows),
    }
    if cell == "gru":
        arguments["baa"] = draw(n_a)
    states = {"a0": draw(m, n_a)}
    if cell == "lstm":
        states["c0"] = draw(m, n_a)
    options = {**options, "reverse": reverse}
    options["lengths"] = rng.integers(1, T + 1, m) if lengths else None
    noise: dict[str, Any] = {}
    if cell == "leaky":
        options["leak"] = np.linspace(0.2, 1, n_a).astype(dtype)
        noise = {"noise": 0.5, "seed": 7}
    return Problem(
        cell, arguments, states if initial else {}, options, draw(T, m, n_a), noise, draw(m, n_a)
    )


def loss(p: Problem) -> float:
    """A loss of every state and of the last cells, by the reference."""
    s = p.forward(reference)
    lengths = p.options["lengths"]
    T, m, _ = s.a.shape
    valid = np.arange(T)[:, None] < (np.full(m, T) if lengths is None else lengths)
    total = float(np.sum((s.a * p.da)[valid]))
    return total + (float(np.sum(s.c_n * p.dc_n)) if p.cell == "lstm" else 0.0)


def exact(p: Problem) -> Problem:
    """The same problem in float64."""

    def wide(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.astype(float) if getattr(value, "dtype", None) == np.float32 else value
            for name, value in values.items()
        }

    return Problem(
        p.cell,
        wide(p.arguments),
        wide(p.initial),
        wide(p.options),
        p.da.astype(float),
        p.noise,
        p.dc_n.astype(float),
    )


def terms(p: Problem) -> int:
    """How many terms the longest sum of a problem has."""
    T, m, n_a = p.da.shape
    return int(T * m + GATES[p.cell] * n_a + p.arguments["Wax"].shape[1])


def kernel_error(p: Problem) -> float:
    """The worst error of forward and backward against the float64 reference.

    It is relative to the largest entry of a forward result. All gradients are sums over the same dz
    and may cancel, so theirs is relative to the largest entry of any of them.
    """
    truth = {name: t for name, t in exact(p).results(reference).items() if t is not None}
    largest = {name: float(np.abs(t).max()) for name, t in truth.items()}
    of_gradients = max(size for name, size in largest.items() if name.startswith("d"))
    errors = []
    for name, value in p.results().items():
        if value is not None:
            size = of_gradients if name.startswith("d") else largest[name]
            errors.append(float(np.abs(value - truth[name]).max()) / size)
    return max(errors)
