"""The optimizers take the same steps as PyTorch's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn  # noqa: E402

SIZE, STEPS = 37, 20


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
    rng = np.random.default_rng(0)
    w = rng.standard_normal(SIZE).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
    rule, memory = torch.optim.RMSprop([parameter], **theirs), mine.start(w)
    for _ in range(STEPS):
        g = rng.standard_normal(SIZE).astype(dtype)
        parameter.grad = torch.from_numpy(g.copy())
        rule.step()
        mine.step(w, g, memory)
    # Each step is at most lr / sqrt(1 - decay) / (1 - momentum), and each rounds a few times.
    largest = 0.01 / np.sqrt(1 - mine.decay) / (1 - mine.momentum)
    tolerance = 4 * STEPS * np.finfo(dtype).eps * (largest + np.abs(w).max())
    np.testing.assert_allclose(w, parameter.detach().numpy(), rtol=0, atol=tolerance)
