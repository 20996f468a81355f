"""Weights of classes: they multiply the weights of examples and steps."""

import numpy as np
import pytest

import crnn

M, T = 9, 5


def examples(steps="last"):
    rng = np.random.default_rng(0)
    y = rng.choice(3, (T, M) if steps == "all" else M, p=[0.6, 0.3, 0.1])
    return rng.standard_normal((T, M, 2)), y


def flat(model):
    return model._network.arena.flat.copy()


def fitted(x, y, steps="last", **options):
    model = crnn.RNN(2, 3, 3, steps=steps, dtype="float64", rng=0)
    model.fit(x, y, batch_size=4, epochs=2, progress=False, rng=0, **options)
    return flat(model)


def balanced(y, w):
    """Each class has the same total, and the sum is that of w."""
    totals = np.array([w[y == k].sum() for k in range(3)])
    return w * (totals.sum() / np.count_nonzero(totals) / np.maximum(totals, 1e-300))[y]


@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("weights", [None, np.arange(M) + 0.5])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 1, 2: 5.5}, {1: 0}])
def test_fit_with_class_weight_is_fit_with_the_product_as_sample_weight(
    steps, weights, class_weight
):
    x, y = examples(steps)
    w = np.broadcast_to(np.ones(M) if weights is None else weights, y.shape)
    if class_weight == "balanced":
        product = balanced(y, w)
    else:
        product = w * np.array([class_weight.get(k, 1) for k in range(3)])[y]
    found = fitted(x, y, steps, sample_weight=weights, class_weight=class_weight)
    np.testing.assert_allclose(found, fitted(x, y, steps, sample_weight=product), rtol=1e-12)
    assert np.any(found != fitted(x, y, steps, sample_weight=weights))


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1, 2: 5.5}])
def test_lengths_and_lists(class_weight):
    """Classes past an example's length, which may be any number, are not counted."""
    x, y = examples("all")
    lengths = np.array([5, 1, 2, 3, 4, 5, 1, 2, 3])
    y[np.arange(T)[:, None] >= lengths] = -99
    valid = np.arange(T)[:, None] < lengths
    if class_weight == "balanced":
        of_class = balanced(np.arange(3), np.bincount(y[valid], minlength=3))
        of_class = of_class / np.bincount(y[valid], minlength=3)
    else:
        of_class = np.array([1, 1, 5.5])
    product = np.where(valid, of_class[np.where(valid, y, 0)], 0)
    expected = fitted(x, y, "all", lengths=lengths, sample_weight=product)
    found = fitted(x, y, "all", lengths=lengths, class_weight=class_weight)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    listed = [x[:n, i] for i, n in enumerate(lengths)], [y[:n, i] for i, n in enumerate(lengths)]
    found = fitted(*listed, "all", class_weight=class_weight)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_class_that_is_absent_or_without_weight_does_not_count():
    x, _ = examples()
    y = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    w = np.array([1.0] * 8 + [0.0])
    found = fitted(x, y, sample_weight=w, class_weight="balanced")
    expected = fitted(x, y, sample_weight=[8 / 12] * 6 + [2, 2, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_batches_take_a_dict():
    x, y = examples()
    models = [crnn.RNN(2, 3, 3, dtype="float64", rng=0) for _ in range(3)]
    models[0].train_on_batch(x, y, class_weight={2: 4})
    models[1].fit([(x, y)], epochs=1, class_weight={2: 4}, progress=False)
    models[2].train_on_batch(x, y, sample_weight=np.array([1, 1, 4])[y])
    for model in models[1:]:
        np.testing.assert_allclose(flat(models[0]), flat(model), rtol=1e-14)


def test_validation_is_without_it():
    x, y = examples()
    model = crnn.RNN(2, 3, 3, dtype="float64", rng=0)
    options = {"validation": (x, y), "class_weight": {0: 100}, "progress": False, "epochs": 1}
    assert model.fit(x, y, **options).val_loss[0] == pytest.approx(model.evaluate(x, y)[0])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("even", TypeError, "class_weight: expected 'balanced', a dict"),
        ([1, 2, 3], TypeError, "class_weight: expected 'balanced', a dict"),
        ({3: 1}, ValueError, r"class_weight: expected class numbers in 0\.\.2 as keys, got 3"),
        ({"a": 1}, TypeError, r"class_weight: expected class numbers in 0\.\.2 as keys, got 'a'"),
        ({0: -1}, ValueError, r"class_weight\[0\]: expected a finite number >= 0"),
        ({0: 0, 1: 0, 2: 0}, ValueError, "^class_weight: expected weights whose sum is finite and"),
    ],
)
def test_what_does_not_fit_is_refused(given, error, message):
    x, y = examples()
    model = crnn.RNN(2, 3, 3, rng=0)
    before = flat(model)
    with pytest.raises(error, match=message):
        model.fit(x, y, class_weight=given, progress=False)
    np.testing.assert_array_equal(flat(model), before)


def test_a_product_that_is_refused_has_both_names():
    x, y = examples()
    options = {"sample_weight": np.ones(M), "class_weight": {0: 0, 1: 0, 2: 0}}
    with pytest.raises(ValueError, match=r"^sample_weight times class_weight: expected"):
        crnn.RNN(2, 3, 3, rng=0).fit(x, y, progress=False, **options)


def test_balanced_needs_all_classes_before():
    x, y = examples()
    model = crnn.RNN(2, 3, 3, rng=0)
    with pytest.raises(ValueError, match="class_weight: expected a dict, because not all"):
        model.fit([(x, y)], epochs=1, class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight: expected a dict, because not all"):
        model.train_on_batch(x, y, class_weight="balanced")


def test_values_have_no_classes():
    x, _ = examples()
    model = crnn.RNN(2, 3, 1, loss="mse", rng=0)
    with pytest.raises(ValueError, match="class_weight: expected None with loss='mse'"):
        model.fit(x, np.zeros((M, 1)), class_weight="balanced")


@pytest.mark.parametrize("class_weight", ["balanced", {1: 4}])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_the_label_of_one_output_is_a_class(class_weight, steps):
    x, y = examples(steps)
    y, lengths = (y > 0).astype(int), np.array([5, 1, 3, 4, 2, 5, 5, 5, 1])
    fits = []
    for loss, n_y in (("binary_cross_entropy", 1), ("cross_entropy", 2)):
        model = crnn.RNN(2, 3, n_y, loss=loss, steps=steps, dtype="float64", rng=0)
        for name in ("Wya", "by"):  # the same answers: of two logits, the first is 0
            model.parameters[name] = 0
            model.parameters[name][-1] = 0.7
        history = model.fit(x, y, lengths=lengths, epochs=1, batch_size=9, progress=False,
                            class_weight=class_weight, optimizer=crnn.SGD(1e-9))  # fmt: skip
        fits.append(history.loss[0])
    assert fits[0] == pytest.approx(fits[1], rel=1e-12)


def test_labels_that_are_no_classes_are_refused():
    x, y = examples()
    model = crnn.RNN(2, 3, 1, loss="binary_cross_entropy", rng=0)
    with pytest.raises(ValueError, match=r"class_weight: .* some labels of y are not 0 or 1"):
        model.fit(x, y / 4, class_weight="balanced", progress=False)
    many = crnn.RNN(2, 3, 2, loss="binary_cross_entropy", rng=0)
    with pytest.raises(ValueError, match="class_weight: expected None with loss="):
        many.fit(x, np.ones((M, 2)), class_weight={1: 2}, progress=False)
