"""The losses and their gradients against torch's, alone and at the end of torch's network."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn  # noqa: E402

F = torch.nn.functional
T, M, N_X, N_A = 9, 7, 3, 5
LEVELS = (0.1, 0.5, 0.8)
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


def pinball(z, y):
    """torch has none; this is its definition."""
    q = torch.tensor(LEVELS, dtype=z.dtype)[:, None]
    u = y[..., None, :] - z.reshape(*z.shape[:-1], len(LEVELS), -1)
    return torch.maximum(q * u, (q - 1) * u).mean()


def gaussian(z, y):
    mean, v = z.chunk(2, -1)
    return F.gaussian_nll_loss(mean, y, v.exp(), full=True, eps=0)


#: Losses, torch's, and the outputs for each target.
LOSSES = {
    "binary": ("binary_cross_entropy", F.binary_cross_entropy_with_logits, 1),
    "mse": ("mse", F.mse_loss, 1),
    "mae": ("mae", F.l1_loss, 1),
    "huber": (crnn.Huber(0.3), lambda z, y: F.huber_loss(z, y, delta=0.3), 1),
    "quantiles": (crnn.Quantiles(LEVELS), pinball, 3),
    "gaussian": ("gaussian_nll", gaussian, 2),
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("s", [1, 4])
def test_loss_and_every_gradient(kind, dtype, steps, s):
    loss, of_torch, parts = LOSSES[kind]
    torch.manual_seed(0)
    real = getattr(torch, dtype)
    rnn = torch.nn.RNN(N_X, N_A, dtype=real)
    head = torch.nn.Linear(N_A, parts * s, dtype=real)
    modules = torch.nn.ModuleDict({"rnn": rnn, "head": head})
    x = torch.randn(T, M, N_X, dtype=real)
    y = torch.randn(*((M,) if steps == "last" else (T, M)), s, dtype=real)
    if kind == "binary":
        y = y.sigmoid()  # torch, too, takes labels between 0 and 1
    a, _ = rnn(x)
    expected = of_torch(head(a if steps == "all" else a[-1]), y)
    expected.backward()
    model = crnn.RNN.from_torch_state_dict(modules.state_dict(), loss=loss, steps=steps)
    found, gradients = model.gradients(x, y)
    assert found == pytest.approx(expected.item(), rel=TOLERANCES[dtype])
    theirs = {
        "Waa": rnn.weight_hh_l0, "Wax": rnn.weight_ih_l0, "ba": rnn.bias_ih_l0,
        "Wya": head.weight, "by": head.bias,
    }  # fmt: skip
    for name, p in theirs.items():
        np.testing.assert_allclose(gradients[name], p.grad, rtol=0, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("weighted", [False, True])
def test_weights_are_those_of_torchs_binary_cross_entropy(weighted):
    model = crnn.RNN(N_X, N_A, 2, loss="binary_cross_entropy", dtype="float64", rng=0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((T, M, N_X)), rng.integers(0, 2, (M, 2))
    w = rng.exponential(size=M) if weighted else np.ones(M)
    p = torch.tensor(model.predict_proba(x))
    each = F.binary_cross_entropy(p, torch.tensor(y, dtype=p.dtype), reduction="none").mean(1)
    expected = (each.numpy() * w).sum() / w.sum()
    assert model.evaluate(x, y, sample_weight=w)[0] == pytest.approx(expected, rel=1e-12)
