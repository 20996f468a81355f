"""The optimizers take the same steps as PyTorch's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn  # noqa: E402

SIZE, STEPS = 37, 20


def both(mine, theirs, dtype):
    """The parameters after STEPS steps of both optimizers."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(SIZE).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
    rule, memory = theirs([parameter]), mine.start(w)
    for _ in range(STEPS):
        g = rng.standard_normal(SIZE).astype(dtype)
        parameter.grad = torch.from_numpy(g.copy())
        rule.step()
        mine.step(w, g, memory)
    return w, parameter.detach().numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adamw_is_that_of_pytorch(dtype):
    w, theirs = both(
        crnn.AdamW(0.01, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
        dtype,
    )
    # Adam's steps are at most lr / (1 - beta1) / sqrt(1 - beta2), and each rounds a few times.
    tolerance = 4 * STEPS * np.finfo(dtype).eps * (0.01 / 0.1 / np.sqrt(1e-3) + np.abs(w).max())
    np.testing.assert_allclose(w, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (crnn.RMSprop(0.01), {"lr": 0.01, "alpha": 0.9}),
        (
            crnn.RMSprop(0.01, decay=0.99, eps=1e-4, momentum=0.9),
            {"lr": 0.01, "alpha": 0.99, "eps": 1e-4, "momentum": 0.9},
        ),
    ],
)
def test_rmsprop_is_that_of_pytorch(dtype, mine, theirs):
    w, expected = both(mine, lambda p: torch.optim.RMSprop(p, **theirs), dtype)
    # Each step is at most lr / sqrt(1 - decay) / (1 - momentum), and each rounds a few times.
    largest = 0.01 / np.sqrt(1 - mine.decay) / (1 - mine.momentum)
    tolerance = 4 * STEPS * np.finfo(dtype).eps * (largest + np.abs(w).max())
    np.testing.assert_allclose(w, expected, rtol=0, atol=tolerance)
