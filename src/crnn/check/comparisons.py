"""The comparisons of ``crnn check``, each over a list of cases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from crnn import reference
from crnn.check import cells
from crnn.check.cells import CELLS
from crnn.check.rounding import (
    FINITE_DIFFERENCE_TOLERANCE,
    MARGIN,
    Error,
    finite_difference,
    relative_error,
    sum_tolerance,
)
from crnn.check.vanilla import kernel_error, problem, reference_error, sum_error
from crnn.model import RNN


@dataclass(frozen=True)
class Result:
    """The largest relative error of one comparison, and the largest that rounding can cause.

    Attributes
    ----------
    what : str
        What is compared with what.
    cases : int
        How many random problems were compared.
    error, tolerance : float
        The largest relative error among them, and its limit: see `tolerance`.

    Examples
    --------
    >>> from crnn.check import Result
    >>> Result("kernels against reference", cases=4, error=2e-16, tolerance=1e-15).passed
    True
    """

    what: str
    cases: int
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether rounding explains the error; it never explains NaN."""
        return self.error <= self.tolerance


#: Every kind of input and reading.
KINDS: list[dict[str, Any]] = [
    dict(zip(("integers", "lengths", "reverse"), kind, strict=True))
    for kind in product((False, True), repeat=3)
]


def run() -> Iterator[Result]:
    """Run every comparison, one after the other, as ``crnn check`` does.

    Yields
    ------
    Result
        About thirty, each as soon as it is known; the whole takes some seconds.

    Examples
    --------
    >>> from crnn import check
    >>> first = next(check.run())
    >>> first.what, first.passed
    ('reference against finite differences', True)
    """
    yield _reference_result()
    for dtype in ("float32", "float64"):
        for activation in ("tanh", "relu"):
            yield _kernel_result(dtype, activation)
    for name in CELLS:
        yield _cell_reference_result(name)
        for dtype in ("float32", "float64"):
            yield _cell_kernel_result(name, dtype)
    yield _sum_result("float32")  # in float64, symbols are added up in one chain: 2e-11
    for steps, loss in product(("last", "mean", "all"), ("cross_entropy", "mse")):
        yield _model_result(steps, loss)


def _reference_result() -> Result:
    cases = [problem(T, 3, 2, 4, **kind) for T, kind in product((1, 2, 7), KINDS)]
    error = max(map(reference_error, cases))
    what = "reference against finite differences"
    return Result(what, len(cases), error, FINITE_DIFFERENCE_TOLERANCE)


def _kernel_result(dtype: str, activation: str) -> Result:
    sizes = [(1, 1, 1), (1, 17, 33), (5, 16, 15), (16, 3, 64), (33, 64, 65), (32, 100, 128)]
    cases = [
        problem(20, *size, dtype=dtype, activation=activation, **kind)
        for size, kind in product(sizes, KINDS)
    ]
    cases.append(problem(1000, 4, 5, 32, dtype=dtype, activation=activation))
    worst = max(map(kernel_error, cases), key=lambda error: error.share)
    return Result(f"kernels against reference, {dtype}, {activation}", len(cases), *worst)


def _cell_reference_result(name: str) -> Result:
    cases = [cells.problem(name, T, 3, 2, 4, **kind) for T, kind in product((1, 5), KINDS)]
    h = 1e-4 if "relu" in name else 1e-3  # relu is linear between its kinks
    errors = []
    for p in cases:
        g = p.backward(p.forward(reference), reference)
        for argument, value in {**p.arguments, **p.initial}.items():
            gradient = getattr(g, f"d{argument}")
            if gradient is not None:  # symbols have none
                df = finite_difference(lambda p=p: cells.loss(p), value, h)  # type: ignore[misc]
                errors.append(relative_error(gradient, df))
    what = f"reference against finite differences, {name}"
    return Result(what, len(cases), max(errors), FINITE_DIFFERENCE_TOLERANCE)


def _cell_kernel_result(name: str, dtype: str) -> Result:
    sizes = [(1, 1, 1), (1, 17, 33), (7, 16, 15), (16, 3, 64), (33, 64, 70)]
    worst = Error(0.0, 1.0)
    cases = list(product(sizes, KINDS))
    for size, kind in cases:
        p = cells.problem(name, 20, *size, dtype=dtype, **kind)
        error = cells.kernel_error(p)
        allowed = MARGIN * float(np.finfo(dtype).eps) * math.sqrt(cells.terms(p))
        worst = max(worst, Error(error, allowed), key=lambda error: error.share)
    return Result(f"kernels against reference, {dtype}, {name}", len(cases), *worst)


def _sum_result(dtype: str) -> Result:
    sizes = [(1 << 10, 1 << 10), (1 << 18, 1 << 2)]
    cases = list(product(sizes, (False, True)))
    error = max(sum_error(*size, dtype=dtype, integers=integers) for size, integers in cases)
    what = f"sums over a million rows, {dtype}"
    return Result(what, len(cases), error, sum_tolerance(dtype, 1 << 20))


def _model_result(steps: str, loss: str) -> Result:
    rng = np.random.default_rng(0)
    T, m, n_x, n_y = 5, 3, 2, 3
    x, lengths = rng.standard_normal((T, m, n_x)), np.array([5, 2, 4])
    shape = (T, m) if steps == "all" else (m,)
    y = rng.integers(0, n_y, shape) if loss == "cross_entropy" else rng.random((*shape, n_y))
    models = [
        RNN(n_x, 4, n_y, num_layers=2, direction=direction, steps=steps, loss=loss,
            dtype="float64", rng=1)
        for direction in ("forward", "reverse", "bidirectional")
    ]  # fmt: skip
    error = max(model_error(model, x, y, lengths) for model in models)
    read = {"last": "last step", "mean": "mean of steps", "all": "all steps"}[steps]
    what = f"model against finite differences, {read}, {loss}"
    return Result(what, len(models), error, FINITE_DIFFERENCE_TOLERANCE)


def model_error(
    model: RNN, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None
) -> float:
    """The largest relative error of a float64 model's gradients against finite differences."""
    given = (x, y, lengths, sample_weight)
    gradients = model.gradients(*given)[1]
    return max(
        relative_error(
            gradients[name],
            finite_difference(lambda: model.evaluate(*given)[0], parameter),
        )
        for name, parameter in model.parameters.items()
    )
