"""Sequences of unequal length: padded or packed, the same bits; and sums over very many rows."""

import numpy as np
import pytest

import crnn
from crnn._engine.sequence import lengths_of

T, N_X, N_A = 11, 5, 37
#: In no order, with ties, the shortest and the longest.
LENGTHS = np.array([3, 11, 1, 7, 7, 2, 11, 1, 5])


def draw(dtype, integers, lengths=LENGTHS):
    """Inputs, weights, and gradients from above, of a call with these lengths."""
    rng, m = np.random.default_rng(7), len(lengths)

    def normal(*shape):
        return (rng.standard_normal(shape) / 3).astype(dtype)

    x = rng.integers(N_X, size=(T, m)) if integers else normal(T, m, N_X)
    return x, normal(N_A, N_A), normal(N_A, N_X), normal(N_A), normal(m, N_A), normal(T, m, N_A)


def pack(array, lengths):
    """The rows within their example's length, step after step, the longest example first."""
    order = np.argsort(-lengths, kind="stable")
    steps = range(lengths.max())
    return np.concatenate([array[t, [i for i in order if lengths[i] > t]] for t in steps])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_packed_rows_give_the_bits_of_padded_ones(table, dtype, integers, reverse):
    x, Waa, Wax, ba, a0, da = draw(dtype, integers)
    order = np.argsort(-LENGTHS, kind="stable")
    padded = {"lengths": LENGTHS, "reverse": reverse}
    packed = {"lengths": LENGTHS[order], "reverse": reverse}
    a = crnn.rnn_forward(x, Waa, Wax, ba, a0, **padded)
    packed_x, packed_da = pack(x, LENGTHS), pack(da, LENGTHS)
    packed_a = crnn.rnn_forward(packed_x, Waa, Wax, ba, a0[order], **packed)
    np.testing.assert_array_equal(packed_a, pack(a, LENGTHS))
    g = crnn.rnn_backward(da, a, x, Waa, Wax, a0, **padded)
    packed_g = crnn.rnn_backward(packed_da, packed_a, packed_x, Waa, Wax, a0[order], **packed)
    for name in ("dWaa", "dWax", "dba"):
        np.testing.assert_array_equal(getattr(packed_g, name), getattr(g, name), err_msg=name)
    np.testing.assert_array_equal(packed_g.da0, g.da0[order])
    if integers:
        assert packed_g.dx is None
    else:
        np.testing.assert_array_equal(packed_g.dx, pack(g.dx, LENGTHS))


def test_packed_rows_of_one_length_are_an_array():
    """Nothing is packed then, and the bits are those of a call without lengths."""
    x, Waa, Wax, ba, a0, _ = draw("float32", False)
    m = len(LENGTHS)
    a = crnn.rnn_forward(x.reshape(T * m, N_X), Waa, Wax, ba, a0, lengths=[T] * m)
    np.testing.assert_array_equal(a, crnn.rnn_forward(x, Waa, Wax, ba, a0).reshape(T * m, N_A))


def test_lengths_of_batch_sizes():
    """Also the row of each example's last step, and ties."""
    lengths = np.sort(LENGTHS)[::-1]
    rows = np.concatenate([np.flatnonzero(lengths > t) + 100 * t for t in range(T)])
    batch_sizes = (lengths > np.arange(T)[:, None]).sum(1)
    found, last = lengths_of(batch_sizes)
    np.testing.assert_array_equal(found, lengths)
    np.testing.assert_array_equal(rows[last], np.arange(len(lengths)) + 100 * (lengths - 1))


@pytest.mark.parametrize("batch_sizes", [[], [0], [2, 3], [2, 0, 1], [2, -1], [-1], [[2, 1]]])
def test_batch_sizes_that_are_none(batch_sizes):
    with pytest.raises(ValueError, match=r"batch_sizes: expected positive int64 .* never rise"):
        lengths_of(np.array(batch_sizes, np.intp))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (None, "x: expected float32 of shape .*; or packed, with lengths"),
        ([2, 3], "lengths: expected integers .* that never increase, .* 5 rows"),
        ([3, 1], "lengths: expected integers .* whose sum is the 5 rows"),
        ([5, 0], "lengths: expected integers .* of at least 1"),
        # Sums that wrap around to 5 in 64 bits: of equal lengths, and of falling ones.
        (np.array([2**64 // 3 + 2] * 3), "whose sum is the 5 rows"),
        (np.array([2**62] * 4 + [5]), "whose sum is the 5 rows"),
    ],
)
def test_lengths_that_do_not_fit_packed_rows(lengths, message):
    with pytest.raises(ValueError, match=message):
        crnn.rnn_forward(
            np.ones((5, 2), "f4"), np.eye(3, dtype="f4"), np.ones((3, 2), "f4"), lengths=lengths
        )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("integers", [False, True])
def test_the_bits_depend_on_no_number_of_threads(table, integers, reverse):
    """Rows are distributed over the threads, and there is enough work to use several."""
    rng = np.random.default_rng(0)
    T, m, n_x, n_a = 60, 41, 24, 129
    lengths = rng.integers(1, T + 1, m)
    x = rng.integers(n_x, size=(T, m)) if integers else rng.standard_normal((T, m, n_x))
    Waa, Wax, da = (rng.standard_normal(s) / 9 for s in [(n_a, n_a), (n_a, n_x), (T, m, n_a)])
    before = crnn.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3, 4):
            crnn.set_num_threads(n)
            a = crnn.rnn_forward(x, Waa, Wax, lengths=lengths, reverse=reverse)
            g = crnn.rnn_backward(da, a, x, Waa, Wax, lengths=lengths, reverse=reverse)
            results.append([array.tobytes() for array in (a, *g) if array is not None])
    finally:
        crnn.set_num_threads(before)
    if table != "blas":  # whose own threads are the BLAS's affair
        assert all(result == results[0] for result in results)


def tolerance_of_sums(table):
    """Of a million equal terms in float32; added up in one chain, the error is 8e-3.

    Each addition errs by at most half an ulp of its running sum. The kernels add up blocks of at
    most 256 rows, these to partial sums of 2^14 rows, and those to the result: chains of 256, 128
    and 64 additions. Over BLAS they are 2^12 and 256, whatever the BLAS does.
    """
    return (4096 + 256 if table == "blas" else 256 + 128 + 64) * 2**-24


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("integers", [False, True])
def test_sums_of_terms_of_one_sign_keep_their_digits(table, integers, lengths):
    T, m = 10_000, 100
    x = np.zeros((T, m), np.intp) if integers else np.ones((T, m, 1), "f4")
    Waa, Wax = np.zeros((2, 2), "f4"), np.full((2, 1), 0.5, "f4")
    steps = np.full(m, T) - np.arange(m) if lengths else None
    a = crnn.rnn_forward(x, Waa, Wax, lengths=steps)
    g = crnn.rnn_backward(np.ones_like(a), a, x, Waa, Wax, lengths=steps, need_dx=False)
    rows = T * m if steps is None else int(steps.sum())
    a_1 = float(a[0, 0, 0])
    dz = 1 - a_1**2
    tolerance = tolerance_of_sums(table)
    np.testing.assert_allclose(g.dba, rows * dz, rtol=tolerance)
    np.testing.assert_allclose(g.dWax, rows * dz, rtol=tolerance)
    np.testing.assert_allclose(g.dWaa, (rows - m) * dz * a_1, rtol=tolerance)


def test_sums_of_an_output_layer_keep_their_digits(table):
    model = crnn.RNN(1, 2, 1, steps="all", loss="mse", rng=0)
    model.parameters["Waa"], model.parameters["Wax"], model.parameters["Wya"] = 0, 0.5, 0
    x, y = np.ones((10_000, 100, 1), "f4"), np.full((10_000, 100, 1), 0.5, "f4")
    _, gradients = model.gradients(x, y)
    a_1 = np.tanh(np.float64(0.5))
    np.testing.assert_allclose(gradients["Wya"], -a_1, rtol=tolerance_of_sums(table))
