"""The initial values of parameters: every kind, its scales, and that old seeds keep their bits."""

import numpy as np
import pytest

import crnn
from crnn._network.initial import INITIAL

N_A = 40


def parameters(init, cell="vanilla", **options):
    return crnn.RNN(3, N_A, 2, init=init, cell=cell, rng=0, **options).parameters


def gates(Waa):
    return Waa.reshape(-1, N_A, N_A)


@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
class TestKinds:
    """Each gate is a matrix of its own."""

    def test_identity(self, cell):
        for Waa in gates(parameters("identity", cell)["Waa"]):
            np.testing.assert_array_equal(Waa, np.eye(N_A))

    def test_orthogonal(self, cell):
        for Waa in gates(parameters("orthogonal", cell, dtype="float64")["Waa"]):
            np.testing.assert_allclose(Waa.T @ Waa, np.eye(N_A), atol=1e-13)

    def test_np_is_positive_definite_with_largest_eigenvalue_1(self, cell):
        for Waa in gates(parameters("np", cell, dtype="float64")["Waa"]):
            np.testing.assert_allclose(Waa, Waa.T, atol=1e-15)
            eigenvalues = np.linalg.eigvalsh(Waa)
            assert eigenvalues[-1] == pytest.approx(1, abs=1e-12)
            # R'R / n has eigenvalues of 0 to 4, so that (A + I) / e has some of about 1/5.
            assert 0.15 < eigenvalues[0] < 0.3
            assert eigenvalues[-2] < 1

    def test_uniform(self, cell):
        Waa, bound = parameters("uniform", cell)["Waa"], 1 / np.sqrt(N_A)
        assert np.abs(Waa).max() <= bound
        assert Waa.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_only_the_recurrent_weights_depend_on_the_kind():
    for kind in ("identity", "np", "uniform"):
        other = parameters(kind)
        limit = np.sqrt(6 / (N_A + 3))
        assert 0.9 * limit < np.abs(other["Wax"]).max() <= limit
        assert not other["ba"].any()
        assert not other["by"].any()


@pytest.mark.parametrize("kind", INITIAL)
class TestScales:
    def test_a_name_is_short_for_an_init(self, kind):
        for name, value in parameters(kind).items():
            np.testing.assert_array_equal(parameters(crnn.Init(kind))[name], value)

    def test_gain_and_output_gain_are_factors(self, kind):
        plain = parameters(kind)
        scaled = parameters(crnn.Init(kind, gain=0.5, output_gain=4))
        np.testing.assert_array_equal(scaled["Waa"], plain["Waa"] / 2)
        np.testing.assert_array_equal(scaled["Wya"], plain["Wya"] * 4)
        np.testing.assert_array_equal(scaled["Wax"], plain["Wax"])

    def test_input_std_is_that_of_every_layer_and_direction(self, kind):
        init = crnn.Init(kind, input_std=0.01)
        drawn = parameters(init, num_layers=2, direction="bidirectional")
        assert drawn["Wax_l0_reverse"].std() == pytest.approx(0.01, rel=0.2)
        assert drawn["Wax_l1"].std() == pytest.approx(0.01, rel=0.05)
        np.testing.assert_array_equal(
            drawn["Waa_l0"], parameters(kind, num_layers=2, direction="bidirectional")["Waa_l0"]
        )


def test_the_forget_bias_of_every_kind():
    for kind in INITIAL:
        ba = parameters(kind, "lstm", forget_bias=2)["ba"]
        assert (ba[N_A : 2 * N_A] == 2).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: crnn.Init("unit"), ValueError, "kind: expected one of 'orthogonal', 'pytorch'"),
        (lambda: crnn.Init(gain=0), ValueError, "gain: expected a finite number > 0"),
        (lambda: crnn.Init(gain=None), TypeError, "gain: expected a number, got None"),
        (lambda: crnn.Init(input_std=-1), ValueError, "input_std: expected a finite number > 0"),
        (lambda: crnn.Init(output_gain=1e7), ValueError, "output_gain: .* < 1e\\+06, got 1"),
        (lambda: parameters("unit"), ValueError, "init: expected one of .* or a crnn.Init, got 'u"),
        (lambda: parameters(crnn.Init), ValueError, "init: expected one of .* got <class"),
        (lambda: parameters(None), ValueError, "init: expected one of .* got None"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
