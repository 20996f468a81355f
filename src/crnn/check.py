"""Does this build compute the right numbers on this machine? The kernels against the truth.

Three comparisons, each over a list of cases: the reference's gradients against fourth-order finite
differences of its own forward pass; the kernels against the reference; a whole model's gradients
against finite differences of its loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from crnn import reference
from crnn.functional import rnn_backward, rnn_forward
from crnn.model import RNN
from crnn.reference import Array


@dataclass(frozen=True)
class Result:
    """The largest relative error of one comparison, and the most that rounding explains."""

    what: str
    cases: int
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is explained (NaN is not)."""
        return self.error <= self.tolerance


def tolerance(dtype: Any, T: int, *sizes: int) -> float:
    """The most that rounding may part two correct computations, relative to the largest entry.

    Each entry is a sum of products: the error of summing n terms in any order is at most n eps of
    the sum of their sizes, about sqrt(n) eps where rounding errors are independent. The recurrence
    passes through n terms a step and carries the error on over T steps. The factor 8 stands for
    terms that cancel and for a tanh of one or two ulp.
    """
    return 8 * float(np.finfo(dtype).eps) * math.sqrt(T * (T + sum(sizes)))


def relative_error(result: Array, truth: Array) -> float:
    """The largest difference, over the largest entry of the truth."""
    largest = np.max(np.abs(truth), initial=0)
    difference = np.max(np.abs(result - truth), initial=0)
    return float(difference / largest) if largest > 0 else float(difference)


def finite_difference(f: Callable[[], float], w: Array, h: float = 1e-3) -> Array:
    """df/dw by central differences of fourth order; w is changed in place and put back.

    ``(-f(w+2h) + 8 f(w+h) - 8 f(w-h) + f(w-2h)) / 12h``, wrong by ``h^4 f'''''/30`` and rounding,
    ``eps f/h``.
    """
    df = np.empty_like(w)
    for k in np.ndindex(w.shape):
        was = w[k]
        values = []
        for step in (-2, -1, 1, 2):
            w[k] = was + step * h
            values.append(f())
        w[k] = was
        df[k] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    return df


@dataclass
class Problem:
    """Random arguments of one call, drawn so that states neither vanish nor saturate."""

    arguments: dict[str, Any]  # x, Waa, Wax, ba, a0
    options: dict[str, Any]  # lengths, reverse, activation
    da: Array  # (T, m, n_a)


def problem(
    T: int,
    m: int,
    n_x: int,
    n_a: int,
    *,
    dtype: str = "float64",
    integers: bool = False,
    lengths: bool = False,
    reverse: bool = False,
    activation: str = "tanh",
    seed: int = 0,
) -> Problem:
    """Draw a Problem, with a bias and an initial state that are not zero."""
    rng = np.random.default_rng([seed, T, m, n_x, n_a])

    def draw(*shape: int, scale: float = 1.0) -> Array:
        return (scale * rng.standard_normal(shape)).astype(dtype)

    arguments = {
        "x": rng.integers(0, n_x, (T, m)) if integers else draw(T, m, n_x),
        "Waa": draw(n_a, n_a, scale=0.9 / np.sqrt(n_a)),
        "Wax": draw(n_a, n_x, scale=0.5 / np.sqrt(n_x)),
        "ba": draw(n_a, scale=0.1),
        "a0": draw(m, n_a, scale=0.5),
    }
    options = {
        "lengths": rng.integers(1, T + 1, m) if lengths else None,
        "reverse": reverse,
        "activation": activation,
    }
    return Problem(arguments, options, draw(T, m, n_a))


def backward_of(backward: Callable[..., Any], p: Problem, a: Array) -> Any:
    """Call rnn_backward, or its reference, on a problem."""
    arguments = {name: value for name, value in p.arguments.items() if name != "ba"}
    return backward(p.da, a, **arguments, **p.options)


def kernel_error(p: Problem) -> float:
    """The largest relative error of forward and backward against the float64 reference."""
    exact = {
        name: value.astype("float64") if value.dtype.kind == "f" else value
        for name, value in p.arguments.items()
    }
    truth = Problem(exact, p.options, p.da.astype("float64"))
    a = rnn_forward(**p.arguments, **p.options)
    a_truth = reference.rnn_forward(**truth.arguments, **p.options)
    errors = [relative_error(a, a_truth)]
    # The same states for both, so that relu's kinks fall on the same side.
    g = backward_of(rnn_backward, p, a)
    g_truth = backward_of(reference.rnn_backward, truth, a.astype("float64"))
    errors += [relative_error(d, e) for d, e in zip(g, g_truth, strict=True) if d is not None]
    return max(errors)


def reference_error(p: Problem, h: float = 1e-3) -> float:
    """The largest relative error of the reference's gradients against finite differences."""

    def loss() -> float:
        return float(np.sum(p.da * reference.rnn_forward(**p.arguments, **p.options)))

    a = reference.rnn_forward(**p.arguments, **p.options)
    g = backward_of(reference.rnn_backward, p, a)
    pairs = {"Waa": g.dWaa, "Wax": g.dWax, "ba": g.dba, "x": g.dx, "a0": g.da0}
    return max(
        relative_error(d, finite_difference(loss, p.arguments[name], h))
        for name, d in pairs.items()
        if d is not None
    )


def model_error(model: RNN, x: Any, y: Any, lengths: Any = None) -> float:
    """The largest relative error of a float64 model's gradients against finite differences."""
    gradients = model.gradients(x, y, lengths)[1]
    return max(
        relative_error(
            gradients[name],
            finite_difference(lambda: model.evaluate(x, y, lengths)[0], parameter),
        )
        for name, parameter in model.parameters.items()
    )


#: Of a fourth-order difference with h = 1e-3 in float64: h^4 = 1e-12 of truncation and
#: eps / h = 2e-13 of rounding, each times derivatives and sums of some hundreds.
FINITE_DIFFERENCE_TOLERANCE = 1e-8


#: Every kind of input and reading.
KINDS: list[dict[str, Any]] = [
    dict(zip(("integers", "lengths", "reverse"), kind, strict=True))
    for kind in product((False, True), repeat=3)
]


def run() -> Iterator[Result]:
    """Every comparison, one after the other."""
    yield _reference_result()
    for dtype in ("float32", "float64"):
        for activation in ("tanh", "relu"):
            yield _kernel_result(dtype, activation)
    for steps, loss in product(("last", "all"), ("cross_entropy", "mse")):
        yield _model_result(steps, loss)


def _reference_result() -> Result:
    cases = [problem(T, 3, 2, 4, **kind) for T, kind in product((1, 2, 7), KINDS)]
    error = max(map(reference_error, cases))
    what = "reference against finite differences"
    return Result(what, len(cases), error, FINITE_DIFFERENCE_TOLERANCE)


def _kernel_result(dtype: str, activation: str) -> Result:
    T = 20
    sizes = [(1, 1, 1), (1, 17, 33), (5, 16, 15), (16, 3, 64), (33, 64, 65), (32, 100, 128)]
    cases = [
        problem(T, *size, dtype=dtype, activation=activation, **kind)
        for size, kind in product(sizes, KINDS)
    ]
    error = max(map(kernel_error, cases))
    most = tolerance(dtype, T, *(max(column) for column in zip(*sizes, strict=True)))
    return Result(f"kernels against reference, {dtype}, {activation}", len(cases), error, most)


def _model_result(steps: str, loss: str) -> Result:
    rng = np.random.default_rng(0)
    T, m, n_x, n_y = 5, 3, 2, 3
    x, lengths = rng.standard_normal((T, m, n_x)), np.array([5, 2, 4])
    shape = (m,) if steps == "last" else (T, m)
    y = rng.integers(0, n_y, shape) if loss == "cross_entropy" else rng.random((*shape, n_y))
    models = [
        RNN(n_x, 4, n_y, num_layers=2, direction=direction, steps=steps, loss=loss,
            dtype="float64", rng=1)
        for direction in ("forward", "reverse", "bidirectional")
    ]  # fmt: skip
    error = max(model_error(model, x, y, lengths) for model in models)
    what = f"model against finite differences, {steps} step{'s' * (steps == 'all')}, {loss}"
    return Result(what, len(models), error, FINITE_DIFFERENCE_TOLERANCE)
