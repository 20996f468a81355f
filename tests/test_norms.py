"""Norms of the gradients of the states, which backward writes on request."""

import numpy as np
import pytest
from c_problem import CallProblem

import crnn
from crnn._engine import recurrence
from crnn._engine.recurrence import CellInputs, Rule

T, M, N_X, N_A = 6, 9, 3, 37  # more than one panel of columns, and no multiple of a vector
GATES = {"vanilla": 1, "leaky": 1, "current": 1, "gru": 3, "lstm": 4}
LENGTHS = np.array([6, 3, 5, 6, 1, 2, 6, 6, 4])


def problem(kind, dtype, lengths=None, reverse=False):
    rng = np.random.default_rng(0)
    rows, cell = GATES[kind] * N_A, "leaky" if kind == "current" else kind
    leak = np.full(N_A, 0.3, dtype) if cell == "leaky" else None
    x, da = (rng.standard_normal((T, M, n)).astype(dtype) for n in (N_X, N_A))
    Waa = (rng.standard_normal((rows, N_A)) / 6).astype(dtype)
    Wax = rng.standard_normal((rows, N_X)).astype(dtype)
    rule = Rule(cell, leak=leak, equation="current" if kind == "current" else "rate")
    return CellInputs(x, Waa, Wax, None, None, None, None, lengths, reverse, rule), da


def part(inputs, i, steps, a0=None, c0=None):
    """The same recurrence for some steps of example i."""
    x = np.ascontiguousarray(inputs.x[steps, i : i + 1])
    return inputs._replace(x=x, a0=a0, c0=c0, lengths=None)


def expected(inputs, da):
    """Each norm by itself: da<t>, and da0 of the steps after t, started from a<t>."""
    states, norms = recurrence.cell_forward(inputs), np.zeros((T, M))
    for i, n in enumerate(np.full(M, T) if inputs.lengths is None else inputs.lengths):
        for t in range(n):
            before, after = slice(0, t + 1), slice(t + 1, n)
            if inputs.reverse:
                before, after = slice(t, n), slice(0, t)
            total = da[t, i].astype(np.float64)
            if after.stop > after.start:
                c_n = recurrence.cell_forward(part(inputs, i, before)).c_n
                rest = part(inputs, i, after, states.a[t, i : i + 1].copy(), c_n)
                da_of_rest = np.ascontiguousarray(da[after, i : i + 1])
                g = recurrence.cell_backward(rest, recurrence.cell_forward(rest), da_of_rest)
                total += g.da0[0]
            norms[t, i] = np.linalg.norm(total)
    return norms


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "lengths"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 2e-5)])
def test_norms_are_those_of_the_rest_of_the_sequence(kind, lengths, reverse, dtype, rtol, table):
    inputs, da = problem(kind, dtype, lengths, reverse)
    norms = np.full((T, M), np.nan)
    recurrence.cell_backward(inputs, recurrence.cell_forward(inputs), da, norms=norms)
    np.testing.assert_allclose(norms, expected(inputs, da), rtol=rtol)


@pytest.mark.parametrize("kind", GATES)
def test_gradients_are_the_same_bits_with_norms_and_norms_at_any_number_of_threads(kind):
    inputs, da = problem(kind, "float32")
    states, found = recurrence.cell_forward(inputs), []
    before = crnn.get_num_threads()
    for threads in (1, 2):
        crnn.set_num_threads(threads)
        found.append(np.empty((T, M)))
        g = recurrence.cell_backward(inputs, states, da, norms=found[-1])
        plain = recurrence.cell_backward(inputs, states, da)
        for ours, theirs in zip(g, plain, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    crnn.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize(
    "norms",
    [np.empty((T, M), np.float32), np.empty((M, T)), np.empty((T, M, 1)), [[0.0] * M] * T],
    ids=["float32", "transposed", "three axes", "list"],
)
def test_an_array_that_does_not_fit_is_refused(norms):
    inputs, da = problem("gru", "float64")
    with pytest.raises(RuntimeError, match="no longer fits"):
        recurrence.cell_backward(inputs, recurrence.cell_forward(inputs), da, norms=norms)


def test_in_c():
    inputs, da = problem("vanilla", "float64")
    a = recurrence.cell_forward(inputs).a
    norms, wanted = np.full((T, M), np.nan), np.empty((T, M))
    recurrence.cell_backward(inputs, recurrence.cell_forward(inputs), da, norms=wanted)
    given = {"x": inputs.x, "Waa": inputs.Waa, "Wax": inputs.Wax, "da": da}
    shapes = {"a": a.shape, "dWaa": inputs.Waa.shape, "dWax": inputs.Wax.shape}
    p = CallProblem("rnn", (T, M, N_X, N_A), given, None, shapes)
    p.call.norms = norms.ctypes.data
    p.run(backward=0)
    p.run(backward=1)
    np.testing.assert_array_equal(norms, wanted)
    p.call.norms += 1
    assert p.function(backward=1)(p.call) == 8  # misaligned
