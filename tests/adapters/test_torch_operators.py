"""Arguments of the operators torch.ops.crnn: each that does not fit is refused by its name."""

import pytest

torch = pytest.importorskip("torch")

from crnn.torch import equations, gated, ops  # noqa: E402

T, M, N_X, N_A = 7, 4, 3, 5
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
CELLS = pytest.mark.parametrize("cell", GATES)
GATED = pytest.mark.parametrize("cell", ["gru", "lstm"])


def arguments(cell):
    """Arguments of the operator that computes the states, by name."""
    torch.manual_seed(0)
    units = GATES[cell] * N_A
    shapes = {"x": (T, M, N_X), "Waa": (units, N_A), "Wax": (units, N_X), "a0": (M, N_A)}
    shapes |= {name: (units,) for name in (("ba",) if cell == "rnn" else ("b_ih", "b_hh"))}
    shapes |= {"c0": (M, N_A)} if cell == "lstm" else {}
    given = {name: torch.randn(shape) for name, shape in shapes.items()}
    given |= {"lengths": torch.tensor([7, 1, 3, 6]), "reverse": False}
    return given | ({"relu": False} if cell == "rnn" else {})


def forward(cell, given):
    """The states, and what is kept of a gated cell."""
    if cell == "rnn":
        return ops.forward_op(**given), None
    a, _, kept = gated.forward_op(**{"c0": None, **given}, keep=True)
    return a, kept


def backward(cell, given):
    run = ops.backward_op if cell == "rnn" else gated.backward_op
    more = {} if cell == "rnn" else {"dc_n": None, "c0": None}
    return run(**{**more, **given}, need_dx=True)


def arguments_of_backward(cell):
    given = arguments(cell)
    a, kept = forward(cell, given)
    given = {name: value for name, value in given.items() if name not in ("ba", "b_ih", "b_hh")}
    given |= {"da": torch.randn_like(a), "a": a}
    given |= {} if cell == "rnn" else {"kept": kept}
    return given | ({"dc_n": torch.randn(M, N_A)} if cell == "lstm" else {})


def do_not_fit(tensor):
    """Tensors of other types and shapes."""
    for dtype in (torch.float16, torch.bfloat16, torch.int32, torch.complex64):
        yield tensor.to(dtype)
    yield tensor.to(torch.float32 if tensor.dtype == torch.int64 else torch.int64)
    yield tensor[None]
    yield tensor[:1]
    yield tensor[:0]
    yield tensor.flatten()[:1]
    yield tensor.flatten()[0]
    yield tensor.new_empty(0, 0)


@CELLS
@pytest.mark.parametrize(
    ("run", "given"), [(forward, arguments), (backward, arguments_of_backward)]
)
def test_the_error_names_the_argument(cell, run, given):
    """Of two that do not fit each other, such as x and lengths, it may name either."""
    given = given(cell)
    run(cell, given)
    for name, tensor in given.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        for wrong in do_not_fit(tensor):
            others = {"x": "x|lengths|da|a", "Waa": "Waa|x", "lengths": "lengths|a0"}
            with pytest.raises((TypeError, ValueError), match=rf"^({others.get(name, name)}): "):
                run(cell, {**given, name: wrong})


@GATED
@pytest.mark.parametrize("shape", [(0, 0), (13, 4), (12,), (), (1, 12, 4), (8, 4)])
def test_weights_of_neither_gated_cell(cell, shape):
    for run, given in ((forward, arguments(cell)), (backward, arguments_of_backward(cell))):
        with pytest.raises(ValueError, match=r"Waa: expected shape \(3 n_a, n_a\) or \(4 n_a"):
            run(cell, {**given, "Waa": torch.zeros(shape)})


@GATED
@pytest.mark.parametrize("left_out", ["b_ih", "b_hh"])
def test_a_bias_that_is_left_out_is_zero(cell, left_out):
    given = {"c0": None, **arguments(cell)}
    bias = "b_hh" if left_out == "b_ih" else "b_ih"
    names = ("x", "Waa", "Wax", "b_ih", "b_hh", "a0", "c0", "lengths", "reverse")
    given[left_out] = None
    given[bias].requires_grad_()
    results = []
    for function in (lambda *all: gated.forward_op(*all, True), equations.gated_equations):
        a, c_n = function(*(given[name] for name in names))[:2]
        results.append([a, c_n, *torch.autograd.grad((a**2).sum(), given[bias])])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_gru_has_no_cell():
    c = torch.zeros(M, N_A)
    with pytest.raises(ValueError, match="c0: expected None"):
        forward("gru", {**arguments("gru"), "c0": c})
    with pytest.raises(ValueError, match="dc_n: expected None for a GRU"):
        backward("gru", {**arguments_of_backward("gru"), "dc_n": c})
