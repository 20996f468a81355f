"""Checks that this build computes the right numbers on this machine, for ``crnn check``.

There are four comparisons, each over a list of cases: the reference's gradients with fourth-order
finite differences of its own forward pass; the kernels with the reference; the kernels' sums over a
million rows of one sign with the true sums; and a whole model's gradients with finite differences
of its loss. The first two are made for every cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from crnn import _check_cells as cells
from crnn import reference
from crnn._check_cells import CELLS
from crnn._engine import kernels
from crnn._network.initial import orthogonal
from crnn.functional import rnn_backward, rnn_forward
from crnn.model import RNN
from crnn.reference import Array

__all__ = ["Result", "run", "sum_tolerance", "tolerance"]


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


class Error(NamedTuple):
    """A relative error, and the largest that rounding can cause."""

    error: float
    tolerance: float

    @property
    def share(self) -> float:
        """The error divided by its tolerance, a failure if above 1; NaN counts as infinity."""
        return math.inf if math.isnan(self.error) else self.error / self.tolerance


#: The factor by which a step of a drawn recurrence multiplies the length of an error, at most.
CONTRACTION = 0.8

#: The tolerance is this times eps times the root of the number of terms: see `tolerance`.
MARGIN = 3.0


def tolerance(dtype: Any, terms: int) -> float:
    """The largest error that rounding may cause in a sum of so many terms, relative to its size.

    The size of a sum is the root of the sum of its terms' squares, which is about the sum itself
    if the terms' signs are random. (The sum itself may cancel to almost nothing.) After k
    additions the partial sum is about ``sqrt(k)`` terms large, and the next rounding is off by at
    most eps/2 of that, with a root mean square of ``eps/sqrt(12)``. The roundings are independent,
    so n of them add up to ``eps n / sqrt(24)`` terms, or ``0.2 eps sqrt(n)`` of the sum's size.
    Kernels that add in several chains do better.

    The tolerance does not depend on T. The recurrence passes an error on, but `problem` draws
    weights that shrink it by CONTRACTION a step or more. If the errors of all earlier steps are
    independent, they add up to ``1 / sqrt(1 - 0.8^2) = 1.7`` times the error of one step, and the
    largest of a million entries is four to five times as large as a typical one: ``0.2 x 1.7 x 5 =
    1.7``. At a fixed point the errors are the same at every step and add up to ``1 / (1 - 0.8) =
    5`` times eps/2, which is 2.5. MARGIN is 3.

    Parameters
    ----------
    dtype : dtype
    terms : int

    Returns
    -------
    float

    Examples
    --------
    >>> from crnn.check import tolerance
    >>> round(tolerance("float32", 256) * 1e6, 2)                # 3 eps sqrt(256)
    5.72
    """
    return MARGIN * float(np.finfo(dtype).eps) * math.sqrt(terms)


#: Rows that a kernel may add up in one chain before their sum is added to the total.
CHAIN = 1 << 14


def sum_tolerance(dtype: Any, terms: int) -> float:
    """The largest relative error that rounding explains in a sum of terms of one sign.

    Here the partial sums grow in proportion to the number of terms, and with equal terms many
    roundings in a row go the same way. Each addition is off by at most eps/2 of the partial sum, so
    a chain of n additions is off by at most ``eps/2 n/2`` of the sum. Kernels add chains of CHAIN
    terms, and then the ``terms / CHAIN`` sums of those; the errors of both add up. For a million
    terms in float32 this is 0.0005; a single chain of equal terms has an error of 0.009.

    Parameters
    ----------
    dtype : dtype
    terms : int

    Returns
    -------
    float

    Examples
    --------
    >>> from crnn.check import sum_tolerance
    >>> round(sum_tolerance("float32", 1 << 20), 4)
    0.0005
    """
    chain = min(terms, CHAIN)
    return float(np.finfo(dtype).eps) / 4 * (chain + terms / chain)


def relative_error(result: Array, truth: Array, size: Array | None = None) -> float:
    """The largest difference, divided by the largest entry of `size`, by default of the truth."""
    largest = np.max(np.abs(truth if size is None else size), initial=0)
    difference = np.max(np.abs(result - truth), initial=0)
    return float(difference / largest) if largest > 0 else float(difference)


def finite_difference(f: Callable[[], float], w: Array, h: float = 1e-3) -> Array:
    """df/dw by central differences of fourth order; w is changed in place and restored.

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
    """Random arguments of one call, drawn such that states neither vanish nor saturate."""

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
    """Draw a Problem, with a bias and an initial state that are not zero.

    Waa shortens every vector by the same factor: nothing is forgotten at once, and no error grows.
    """
    rng = np.random.default_rng([seed, T, m, n_x, n_a])

    def draw(*shape: int, scale: float = 1.0) -> Array:
        return (scale * rng.standard_normal(shape)).astype(dtype)

    arguments = {
        "x": rng.integers(0, n_x, (T, m)) if integers else draw(T, m, n_x),
        "Waa": (CONTRACTION * orthogonal(n_a, rng)).astype(dtype),
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


def sizes_of_sums(p: Problem, a: Array) -> tuple[Array, reference.Gradients]:
    """For a and for each gradient, the root of the sum of the squares of its terms."""
    x, Waa, Wax, ba, a0 = p.arguments.values()
    T, m, n_a = a.shape
    n = np.full(m, T) if p.options["lengths"] is None else p.options["lengths"]
    first = (n - 1 if p.options["reverse"] else np.zeros(m, int), np.arange(m))  # step read
    shift = (slice(1, None), slice(None, -1))  # earlier steps to later ones
    into, out_of = shift[::-1] if p.options["reverse"] else shift
    before, dz_after = np.zeros_like(a), np.zeros_like(a)
    before[into] = a[out_of]
    before[first] = a0  # a<t-1>

    # With Wax = 1 and any input, dx is dz.
    eye, nothing = np.eye(n_a), np.zeros_like(a)
    dz = reference.rnn_backward(p.da, a, nothing, Waa, eye, a0, **p.options).dx
    assert dz is not None
    dz_after[out_of] = dz[into]  # dz<t+1>

    counted = (np.arange(T)[:, None] < n)[..., None]
    slope = reference.activate_backward(np.ones_like(a), a, p.options["activation"])
    rows = reference.one_hot(x, Wax.shape[1]) if x.ndim == 2 else x
    z = np.sqrt(before**2 @ Waa.T**2 + rows**2 @ Wax.T**2 + ba**2)
    # What dz adds up is da<t> and Waa' dz<t+1>, times a slope 1 - a^2 that is off by eps/4 however
    # small it is. Everything computed from dz inherits its error.
    steep = np.maximum(slope, 0.25)
    dz = np.where(counted, steep * np.sqrt(p.da**2 + dz_after**2 @ Waa**2), 0)
    flat = (dz**2).reshape(-1, n_a)
    gradients = reference.Gradients(
        dWaa=np.sqrt(flat.T @ (before**2).reshape(-1, n_a)),
        dWax=np.sqrt(flat.T @ (counted * rows**2).reshape(len(flat), -1)),
        dba=np.sqrt(flat.sum(axis=0)),
        dx=np.sqrt(dz**2 @ Wax**2),
        da0=np.sqrt(dz[first] ** 2 @ Waa**2),
    )
    return np.maximum(np.abs(a), np.where(counted, slope * z, 0)), gradients


def kernel_error(p: Problem) -> Error:
    """The worst error of forward and backward against the float64 reference."""
    exact = {
        name: value.astype("float64") if value.dtype.kind == "f" else value
        for name, value in p.arguments.items()
    }
    truth = Problem(exact, p.options, p.da.astype("float64"))
    a = rnn_forward(**p.arguments, **p.options)
    a_truth = reference.rnn_forward(**truth.arguments, **p.options)
    # Both use the same states, so that they agree on which side of relu's kink each state is.
    g = backward_of(rnn_backward, p, a)
    g_truth = backward_of(reference.rnn_backward, truth, a.astype("float64"))
    a_size, g_size = sizes_of_sums(truth, a.astype("float64"))

    T, m, n_a = a.shape
    step, rows = n_a + p.arguments["Wax"].shape[1] + 1, T * m + n_a  # terms of a step, and of all
    triples = [(a, a_truth, a_size), *zip(g, g_truth, g_size, strict=True)]
    terms = [step, rows, rows, rows, step, step]  # of a, dWaa, dWax, dba, dx, da0
    errors = [
        Error(relative_error(*triple), tolerance(a.dtype, n))
        for triple, n in zip(triples, terms, strict=True)
        if triple[0] is not None
    ]
    return max(errors, key=lambda error: error.share)


def sum_error(T: int, m: int, *, dtype: str, integers: bool = False) -> float:
    """The worst relative error of the weights' gradients where they add up T m equal terms.

    With Waa = 0 every step has the same state and the same dz, so that the sums are known.
    """
    x = np.zeros((T, m), np.intp) if integers else np.ones((T, m, 1), dtype)
    Waa, Wax = np.zeros((2, 2), dtype), np.full((2, 1), 0.5, dtype)
    a = rnn_forward(x, Waa, Wax)
    g = rnn_backward(np.ones_like(a), a, x, Waa, Wax, need_dx=False)
    rows, dlogits = a.reshape(-1, 2), np.ones((T * m, 1), dtype)
    dWya, dby = np.empty((1, 2), dtype), np.empty(1, dtype)
    kernels.output_backward(np.ones_like(dWya), dlogits, rows, dWya, dby, np.empty_like(rows))
    a_1 = float(a[0, 0, 0])
    dz = 1 - a_1**2
    pairs = [
        (g.dWaa, (T - 1) * m * dz * a_1),  # the step before the first has a = 0
        (g.dWax, T * m * dz),
        (g.dba, T * m * dz),
        (dWya, T * m * a_1),
        (dby, T * m),
    ]
    return max(relative_error(d, np.full_like(d, truth, float)) for d, truth in pairs)


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


#: Of a fourth-order difference with h = 1e-3 in float64: h^4 = 1e-12 of truncation and
#: eps / h = 2e-13 of rounding, each times derivatives and sums of some hundreds.
FINITE_DIFFERENCE_TOLERANCE = 1e-8


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
