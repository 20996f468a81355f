"""The page and the example of neuroscience do what they say."""

import importlib.util
import re
import subprocess
import sys
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pages
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "neuroscience.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("neuroscience", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_runs(capsys):
    pages.run_python(ROOT / "docs" / "neuroscience.md")
    naive, balanced = np.array([line.split() for line in capsys.readouterr().out.splitlines()],
                               float).T[1:]  # fmt: skip
    assert (naive[1:] > 1.5 * naive[:-1]).all()  # the outlier grows as the root of n
    assert (balanced < 1.3).all()


class TestTrials:
    def test_they_have_the_periods_and_levels_of_the_task(self, example):
        given = example.trials(4000, np.random.default_rng(0))
        assert given.x.shape == (110, 4000, 3)
        np.testing.assert_array_equal(given.x[:, :, 0].sum(axis=1) > 0, np.arange(110) < 5)
        still = np.r_[:5, 105:110]
        assert not given.x[still, :, 1:].any()
        assert not given.y[:105].any()
        assert set(given.choice) == {1, 2}
        stimulus = given.x[5:105, :, 1:]
        assert (stimulus - stimulus.mean(axis=0)).std() == pytest.approx(20**-0.5, rel=0.01)
        for coherence in example.COHERENCES:
            of = given.coherence == coherence
            right = np.take_along_axis(stimulus[:, of], given.choice[None, of, None] - 1, 2)
            assert right.mean() == pytest.approx(0.5 + coherence / 200, abs=0.005)

    @pytest.mark.filterwarnings("ignore:.*render_modes:UserWarning")
    def test_they_are_drawn_like_those_of_neurogym(self, example):
        """One trial of each level without noise, and the noise's size."""
        ngym = pytest.importorskip("neurogym")
        env = ngym.make("PerceptualDecisionMaking-v0", dt=example.DT, sigma=0)
        noisy = ngym.make("PerceptualDecisionMaking-v0", dt=example.DT)
        assert noisy.unwrapped.sigma == pytest.approx(example.SIGMA)
        np.testing.assert_array_equal(env.unwrapped.cohs, example.COHERENCES)
        given = example.trials(200, np.random.default_rng(0))
        for level in np.unique(given.signed):
            of = np.flatnonzero(given.signed == level)
            env.unwrapped.new_trial(ground_truth=given.choice[of[0]] - 1, coh=abs(level))
            np.testing.assert_array_equal(env.unwrapped.gt, given.y[:, of[0]])
            mean = given.x[:, of].mean(axis=1)
            tolerance = 5 * example.SIGMA / np.sqrt(len(of))
            np.testing.assert_allclose(mean, env.unwrapped.ob, atol=tolerance)


def test_the_ideal_observer_is_as_good_as_theory_says(example):
    """The summed differences are normal: their mean is coherence (in %), their variance 10."""
    given = example.trials(40_000, np.random.default_rng(1))
    right = example.ideal_observer(given.x) == given.choice
    for coherence in example.COHERENCES:
        expected = (1 + erf(coherence / sqrt(2 * 10))) / 2
        assert right[given.coherence == coherence].mean() == pytest.approx(expected, abs=0.02)


def test_signs_and_masks_of_the_example_hold(example):
    model = example.network(0)
    example.train(model, 1000, 0)
    p = model.parameters
    assert (p["Waa"] * example.UNITS >= 0).all()
    assert (p["Wax"] >= 0).all()
    assert (p["Wya"] >= 0).all()
    assert not np.diag(p["Waa"]).any()
    assert not p["Wya"][:, example.UNITS < 0].any()


def test_the_example_reaches_its_documented_figures(tmp_path):
    picture = tmp_path / "decision.png"
    command = [sys.executable, EXAMPLE, "--plot", picture]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(re.search(r"below the ideal observer by (\S+)", out)[1]) < 0.03
    assert float(re.search(r"coherence 51.2 +(\S+)", out)[1]) >= 0.99
    assert picture.stat().st_size > 10_000
