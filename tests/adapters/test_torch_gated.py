"""crnn.torch.GRU and LSTM equal torch's classes: arguments, call forms, gradients and tools."""

import copy
import itertools
import warnings

import pytest

torch = pytest.importorskip("torch")

import crnn.torch  # noqa: E402
from crnn.torch import checks, equations, gated, gradients, modules  # noqa: E402

T, M, N_X, N_A = 11, 4, 3, 5  # more steps than modules.SHORTEST, so crnn computes them
CELLS = ["GRU", "LSTM"]
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Start each test with the same seed and without earlier warnings."""
    torch.manual_seed(0)
    monkeypatch.setattr(checks, "_warned", set())


@pytest.fixture
def calls(monkeypatch):
    """How often crnn computed, forward and backward."""
    seen = {"cell_forward": 0, "cell_backward": 0}

    def watch(where, name):
        function = getattr(where, name)

        def watched(*arguments, **options):
            seen[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(where, name, watched)

    watch(gated.sequence, "cell_forward")
    watch(gated.sequence, "cell_backward")
    return seen


def pair(cell, **options):
    """The same network twice: torch's, and crnn's with its weights."""
    theirs = getattr(torch.nn, cell)(N_X, N_A, **options)
    mine = getattr(crnn.torch, cell)(N_X, N_A, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def flat(result):
    """The tensors of output and h_n, or of output, h_n and c_n; packed outputs by their data."""
    output, last = result
    output = output.data if isinstance(output, torch.nn.utils.rnn.PackedSequence) else output
    return [output, *(last if isinstance(last, tuple) else (last,))]


def assert_close(mine, theirs, tolerance):
    assert mine.shape == theirs.shape
    assert mine.dtype == theirs.dtype
    largest = max(1.0, float(theirs.detach().abs().max()))
    assert float((mine - theirs).detach().abs().max()) <= tolerance * largest


def forms(cell, dtype, batch_first, cells):
    """Every call form: padded, one sequence, packed; with and without hx."""
    x = torch.randn((M, T, N_X) if batch_first else (T, M, N_X), dtype=dtype)
    lengths = torch.tensor([11, 3, 8, 10])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, lengths, batch_first=batch_first, enforce_sorted=False
    )
    for input, shape in (
        (x, (cells, M, N_A)),
        (torch.randn(T, N_X, dtype=dtype), (cells, N_A)),
        (packed, (cells, M, N_A)),
    ):
        h0, c0 = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(2))
        yield input, None
        yield input, h0 if cell == "GRU" else (h0, c0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "dtype"),
    [
        *itertools.product(
            (1, 2), (True, False), (False, True), (0.0,), (False, True), (torch.float32,)
        ),
        (2, True, False, 0.5, True, torch.float32),
        (2, True, True, 0.0, True, torch.float64),
    ],
)
def test_equals_torch_for_every_argument_and_call_form(
    cell, num_layers, bias, batch_first, dropout, bidirectional, dtype, calls
):
    options = {
        "num_layers": num_layers, "bias": bias, "batch_first": batch_first, "dropout": dropout,
        "bidirectional": bidirectional, "dtype": dtype,
    }  # fmt: skip
    theirs, mine = pair(cell, **options)
    cells = num_layers * (1 + bidirectional)
    tolerance = TOLERANCE[dtype]
    for count, (input, hx) in enumerate(forms(cell, dtype, batch_first, cells), 1):
        results, found = [], []
        for module in (theirs, mine):
            module.zero_grad()
            first = [] if hx is None else list(hx) if isinstance(hx, tuple) else [hx]
            for state in first:
                state.grad = None
            torch.manual_seed(1)  # dropout
            output = flat(module(input, hx))
            torch.manual_seed(2)
            torch.autograd.backward(output, [torch.randn_like(each) for each in output])
            results.append(output)
            named = [p.grad for p in module.parameters()]
            found.append([*named, *(state.grad for state in first)])
        for ours, reference in zip(results[1], results[0], strict=True):
            assert_close(ours, reference, tolerance)
        for ours, reference in zip(found[1], found[0], strict=True):
            assert_close(ours, reference, 20 * tolerance)
        assert calls["cell_backward"] == count * cells, "it was crnn that computed"


@pytest.mark.parametrize("cell", CELLS)
class TestOneModule:
    def test_initial_values_and_keys_are_torchs(self, cell):
        options = {"num_layers": 2, "bidirectional": True}
        torch.manual_seed(3)
        theirs = getattr(torch.nn, cell)(N_X, N_A, **options).state_dict()
        torch.manual_seed(3)
        mine = getattr(crnn.torch, cell)(N_X, N_A, **options).state_dict()
        assert list(mine) == list(theirs)
        for name, value in theirs.items():
            assert torch.equal(mine[name], value)

    def test_inference_keeps_nothing_for_backward(self, cell, monkeypatch):
        kept = []
        run = gated.run_forward
        monkeypatch.setattr(gated, "run_forward", lambda *a: kept.append(a[9]) or run(*a))
        _, mine = pair(cell)
        x = torch.randn(T, M, N_X)
        with torch.no_grad():
            mine(x)
        mine(x)
        mine.requires_grad_(False)
        mine(x)
        assert kept == [False, True, False]

    def test_output_may_be_changed_in_place_before_backward(self, cell):
        """As torch's GRU allows; its LSTM raises."""
        _, mine = pair(cell)
        grads = []
        for double in (lambda output: output.mul_(2), lambda output: 2 * output):
            mine.zero_grad()
            double(mine(torch.ones(T, M, N_X))[0]).sum().backward()
            grads.append(mine.weight_hh_l0.grad.clone())
        assert_close(grads[0], grads[1], 1e-6)

    def test_gradients_of_gradients_and_every_mode(self, cell):
        theirs, mine = pair(cell, dtype=torch.float64)
        x = torch.randn(T, 2, N_X, dtype=torch.float64, requires_grad=True)
        seconds = []
        for module in (theirs, mine):
            output = flat(module(x))
            loss = sum((each**2).sum() for each in output)
            (dx,) = torch.autograd.grad(loss, x, create_graph=True)
            seconds.append(torch.autograd.grad((dx**3).sum(), [x, *module.parameters()]))
        for ours, reference in zip(seconds[1], seconds[0], strict=True):
            assert_close(ours, reference, 1e-11)
        with pytest.warns(UserWarning, match=r"torch\.func is left to torch"):
            found = torch.func.grad(lambda v: mine(v)[0].sum())(x)
        (expected,) = torch.autograd.grad(theirs(x)[0].sum(), x)
        assert_close(found, expected, 1e-12)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("with_lengths", [False, True])
    def test_the_operator_and_the_equations_are_one_function(self, cell, reverse, with_lengths):
        gates = 3 if cell == "GRU" else 4
        double = {"dtype": torch.float64, "requires_grad": True}
        given = [
            torch.randn(5, M, N_X, **double),
            torch.randn(gates * N_A, N_A, **double),
            torch.randn(gates * N_A, N_X, **double),
            torch.randn(gates * N_A, **double),
            torch.randn(gates * N_A, **double),
            torch.randn(M, N_A, **double),
            torch.randn(M, N_A, **double) if cell == "LSTM" else None,
            torch.tensor([5, 1, 3, 4]) if with_lengths else None,
            reverse,
        ]
        a, c_n, _ = gated.gated_forward(*given, True)
        for ours, reference in zip((a, c_n), equations.gated_equations(*given), strict=True):
            if reference.numel():
                assert_close(ours, reference, 1e-13)
        for function in (gradients.gated_layer, equations.gated_equations):

            def results(*tensors, function=function):
                found = function(*tensors, *given[7:])
                return [each for each in found if each.numel()]

            tensors = given[:7] if cell == "LSTM" else [*given[:6], None]
            assert torch.autograd.gradcheck(results, tensors)
        if not with_lengths:
            assert torch.autograd.gradgradcheck(results, tensors)

    def test_compiled_in_one_graph(self, cell):
        _, mine = pair(cell, num_layers=2)
        x = torch.randn(T, M, N_X)
        compiled = torch.compile(mine, fullgraph=True, backend="aot_eager")
        for ours, reference in zip(flat(compiled(x)), flat(mine(x)), strict=True):
            assert torch.equal(ours, reference)
        loss = flat(compiled(x))[0].sum()
        loss.backward()
        found = copy.deepcopy([p.grad for p in mine.parameters()])
        mine.zero_grad()
        mine(x)[0].sum().backward()
        for ours, p in zip(found, mine.parameters(), strict=True):
            assert_close(ours, p.grad, 1e-6)

    def test_exported_programs(self, cell):
        _, mine = pair(cell)
        x = torch.randn(T, M, N_X)
        program = torch.export.export(mine, (x,))
        for ours, reference in zip(flat(program.module()(x)), flat(mine(x)), strict=True):
            assert_close(ours, reference, 1e-6)

    def test_flops_are_counted_like_those_of_the_products(self, cell):
        from torch.utils.flop_counter import FlopCounterMode

        _, mine = pair(cell)
        with FlopCounterMode(display=False) as counter:
            mine(torch.randn(T, M, N_X))[0].sum().backward()
        gates = 3 if cell == "GRU" else 4
        rows, states, inputs = T * M, gates * N_A * N_A, gates * N_A * N_X
        forward = 2 * rows * (states + inputs)
        assert counter.get_total_flops() == forward + 2 * rows * (2 * states + inputs)

    def test_short_sequences_and_other_dtypes_are_left_to_torch(self, cell, calls):
        theirs, mine = pair(cell)
        x = torch.randn(modules.SHORTEST - 1, M, N_X)
        for ours, reference in zip(flat(mine(x)), flat(theirs(x)), strict=True):
            assert torch.equal(ours, reference)
        mine, x = mine.bfloat16(), torch.randn(T, M, N_X).bfloat16()
        with pytest.warns(UserWarning, match=r"torch\.bfloat16 on cpu is left to torch"):
            mine(x)
        assert calls == {"cell_forward": 0, "cell_backward": 0}

    def test_what_does_not_fit_raises_torchs_error(self, cell):
        theirs, mine = pair(cell)
        h = torch.zeros(1, M, N_A)
        for input, hx in (
            (torch.zeros(T, M, N_X + 1), None),
            (torch.zeros(T, M, N_X), torch.zeros(1, M, N_A + 1)),
            (torch.zeros(T, M, N_X), (h, torch.zeros(2, M, N_A))),
            (torch.zeros(T, M, N_X), (h,)),
            (torch.zeros(2, 2, T, M, N_X), None),
        ):
            raised = []
            for module in (theirs, mine):
                with pytest.raises(Exception) as error:  # noqa: PT011 - whatever torch raises
                    module(input, hx)
                raised.append((type(error.value), str(error.value)))
            assert raised[0] == raised[1]

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_it_cannot_be_scripted(self, cell):
        _, mine = pair(cell)
        with pytest.raises(RuntimeError, match=f"crnn.torch.{cell} cannot be compiled"):
            torch.jit.script(mine)

    def test_copies_and_pickles(self, cell, tmp_path):
        _, mine = pair(cell)
        x = torch.randn(T, M, N_X)
        torch.save(mine, tmp_path / "module.pt")
        loaded = torch.load(tmp_path / "module.pt", weights_only=False)
        for other in (copy.deepcopy(mine), loaded):
            assert torch.equal(other(x)[0], mine(x)[0])

    def test_accelerate_gives_the_same_losses(self, cell):
        losses = []
        for accelerated in (False, True):
            torch.manual_seed(0)
            model = torch.nn.ModuleDict(
                {"rnn": getattr(torch.nn, cell)(N_X, 16), "head": torch.nn.Linear(16, 2)}
            )
            if accelerated:
                assert crnn.torch.accelerate(model).each[cell] == 1
            optimizer = torch.optim.Adam(model.parameters(), 1e-2)
            generator = torch.Generator().manual_seed(1)
            curve = []
            for _ in range(100):
                x = torch.randn(T, 16, N_X, generator=generator)
                optimizer.zero_grad()
                logits = model["head"](model["rnn"](x)[0][-1])
                loss = torch.nn.functional.cross_entropy(logits, (x.sum((0, 2)) > 0).long())
                loss.backward()
                optimizer.step()
                curve.append(loss.item())
            losses.append(curve)
        torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_proj_size_is_left_to_torch_and_says_so(calls):
    theirs, mine = pair("LSTM", proj_size=2)
    x = torch.randn(T, M, N_X)
    with pytest.warns(UserWarning, match="proj_size of LSTM is left to torch"):
        found = mine(x)
    for ours, reference in zip(flat(found), flat(theirs(x)), strict=True):
        assert torch.equal(ours, reference)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "proj_size")
        mine(x)  # it says so once
    assert calls["cell_forward"] == 0
    with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM"):
        crnn.torch.GRU(N_X, N_A, proj_size=2)


def test_weights_of_neither_cell_are_refused_by_the_operator():
    x, W = torch.zeros(T, M, N_X), torch.zeros(2 * N_A, N_A)
    with pytest.raises(ValueError, match=r"Waa: expected shape \(3 n_a, n_a\)"):
        gated.gated_forward(x, W, torch.zeros(10, N_X), *[None] * 5, False, False)
    W = torch.zeros(3 * N_A, N_A)
    with pytest.raises(ValueError, match="Wax: expected"):
        gated.gated_forward(x, W, torch.zeros(10, N_X), *[None] * 5, False, False)
