"""The plots of crnn.inspect, and that everything else works without matplotlib."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest
from some_models import N_X, model_of

import crnn


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_page_of_the_documentation_runs():
    pages.run_python(Path(__file__).parent.parent / "docs" / "inspect.md")


def test_it_is_loaded_when_it_is_first_used():
    done = python(
        "import sys, crnn; print('crnn.inspect' in sys.modules, 'inspect' in dir(crnn));"
        "crnn.inspect.jacobian; print('crnn.inspect' in sys.modules, 'matplotlib' in sys.modules)"
    )
    assert done.stdout == "False True\nTrue False\n"


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'crnn' has no attribute 'nothing'"):
        crnn.nothing  # noqa: B018


def test_without_matplotlib_only_plots_fail_and_name_the_extra():
    done = python(
        """
import sys
sys.modules["matplotlib"] = None
import numpy as np, crnn
model = crnn.RNN(2, 3, 2, rng=0)
for found in (crnn.inspect.fixed_points(model, rng=0), crnn.inspect.saliency(model, [0, 1])):
    try:
        found.plot()
    except ModuleNotFoundError as error:
        print(error)
"""
    )
    message = 'a plot needs matplotlib: python -m pip install "crnn[plot]"\n'
    assert done.stdout == 2 * message, done.stderr


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def labels(ax):
    return [text.get_text() for legend in ax.figure.legends for text in legend.get_texts()]


@pytest.fixture
def strong():
    """Two units with nine fixed points."""
    model = crnn.RNN(1, 2, 2, dtype="float64", rng=0)
    model.parameters["Waa"] = 2 * np.eye(2)
    return crnn.inspect.fixed_points(model, rng=0)


def test_fixed_points_lie_in_the_plane_of_principal_components(pyplot, strong):
    ax = strong.plot()
    stable, other = ax.lines[-2:]
    assert (len(stable.get_xdata()), len(other.get_xdata())) == (4, 5)
    assert stable.get_marker() != other.get_marker()
    # In two dimensions the plane is the whole space: distances stay as they are.
    drawn = np.stack([stable.get_xdata(), stable.get_ydata()], axis=1)
    for points in (drawn, strong.points[:4]):
        sizes = np.linalg.norm(points[:, None] - points, axis=2)
        np.testing.assert_allclose(np.sort(sizes[0]), np.sort(sizes[1]), atol=1e-9)
    np.testing.assert_allclose(sizes, np.linalg.norm(drawn[:, None] - drawn, axis=2), atol=1e-9)
    assert "variance" in ax.get_xlabel()
    assert ax.get_title() == "9 fixed points, 4 stable"
    assert labels(ax) == ["trajectory, from its dot", "stable", "not stable"]
    pyplot.gcf().canvas.draw()


def test_a_single_number_of_state_is_drawn_against_time(pyplot):
    model = crnn.RNN(1, 1, 2, rng=0)
    model.parameters["Waa"] = 2
    ax = crnn.inspect.fixed_points(model, rng=0).plot(steps=20, trajectories=3)
    assert ax.get_xlabel() == "step"
    assert labels(ax) == ["trajectory", "stable", "not stable"]
    pyplot.gcf().canvas.draw()


@pytest.mark.parametrize("n_a", [1, 2])
def test_a_trajectory_that_runs_away_does_not_dwarf_the_points(pyplot, n_a):
    """Of a = relu(3 a - 1) with the points 0 and 1/2, from beside which it grows by 3 per step."""
    model = crnn.RNN(1, n_a, 2, activation="relu", dtype="float64", rng=0)
    model.parameters["Waa"], model.parameters["ba"] = 3 * np.eye(n_a), -1
    found = crnn.inspect.fixed_points(model, starts=[[0.51] * n_a, [0.4] * n_a, [0.01] * n_a])
    ax = found.plot(steps=2000)  # beyond the largest number
    pyplot.gcf().canvas.draw()
    assert np.diff(ax.get_ylim()) < 5
    assert np.isfinite(found.plot(steps=5, trajectories=2).lines[1].get_ydata()).all()


def test_a_network_without_fixed_points_has_a_plot(pyplot):
    model = crnn.RNN(1, 2, 2, activation="relu", rng=0)
    model.parameters["Waa"], model.parameters["ba"] = np.eye(2), 1
    ax = crnn.inspect.fixed_points(model, starts=3, rng=0).plot(steps=5)
    assert ax.get_title() == "0 fixed points, 0 stable"


def test_saliency_has_a_bar_for_each_step(pyplot):
    model = model_of("gru", steps="all")
    found = crnn.inspect.saliency(model, np.ones((7, N_X)), step=4, output=1)
    ax = found.plot(tokens="ab<\n d$")
    np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], found.norms)
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "a",
        "b",
        "<",
        r"\n",
        " ",
        "d",
        "$",
    ]
    assert ax.get_ylabel() == "|d logit 1 / d x<t>|"
    assert labels(ax) == ["the answer, at step 4"]
    pyplot.gcf().canvas.draw()


def test_a_long_saliency_may_have_a_logarithmic_axis(pyplot):
    model = model_of("tanh", steps="all")
    found = crnn.inspect.saliency(model, np.ones((200, N_X)), step=150)
    assert found.plot().get_yscale() == "linear"
    ax = found.plot(log=True)
    assert ax.get_yscale() == "log"
    line = ax.lines[0].get_ydata()
    np.testing.assert_array_equal(line[:151], found.norms[:151])
    assert np.isnan(line[151:]).all()
    pyplot.gcf().canvas.draw()


def test_a_saliency_of_zeros_has_a_plot_on_either_axis(pyplot):
    model = model_of("tanh")
    model.parameters["Wya"] = 0
    found = crnn.inspect.saliency(model, np.ones((7, N_X)))
    for log in (False, True):
        found.plot(log=log).figure.canvas.draw()


def test_plots_go_to_given_axes(pyplot, strong):
    figure, axes = pyplot.subplots(1, 2)
    assert strong.plot(axes[0]) is axes[0]
    found = crnn.inspect.saliency(model_of("tanh"), np.ones((7, N_X)))
    assert found.plot(axes[1]) is axes[1]
    assert pyplot.get_fignums() == [figure.number]


def test_a_legend_beside_other_axes_hides_no_point(pyplot, strong):
    figure, axes = pyplot.subplots(1, 2, layout="constrained")
    strong.plot(axes[0])
    figure.canvas.draw()
    drawn, box = axes[0].get_window_extent(), axes[0].get_legend().get_window_extent()
    assert box.y1 < drawn.y0  # it is below the axes, and in the picture
    assert box.y0 >= 0
