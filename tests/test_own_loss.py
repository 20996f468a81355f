"""A loss of the user's own: how it is called, checked and kept."""

import pickle

import numpy as np
import pytest

import crnn
from crnn import check

T, M, N_X, N_Y = 5, 6, 3, 2
LENGTHS = np.array([5, 1, 3, 4, 2, 5])


def squared(logits, y):
    """The mean squared error, as a user would write it."""
    e = logits - y
    return (e**2).mean(axis=1), 2 * e / e.shape[1]


class Softmax(crnn.Loss):
    """Cross entropy, as a user would write it."""

    targets = "classes"
    metric = "accuracy"

    def __call__(self, logits, y):
        p, rows = self.y_hat(logits), np.arange(len(y))
        gradients = p.copy()
        gradients[rows, y] -= 1
        return -np.log(p[rows, y]), gradients

    def y_hat(self, logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def decide(self, y_hat):
        return y_hat.argmax(axis=1)

    def metrics(self, logits, y):
        return logits.argmax(axis=1) == y


class Interval(crnn.Loss):
    """A center and a width for each target; the defaults of a Loss but for its targets."""

    def __call__(self, logits, y):
        centre, width = np.split(logits, 2, axis=1)
        e, excess = centre - y, width - 1
        return (e**2 + excess**2)[:, 0], np.concatenate([2 * e, 2 * excess], axis=1)

    def n_targets(self, n_y):
        return n_y // 2


def problem(loss, steps="last", dtype="float64", classes=False, n_targets=N_Y):
    rng = np.random.default_rng(0)
    model = crnn.RNN(N_X, 5, N_Y, steps=steps, loss=loss, dtype=dtype, rng=1)
    shape = (M,) if steps == "last" else (T, M)
    y = rng.integers(0, N_Y, shape) if classes else rng.random((*shape, n_targets))
    return model, rng.standard_normal((T, M, N_X)), y


@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize(
    ("own", "built_in"), [(squared, "mse"), (Softmax(), "cross_entropy")], ids=["mse", "classes"]
)
class TestOneThatCrnnHas:
    def test_loss_gradients_and_answers(self, own, built_in, steps):
        mine, x, y = problem(own, steps, classes=built_in == "cross_entropy")
        theirs, *_ = problem(built_in, steps)
        w = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0])
        x[:, w == 0] = np.nan  # which a weight of 0 leaves out
        for weights in (w, w[:, None].T.repeat(T, 0)) if steps == "all" else (w,):
            loss, gradients = mine.gradients(x, y, LENGTHS, weights)
            expected, d = theirs.gradients(x, y, LENGTHS, weights)
            assert loss == pytest.approx(expected, rel=1e-12)
            for name in d:
                np.testing.assert_allclose(gradients[name], d[name], rtol=1e-11, atol=1e-14)
        x = np.nan_to_num(x)
        np.testing.assert_allclose(mine.predict(x), theirs.predict(x), rtol=1e-12)
        np.testing.assert_allclose(
            mine.predict_proba(x, LENGTHS), theirs.predict_proba(x, LENGTHS), rtol=1e-12
        )
        if steps == "all":
            step = mine.stream(M).step(x[0])
            np.testing.assert_allclose(step, theirs.predict_proba(x[:1])[0], rtol=1e-12)

    def test_training(self, own, built_in, steps):
        histories = []
        for loss in (own, built_in):
            model, x, y = problem(loss, steps, "float32", classes=built_in == "cross_entropy")
            validation = (x, y, LENGTHS)
            histories.append(
                model.fit(
                    x, y, lengths=LENGTHS, batch_size=4, validation=validation, progress=False,
                    memory="sqrt", rng=0,
                )
            )  # fmt: skip
        for name in ("loss", "val_loss"):
            np.testing.assert_allclose(*(getattr(h, name) for h in histories), rtol=1e-4)
        if own is not squared:
            assert histories[0].val_metric == pytest.approx(histories[1].val_metric)


def test_the_defaults_of_a_loss():
    model, x, y = problem(Interval(), n_targets=1)
    assert check.model_error(model, x, y, LENGTHS) < check.FINITE_DIFFERENCE_TOLERANCE
    loss, metric = model.evaluate(x, y)
    assert metric == loss
    np.testing.assert_array_equal(model.predict(x), model.predict_proba(x))
    assert model.fit(x, y, epochs=1, progress=False).metric_name == "loss"


def test_it_cannot_change_what_it_gets():
    def greedy(logits, y):
        logits -= y
        return (logits**2).sum(axis=1), 2 * logits

    model, x, y = problem(greedy)
    with pytest.raises(ValueError, match="read-only"):
        model.gradients(x, y)


def returns(*found):
    return lambda logits, y: found if len(found) > 1 else found[0]


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (returns(1.0), TypeError, "loss: expected it to return losses and gradients, got 1.0"),
        (returns(1.0, np.zeros((M, N_Y))), ValueError, r"expected losses of shape \(6,\)"),
        (returns(np.zeros(M), np.zeros(M)), ValueError, r"expected gradients of shape \(6, 2\)"),
        (returns(np.zeros(M), np.full((M, N_Y), "a")), ValueError, "expected gradients of shape"),
        (returns(np.zeros(M), np.zeros((M, N_Y)) * 1j), ValueError, "expected gradients of shape"),
        (crnn.Loss(), NotImplementedError, r"Loss: expected a method __call__\(logits, y\)"),
    ],
)
def test_what_it_returns_is_checked_and_nothing_is_changed(loss, error, message):
    model, x, y = problem(loss)
    before = model.parameters["Waa"].copy()
    with pytest.raises(error, match=message):
        model.fit(x, y, progress=False)
    np.testing.assert_array_equal(model.parameters["Waa"], before)


def test_its_attributes_are_checked():
    class Wrong(crnn.Loss):
        targets = "labels"

    with pytest.raises(ValueError, match="targets to be 'values' or 'classes', got 'labels'"):
        crnn.RNN(1, 1, 1, loss=Wrong())
    with pytest.raises(TypeError, match=r"expected an object such as Softmax\(\)"):
        crnn.RNN(1, 1, 1, loss=Softmax)


def test_a_loss_that_is_not_finite_ends_training():
    model, x, y = problem(lambda z, y: (np.full(len(z), np.nan), z))
    with pytest.raises(crnn.DivergenceError, match="loss"):
        model.fit(x, y, progress=False)


class TestKeeping:
    def test_a_file_has_its_name_only(self, tmp_path):
        model, x, _ = problem(squared)
        path = tmp_path / "m.safetensors"
        model.save(path)
        with pytest.raises(ValueError, match=r"m\.safetensors: loss: .*squared, which no file"):
            crnn.load(path)
        loaded = crnn.load(path, loss=squared)
        assert loaded.config == model.config
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
        other = crnn.load(path, loss=lambda z, y: (z, y))
        assert other.config != model.config

    def test_a_file_with_a_loss_of_crnns_takes_no_other(self, tmp_path):
        problem("mse")[0].save(tmp_path / "m")
        with pytest.raises(ValueError, match="loss: expected None, because the model has 'mse'"):
            crnn.load(tmp_path / "m", loss=squared)
        assert crnn.load(tmp_path / "m", loss="mse").config.loss == "mse"
        model = crnn.RNN(2, 3, 1, loss=crnn.Huber(0.3), rng=0)
        model.save(tmp_path / "m")
        assert crnn.load(tmp_path / "m", loss=crnn.Huber(0.3)).config == model.config
        with pytest.raises(ValueError, match=r"because the model has Huber\(delta=0.3\)"):
            crnn.load(tmp_path / "m", loss=crnn.Huber(0.4))

    def test_training_goes_on_from_a_checkpoint(self, tmp_path):
        models = []
        for epochs in ([4], [2, 4]):
            for last in epochs:
                model, x, y = problem(squared)
                path = tmp_path / f"{len(epochs)}"
                model.fit(x, y, epochs=last, batch_size=2, checkpoint=path, progress=False, rng=0)
            models.append(model)
        np.testing.assert_array_equal(*(m.parameters["Waa"] for m in models))
        with pytest.raises(ValueError, match=r"loss: .*squared, which no file can hold"):
            problem("mse")[0].fit(x, y, epochs=4, batch_size=2, checkpoint=path, progress=False)

    def test_a_pickle_has_it_if_it_can_be_pickled(self):
        model, x, y = problem(squared)
        again = pickle.loads(pickle.dumps(model))
        assert again.config.loss is squared
        assert again.evaluate(x, y) == model.evaluate(x, y)


class TestCheckLoss:
    Z = np.random.default_rng(0).standard_normal((4, 3))
    Y = np.random.default_rng(1).standard_normal((4, 3))

    @pytest.mark.parametrize("loss", ["mse", "mae", "huber", crnn.Huber(0.1), squared])
    def test_values(self, loss):
        assert crnn.check_loss(loss, self.Z, self.Y) < 1e-9

    def test_others(self):
        labels = (self.Y > 0).astype(int)
        assert crnn.check_loss("binary_cross_entropy", self.Z, labels) < 1e-9
        for loss in ("cross_entropy", Softmax()):
            assert crnn.check_loss(loss, self.Z, [0, 2, 1, 1]) < 1e-9
        assert crnn.check_loss("quantiles", self.Z, self.Y[:, :1]) < 1e-9
        assert crnn.check_loss("gaussian_nll", self.Z[:, :2], self.Y[:, :1]) < 1e-9

    def test_a_wrong_gradient_is_named_by_its_place(self):
        def wrong(z, y):
            losses, gradients = squared(z, y)
            gradients[z == self.Z[2, 1]] *= 1.001
            return losses, gradients

        with pytest.raises(ValueError, match="gradient of row 2 with respect to logit 1 is"):
            crnn.check_loss(wrong, self.Z, self.Y)

        def signless(z, y):
            return squared(z, y)[0], abs(squared(z, y)[1])

        with pytest.raises(ValueError, match=r"row \d with respect to logit \d is"):
            crnn.check_loss(signless, self.Z, self.Y)

    def test_a_loss_that_mixes_rows_is_refused(self):
        def mixed(z, y):
            losses, gradients = squared(z, y)
            return losses - losses.mean(), gradients

        def with_gradients(z, y):
            losses, gradients = squared(z, y)
            return losses, gradients / len(z)

        for loss in (mixed, with_gradients):
            with pytest.raises(ValueError, match="row 0"):
                crnn.check_loss(loss, self.Z, self.Y)

    @pytest.mark.parametrize(
        ("z", "y", "message"),
        [
            (np.zeros(3), np.zeros(3), r"logits: expected numbers of shape \(rows, n_y\)"),
            (np.zeros((2, 0)), np.zeros((2, 0)), "logits: expected numbers of shape"),
            (np.full((2, 3), np.inf), np.zeros((2, 3)), "logits: expected finite numbers"),
            (np.zeros((2, 3)), np.zeros((2, 2)), r"y: expected numbers of shape \(2, 3\)"),
        ],
    )
    def test_arguments_that_do_not_fit(self, z, y, message):
        with pytest.raises(ValueError, match=message):
            crnn.check_loss(squared, z, y)
