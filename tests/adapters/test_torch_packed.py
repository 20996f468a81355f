"""Calls without gradients pack the weights once, and again whenever these have changed."""

import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn.torch  # noqa: E402
from crnn.torch import recurrent  # noqa: E402

CLASSES = [crnn.torch.RNN, crnn.torch.GRU, crnn.torch.LSTM]


@pytest.fixture(autouse=True)
def _small_modules_too(monkeypatch):
    monkeypatch.setattr(recurrent, "MANY", 1)


@pytest.fixture(params=CLASSES, ids=lambda c: c.__name__)
def module(request):
    torch.manual_seed(0)
    return request.param(80, 96, num_layers=2, bidirectional=True)


def output(module, x):
    with torch.no_grad():
        return module(x)[0]


def as_new(module, x):
    """The output of a module of the same class and weights that has never been called."""
    new = type(module)(80, 96, num_layers=2, bidirectional=True)
    new.load_state_dict(module.state_dict())
    return output(new, x)


X = torch.randn(12, 1, 80, generator=torch.Generator().manual_seed(1))


def test_the_second_call_takes_what_the_first_has_packed(module):
    first = output(module, X)
    _, packed = module._crnn_packed._kept
    arrays = [a for weights in packed for a in weights.values()]
    assert len(arrays) == 4
    assert torch.equal(output(module, X), first)
    again = [a for weights in module._crnn_packed._kept[1] for a in weights.values()]
    assert all(a is b for a, b in zip(arrays, again, strict=True))


@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l1_reverse", "bias_ih_l0"])
def test_changed_weights_are_packed_again(module, name):
    output(module, X)
    getattr(module, name).data[0] += 0.5  # through .data, which torch's version counter misses
    assert torch.equal(output(module, X), as_new(module, X))


def test_results_equal_those_with_gradients(module):
    for _ in range(2):
        np.testing.assert_allclose(output(module, X), module(X)[0].detach(), rtol=1e-5, atol=1e-6)


def test_many_rows_and_gradients_do_not_pack_for_later(module):
    module(X)
    output(module, X.repeat(1, 200, 1))
    assert all(not weights for weights in module._crnn_packed._kept[1])


def test_copies_and_files_do_not_hold_packed_weights(module):
    expected, state = output(module, X), list(module.state_dict())
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert copied._crnn_packed._kept == ([], [])
        assert torch.equal(output(copied, X), expected)
        assert list(copied.state_dict()) == state


def test_an_accelerated_module_packs_once_too():
    module = torch.nn.LSTM(80, 96)
    expected = output(module, X)
    crnn.torch.accelerate(module)
    for _ in range(2):
        torch.testing.assert_close(output(module, X), expected, rtol=1e-5, atol=1e-6)
    assert module._crnn_packed._kept[1][0]
