"""Training has the losses and the parameters of the same training in PyTorch, step by step."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn  # noqa: E402

T, M, N_X, N_A, N_Y, STEPS = 6, 5, 3, 4, 2, 12
TOLERANCE = 64 * STEPS * np.finfo("float64").eps


class Theirs(torch.nn.Module):
    """A recurrent module and a linear layer with the weights of a model of crnn's."""

    def __init__(self, model):
        super().__init__()
        c = model.config
        kind = {"vanilla": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[c.cell]
        both = c.direction == "bidirectional"
        self.rnn = kind(c.n_x, c.n_a, c.num_layers, bidirectional=both, dtype=torch.float64)
        self.head = torch.nn.Linear(c.width, c.n_y, dtype=torch.float64)
        state = {key: torch.from_numpy(a) for key, a in model.to_torch_state_dict().items()}
        self.load_state_dict(state)
        self.every_step, self.reset = c.every_step, 2 * c.n_a if c.cell == "gru" else None
        for name, p in self.named_parameters():
            if "bias_hh" in name:
                p.register_hook(self.fixed)

    def fixed(self, gradient):
        """The part of bias_hh that crnn has in ba, which is trained as bias_ih, stays 0."""
        kept = torch.zeros_like(gradient)
        if self.reset is not None:
            kept[self.reset :] = gradient[self.reset :]
        return kept

    def groups(self):
        """Weights decay, biases do not."""
        weights = [p for p in self.parameters() if p.ndim == 2]
        biases = [p for p in self.parameters() if p.ndim == 1]
        return [{"params": weights}, {"params": biases, "weight_decay": 0.0}]

    def forward(self, x, state=None):
        a, state = self.rnn(x, state)
        n = self.rnn.hidden_size
        if not self.every_step:  # of the right-to-left direction this is its last step, t = 0
            a = torch.cat([a[-1, :, :n], a[0, :, n:]], dim=1)
        return self.head(a), state


def optimizers():
    o = torch.optim
    return [
        (crnn.SGD(0.1), o.SGD, {"lr": 0.1}),
        (crnn.SGD(0.05, 0.9), o.SGD, {"lr": 0.05, "momentum": 0.9}),
        (crnn.Adam(0.02), o.Adam, {"lr": 0.02}),
        (crnn.Adam(0.02, 0.8, 0.9, 1e-3), o.Adam, {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3}),
        (crnn.AdamW(0.02, weight_decay=0.3), o.AdamW, {"lr": 0.02, "weight_decay": 0.3}),
        (crnn.RMSprop(0.01), o.RMSprop, {"lr": 0.01, "alpha": 0.9}),
    ]


LOSSES = {
    "cross_entropy": lambda a, y: torch.nn.functional.cross_entropy(a.flatten(0, -2), y.flatten()),
    "mse": torch.nn.functional.mse_loss,
    "binary_cross_entropy": torch.nn.functional.binary_cross_entropy_with_logits,
}


def made(cell, loss, steps, **options):
    return crnn.RNN(
        N_X, N_A, N_Y, cell=cell, loss=loss, steps=steps, dtype="float64", rng=0, **options
    )


def batches(loss, steps):
    rng = np.random.default_rng(0)
    shape = (T, M) if steps == "all" else (M,)
    for _ in range(STEPS):
        x = rng.standard_normal((T, M, N_X))
        y = {
            "cross_entropy": lambda: rng.integers(0, N_Y, shape),
            "mse": lambda: rng.standard_normal((*shape, N_Y)),
            "binary_cross_entropy": lambda: rng.integers(0, 2, (*shape, N_Y)).astype("f8"),
        }[loss]()
        yield x, y


def assert_same(model, theirs):
    """To some tens of roundings of numbers near 1 at each step."""
    found = {name: p.detach().numpy() for name, p in theirs.named_parameters()}
    for name, p in model.to_torch_state_dict().items():
        np.testing.assert_allclose(found[name], p, rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("optimizer", range(6))
@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
@pytest.mark.parametrize(("loss", "steps"), [("cross_entropy", "last"), ("mse", "all")])
def test_optimizers(optimizer, clip_norm, cell, loss, steps):
    compare(optimizer, clip_norm, cell, loss, steps)


@pytest.mark.parametrize("loss", [*LOSSES])
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
def test_losses_of_layers_and_directions(loss, steps, cell):
    compare(2, None, cell, loss, steps, num_layers=2, direction="bidirectional")


def compare(optimizer, clip_norm, cell, loss, steps, **options):
    mine, rule, arguments = optimizers()[optimizer]
    model = made(cell, loss, steps, **options)
    theirs = Theirs(model)
    step = rule(theirs.groups(), **arguments)
    for x, y in batches(loss, steps):
        found, _ = model.train_on_batch(x, y, optimizer=mine, clip_norm=clip_norm)
        step.zero_grad()
        wanted = LOSSES[loss](theirs(torch.from_numpy(x))[0], torch.from_numpy(y))
        wanted.backward()
        if clip_norm is not None:
            clip(theirs, clip_norm)
        step.step()
        assert found == pytest.approx(wanted.item(), rel=TOLERANCE)
    assert_same(model, theirs)


def clip(theirs, most):
    """As `clip_grad_norm_` does, without the 1e-6 that it adds to the norm."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in theirs.parameters()])
    for p in theirs.parameters():
        p.grad *= min(1.0, most / norm.item())


@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
def test_a_stream(cell):
    """Truncated backpropagation: the state goes on through windows, of which the last is short."""
    rng, T_all, window = np.random.default_rng(0), 5 * T + 2, T
    x, y = rng.standard_normal((T_all, M, N_X)), rng.standard_normal((T_all, M, N_Y))
    model = made(cell, "mse", "all", num_layers=2)
    theirs = Theirs(model)
    step = torch.optim.Adam(theirs.parameters(), lr=0.02)
    for _ in range(2):
        state, losses = None, []
        for t in range(0, T_all, window):
            step.zero_grad()
            a, state = theirs(torch.from_numpy(x[t : t + window]), state)
            state = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
            loss = torch.nn.functional.mse_loss(a, torch.from_numpy(y[t : t + window]))
            loss.backward()
            step.step()
            losses.append(loss.item() * len(a))
    adam = crnn.Adam(0.02)
    history = model.fit_stream(x, y, steps=window, epochs=2, optimizer=adam, progress=False)
    assert history.loss[-1] == pytest.approx(sum(losses) / T_all, rel=TOLERANCE)
    assert_same(model, theirs)
