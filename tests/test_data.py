"""Several samples of a series as one step."""

import numpy as np
import pytest

import crnn
from crnn.data import frames


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def by_hand(x, k, remainder):
    """The frames of one sequence (T, n_x), sample by sample."""
    if remainder == "drop":
        x = x[len(x) % k :]
    return [
        np.concatenate([x[min(t + j, len(x) - 1)] for j in range(k)]) for t in range(0, len(x), k)
    ]


@pytest.mark.parametrize("remainder", ["repeat", "drop"])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
class TestFrames:
    def test_of_an_array(self, k, remainder):
        x = numbers(11, 4, 2)
        found = frames(x, k, remainder=remainder)
        for i in range(4):
            np.testing.assert_array_equal(found[:, i], by_hand(x[:, i], k, remainder))

    def test_of_an_array_with_lengths(self, k, remainder):
        x, lengths = numbers(11, 4, 2), np.array([11, 5, 9, 6])
        found, after = frames(x, k, lengths, remainder=remainder)
        for i, length in enumerate(lengths):
            expected = by_hand(x[:length, i], k, remainder)
            assert after[i] == len(expected)
            np.testing.assert_array_equal(found[: after[i], i], expected)
            assert not found[after[i] :, i].any()
        assert len(found) == after.max()

    def test_of_a_list(self, k, remainder):
        xs = [numbers(T, 2) for T in (5, 11, 9)]
        for x, found in zip(xs, frames(xs, k, remainder=remainder), strict=True):
            np.testing.assert_array_equal(found, by_hand(x, k, remainder))
        (found,) = frames([xs[0][:, 0]], k, remainder=remainder)
        np.testing.assert_array_equal(found, by_hand(xs[0][:, :1], k, remainder))


def test_a_list_and_an_array_are_the_same_for_a_model():
    model = crnn.RNN(6, 4, 2, steps="mean", rng=0)
    x, lengths = numbers(20, 3, 2), np.array([20, 7, 13])
    whole = model.predict_proba(*frames(x, 3, lengths))
    listed = model.predict_proba(frames([x[:T, i] for i, T in enumerate(lengths)], 3))
    np.testing.assert_allclose(listed, whole, rtol=1e-5)


def test_the_dtype_stays_and_nothing_is_shared():
    x = np.arange(8, dtype=np.int16).reshape(4, 2, 1)
    found = frames(x, 1)
    assert found.dtype == np.int16
    found[...] = 9
    assert x[3, 1, 0] == 7


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((numbers(5, 2, 1), 0), {}, ValueError, "k: expected a whole number >= 1"),
        ((numbers(5, 2, 1), 2.5), {}, TypeError, "k: expected"),
        ((numbers(5, 2), 2), {}, ValueError, r"x: expected numbers of shape \(T, m, n_x\),"),
        (([], 2), {}, ValueError, "x: expected at least one sequence"),
        (([numbers(5, 2, 1)], 2), {}, ValueError, r"x\[0\]: expected numbers of shape \(T_i,"),
        (([numbers(5), []], 2), {}, ValueError, r"x\[1\]: expected .* of at least one step"),
        (([numbers(5)], 2, [5]), {}, ValueError, "lengths: expected None with a list x"),
        ((numbers(5, 2, 1), 2, [5, 6]), {}, ValueError, "lengths: expected"),
        ((numbers(5, 2, 1), 2), {"remainder": "zeros"}, ValueError, "remainder: expected one of"),
        ((numbers(5, 2, 1), 6), {"remainder": "drop"}, ValueError, "x: expected at least k = 6"),
        (
            (numbers(5, 2, 1), 3, [5, 2]), {"remainder": "drop"}, ValueError,
            "lengths: expected at least k = 3 samples with remainder='drop', got 2",
        ),
        (
            ([numbers(5), numbers(1)], 2), {"remainder": "drop"}, ValueError,
            r"x\[1\]: expected at least k = 2",
        ),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(arguments, options, error, message):
    with pytest.raises(error, match=message):
        frames(*arguments, **options)
