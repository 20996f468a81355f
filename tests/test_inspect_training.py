"""fit(inspect=True) and History.plot."""

import numpy as np
import pytest

import crnn
import crnn.inspect

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 8, 3))
Y = RNG.integers(0, 2, 8)


def trained(model, **options):
    return model.fit(X, Y, epochs=3, batch_size=4, progress=False, rng=0, **options)


def test_the_first_batch_of_each_epoch_is_measured():
    model = crnn.RNN(3, 8, 2, num_layers=2, direction="bidirectional", rng=0)
    history = trained(model, inspect=True)
    assert np.shape(history.rate) == np.shape(history.saturated) == (3, 4)
    np.testing.assert_allclose(history.reach, np.where(
        np.less(history.rate, 0), -1 / np.array(history.rate), np.inf))  # fmt: skip
    assert history.learning_rate == [0.1] * 3


def test_the_numbers_are_those_of_gradient_flow():
    model = crnn.RNN(3, 8, 2, rng=0, dtype="float64")
    flow = crnn.inspect.gradient_flow(model, X, Y)
    history = model.fit(X, Y, epochs=1, batch_size=8, progress=False, rng=0, inspect=True)
    np.testing.assert_allclose(history.rate[0], flow.rate, rtol=1e-9)
    np.testing.assert_allclose(history.saturated[0], flow.saturated)


@pytest.mark.parametrize("cell", ["vanilla", "gru"])
def test_training_is_the_same_bits(cell):
    plain, seen = (crnn.RNN(3, 8, 2, cell=cell, rng=0) for _ in range(2))
    assert trained(plain).rate == []
    trained(seen, inspect=True)
    for name, value in plain.parameters.items():
        np.testing.assert_array_equal(seen.parameters[name], value)


@pytest.mark.parametrize("inspect", [1, None, "yes"])
def test_a_flag_that_is_none(inspect):
    with pytest.raises(TypeError, match="inspect: "):
        trained(crnn.RNN(3, 8, 2, rng=0), inspect=inspect)


def test_memory_keeps_no_states_to_inspect():
    with pytest.raises(ValueError, match="inspect: expected False with memory"):
        trained(crnn.RNN(3, 8, 2, rng=0), inspect=True, memory="sqrt")


@pytest.mark.parametrize("inspect", [False, True])
def test_the_plot_has_a_curve_for_each_list(inspect):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = trained(crnn.RNN(3, 8, 2, rng=0), inspect=inspect, validation=(X, Y)).plot()
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels[:4] == ["loss", "accuracy", "norm of the gradient", "learning rate"]
    assert len(labels) == 4 + 2 * inspect
    assert len(figure.axes[0].lines) == 2  # with validation
    pyplot.close(figure)


def test_the_plot_tells_cells_apart():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = trained(crnn.RNN(3, 8, 2, num_layers=2, rng=0), inspect=True).plot()
    rates = figure.axes[4]
    assert rates.get_ylabel() == "rate of the gradient per step"
    assert [text.get_text() for text in rates.get_legend().get_texts()] == ["cell 0", "cell 1"]
    assert len({(line.get_color(), line.get_linestyle()) for line in rates.lines}) == 2
    pyplot.close(figure)
