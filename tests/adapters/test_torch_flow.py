"""crnn.inspect.gradient_flow beside the gradients that torch's autograd gives each state."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn  # noqa: E402
import crnn.inspect  # noqa: E402

T, M, N_X, N_A, N_Y = 14, 5, 3, 20, 4
CELLS = {"vanilla": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}


def states_of(cell, x):
    """Every state of a torch cell, each with its gradient kept."""
    hidden, found = torch.zeros(M, N_A, dtype=x.dtype), []
    state = (hidden, torch.zeros_like(hidden)) if isinstance(cell, torch.nn.LSTMCell) else hidden
    for x_t in x:
        state = cell(x_t, state)
        found.append(state[0] if isinstance(state, tuple) else state)
        found[-1].retain_grad()
    return found


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_norms_are_those_of_autograd(kind, dtype, rtol, steps):
    rng = np.random.default_rng(0)
    model = crnn.RNN(N_X, N_A, N_Y, cell=kind, steps=steps, dtype=dtype, rng=1)
    for value in model.parameters.values():  # biases too
        value += rng.standard_normal(value.shape) / 10
    x = rng.standard_normal((T, M, N_X)).astype(dtype)
    y = rng.integers(0, N_Y, M if steps == "last" else (T, M))
    p = {name: torch.from_numpy(value.copy()) for name, value in model.parameters.items()}
    cell = CELLS[kind](N_X, N_A, dtype=p["Waa"].dtype)
    zeros = torch.zeros(len(p["ba"]), dtype=p["ba"].dtype)
    if "baa" in p:
        zeros[-N_A:] = p["baa"]
    weights = {"weight_hh": p["Waa"], "weight_ih": p["Wax"], "bias_ih": p["ba"], "bias_hh": zeros}
    cell.load_state_dict(weights)
    states = states_of(cell, torch.from_numpy(x))
    read = states[-1:] if steps == "last" else states
    logits = torch.stack([a @ p["Wya"].T + p["by"] for a in read]).reshape(-1, N_Y)
    loss = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(y.reshape(-1)), reduction="sum"
    )
    loss.backward()
    norms = np.array([a.grad.norm(dim=1).mean().item() for a in states])
    np.testing.assert_allclose(crnn.inspect.gradient_flow(model, x, y).norms[0], norms, rtol=rtol)
