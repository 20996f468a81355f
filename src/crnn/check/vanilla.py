"""Comparisons of the vanilla cell: with the reference, with differences, and with known sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn import reference
from crnn._engine import kernels
from crnn._network.initial import orthogonal
from crnn.check.rounding import (
    CONTRACTION,
    Error,
    finite_difference,
    relative_error,
    tolerance,
)
from crnn.functional import rnn_backward, rnn_forward
from crnn.reference import Array


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
