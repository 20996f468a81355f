"""Training from an iterable of batches."""

import itertools

import numpy as np
import pytest

import crnn
from crnn.schedules import Cosine


def batches(shapes=((5, 4), (3, 4), (5, 2)), steps="last"):
    """A batch (x, y) for each T and m."""
    rng = np.random.default_rng(0)
    for T, m in shapes:
        y = rng.integers(0, 2, (T, m) if steps == "all" else m)
        yield rng.standard_normal((T, m, 2)).astype("f4"), y


class Anew:
    """An iterable without a length that gives its batches in each epoch."""

    def __iter__(self):
        return batches()


def fit(model, *args, **options):
    usual = {"progress": False, "rng": 0, "optimizer": crnn.Adam(0.01)}
    return model.fit(*args, **{**usual, **options})


def flat(model):
    return model._network.arena.flat.copy()


@pytest.mark.parametrize("make", [Anew, lambda: list(batches()), lambda: tuple(batches())])
def test_the_steps_are_those_of_train_on_batch(make):
    model, by_hand, adam = crnn.RNN(2, 3, 2, rng=0), crnn.RNN(2, 3, 2, rng=0), crnn.Adam(0.01)
    history = fit(model, make(), epochs=3)
    for epoch in range(3):
        told = [by_hand.train_on_batch(x, y, optimizer=adam) for x, y in batches()]
        means = np.average(told, axis=0, weights=[4, 4, 2])
        found = history.loss[epoch], history.metric[epoch]
        np.testing.assert_allclose(found, means, rtol=1e-12)
    np.testing.assert_array_equal(flat(model), flat(by_hand))


def test_lengths_weights_and_initial_states_of_each_batch():
    """The same numbers as by `fit` with arrays, one batch an epoch."""
    model, whole = (crnn.RNN(2, 3, 2, steps="all", rng=0) for _ in range(2))
    ((x, y),) = batches([(5, 4)], "all")
    lengths, weights, a0 = [5, 1, 3, 2], [1, 2, 0, 3], [np.full((4, 3), 0.5, "f4")]
    fit(model, [(x, y, lengths, weights, a0)], epochs=3)
    fit(whole, x, y, lengths=lengths, sample_weight=weights, a0=a0, epochs=3)
    np.testing.assert_array_equal(flat(model), flat(whole))


def test_lists_of_sequences():
    model, whole = (crnn.RNN(2, 3, 2, rng=0) for _ in range(2))
    ((x, y),) = batches([(5, 4)])
    fit(model, [[[*x.swapaxes(0, 1)], y]], epochs=2)
    fit(whole, [*x.swapaxes(0, 1)], y, epochs=2)
    np.testing.assert_array_equal(flat(model), flat(whole))


def test_a_generator_is_read_a_batch_at_a_time():
    model, read = crnn.RNN(2, 3, 2, rng=0), []

    def watched():
        for k, batch in enumerate(batches([(4, 3)] * 6)):
            read.append((k, flat(model)))
            yield batch

    fit(model, watched(), epochs=1)
    assert [k for k, _ in read] == [0, 1, 2, 3, 4, 5]
    for (_, before), (_, after) in itertools.pairwise(read):
        assert np.any(before != after)  # the step was taken before the next batch was asked for


def test_accumulation_validation_and_patience():
    model, whole = (crnn.RNN(2, 3, 2, dtype="float64", rng=0) for _ in range(2))
    (held_out,) = batches([(5, 8)])
    options = {"accumulate": 2, "validation": held_out, "patience": 3, "epochs": 4}
    history = fit(model, list(batches([(5, 4), (5, 2)])), **options)
    x, y = zip(*batches([(5, 4), (5, 2)]), strict=True)
    x, y = np.concatenate(x, axis=1), np.concatenate(y)
    fit(whole, x, y, epochs=4, validation=held_out, patience=3)
    np.testing.assert_allclose(flat(model), flat(whole), rtol=1e-9, atol=1e-12)
    assert len(history.val_loss) == 4


def test_the_bar_has_no_end(capsys):
    fit(crnn.RNN(2, 3, 2, rng=0), Anew(), epochs=2, progress=True)
    assert "20.0example" in capsys.readouterr().err


def test_the_length_is_used_by_schedules_where_there_is_one():
    adam = crnn.Adam(Cosine(0.1))
    assert fit(crnn.RNN(2, 3, 2, rng=0), list(batches()), epochs=2, optimizer=adam).loss
    with pytest.raises(ValueError, match="lr: expected a schedule with its number of steps"):
        fit(crnn.RNN(2, 3, 2, rng=0), Anew(), optimizer=adam)


def test_nan_is_found_in_its_batch():
    given = list(batches())
    given[1][0][2, 3, 1] = np.nan
    with pytest.raises(crnn.DivergenceError, match=r"batch 1 x: expected finite.*\(2, 3, 1\)"):
        fit(crnn.RNN(2, 3, 2, rng=0), given)


def test_an_error_of_the_iterable_leaves_the_steps_before_it():
    model, two = (crnn.RNN(2, 3, 2, rng=0) for _ in range(2))

    def failing():
        yield from batches([(4, 3)] * 2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        fit(model, failing(), epochs=1)
    fit(two, batches([(4, 3)] * 2), epochs=1)
    np.testing.assert_array_equal(flat(model), flat(two))


(X, Y), *_ = batches()


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (batches(), {"epochs": 2}, ValueError, "x: expected an iterable .* got a generator"),
        (iter([(X, Y)]), {"epochs": 2}, ValueError, "got a list_iterator, which gives them once"),
        ([], {}, ValueError, "x: expected batches in each epoch, got none"),
        (3, {}, TypeError, "x: expected an iterable of batches"),
        ("text", {}, TypeError, "x: expected an iterable of batches"),
        (X, {}, TypeError, "y: expected targets, got None"),
        ([X], {}, TypeError, r"batch 0: expected \(x, y"),
        ([(X,)], {}, TypeError, r"batch 0: expected \(x, y"),
        ([(X, None)], {}, TypeError, "batch 0 y: expected targets"),
        ([(X, Y[:2])], {}, ValueError, "batch 0 y: expected"),
        ([(X, Y, [9] * 4)], {}, ValueError, "batch 0 lengths: expected"),
        ([(X, Y, None, [-1] * 4)], {}, ValueError, "batch 0 sample_weight: expected"),
        ([(X, Y)], {"lengths": [1] * 4}, ValueError, "lengths: expected None with batches"),
        ([(X, Y)], {"sample_weight": [1] * 4}, ValueError, "sample_weight: expected None with"),
        ([(X, Y)], {"a0": [np.zeros((4, 3))]}, ValueError, "a0: expected None with batches"),
        ([(X, Y)], {"patience": 1}, ValueError, "patience: expected None without validation"),
    ],
)
def test_what_does_not_fit_is_refused(x, options, error, message):
    model = crnn.RNN(2, 3, 2, rng=0)
    before = flat(model)
    with pytest.raises(error, match=message):
        fit(model, x, **options)
    np.testing.assert_array_equal(flat(model), before)
