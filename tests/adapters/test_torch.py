"""crnn.torch: the numbers, call forms and errors of torch.nn.RNN, from crnn's kernels."""

import copy
import doctest
import functools
import io
import os
import pickle
import re
import subprocess
import sys
import warnings
import weakref
from itertools import product
from pathlib import Path

import numpy as np
import pages
import pytest

torch = pytest.importorskip("torch")

import crnn  # noqa: E402
import crnn.torch  # noqa: E402
from crnn.torch import arrays, checks, equations, flops, gated, gradients, modules, ops, threads  # noqa: E402

pack = torch.nn.utils.rnn.pack_padded_sequence
ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
T, M, N_X, N_A = 11, 4, 3, 5  # more steps than modules.SHORTEST, so crnn computes them
LENGTHS = torch.tensor([11, 3, 9, 1])
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}

pytestmark = [
    # torch.export and torch.compile emit warnings about torch itself.
    pytest.mark.filterwarnings("ignore:.*_flat_weights:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:dropout option adds dropout:UserWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Use one thread, since idle OpenMP threads spin and would slow down other tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Start each test with the same seed and without earlier warnings."""
    torch.manual_seed(0)
    monkeypatch.setattr(checks, "_warned", set())


@pytest.fixture
def calls(monkeypatch):
    """The arguments and results of every call of crnn, by name."""
    seen = {"rnn_forward": [], "rnn_backward": []}

    def watch(name):
        function = getattr(crnn, name)

        def watched(*arguments, **options):
            result = function(*arguments, **options)
            seen[name].append((arguments, options, result))
            return result

        monkeypatch.setattr(crnn, name, watched)

    for name in seen:
        watch(name)
    return seen


def pair(**options):
    """The same network twice: torch's, and crnn's with its weights."""
    theirs = torch.nn.RNN(N_X, N_A, **options)
    mine = crnn.torch.RNN(N_X, N_A, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def assert_close(mine, theirs, tolerance=None):
    assert mine.shape == theirs.shape
    assert mine.dtype == theirs.dtype
    largest = max(1.0, float(theirs.detach().abs().max()))
    error = float((mine - theirs).detach().abs().max())
    assert error <= (tolerance or TOLERANCE[theirs.dtype]) * largest


def random_like(tensor, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)


def run(rnn, x, hx, pack=None):
    """Outputs, final states and all gradients of a loss that depends on both."""
    leaves = [x, *rnn.parameters()] + ([] if hx is None else [hx])
    torch.manual_seed(1)  # for dropout
    packed = None
    if pack:
        sequences = [x[i, : LENGTHS[i]] if rnn.batch_first else x[: LENGTHS[i], i] for i in pack]
        packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=pack == [0, 2, 1, 3])
    output, h_n = rnn(x if packed is None else packed, hx)
    layout = [output.stride()] if packed is None else list(output[1:])
    if packed is not None:
        output = output.data
    loss = (output * random_like(output, 2)).sum() + (h_n * random_like(h_n, 3)).sum()
    return [output, h_n, *torch.autograd.grad(loss, leaves)], layout


OPTIONS = [
    dict(
        zip(
            ("num_layers", "nonlinearity", "bias", "batch_first", "dropout", "bidirectional"),
            values,
            strict=True,
        )
    )
    for values in product(
        (1, 2), ("tanh", "relu"), (True, False), (False, True), (0.0, 0.5), (False, True)
    )
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_equals_torch_for_every_argument_and_call_form(options, dtype, calls):
    """Outputs, final states, gradients and memory layout; dropout of the same seed included."""
    theirs, mine = pair(**options, dtype=dtype)
    cells = len(mine.all_weights)
    shape = (M, T, N_X) if mine.batch_first else (T, M, N_X)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    one = torch.randn(T, N_X, dtype=dtype, requires_grad=True)
    hx = torch.randn(cells, M, N_A, dtype=dtype, requires_grad=True)
    h_one = hx[:, 0].detach().requires_grad_()
    longest_first, any_order = [0, 2, 1, 3], [0, 1, 2, 3]
    forms = [
        (x, None), (x, hx), (one, h_one), (x, None, longest_first), (x, hx, any_order)
    ]  # fmt: skip
    for form in forms:
        (results, layout), (truths, layout_of_theirs) = run(mine, *form), run(theirs, *form)
        for result, truth in zip(results, truths, strict=True):
            assert_close(result, truth)
        for a, b in zip(layout, layout_of_theirs, strict=True):
            assert torch.equal(a, b) if isinstance(b, torch.Tensor) else a == b
    assert len(calls["rnn_backward"]) == len(forms) * cells, "it was crnn that computed"


@pytest.mark.parametrize("shape", [(100, 32, 128), (100, 1, 64)])
def test_equals_torch_at_the_sizes_of_the_benchmark(shape):
    steps, m, n = shape
    theirs = torch.nn.RNN(n, n)
    mine = crnn.torch.RNN(n, n)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(steps, m, n, requires_grad=True)
    for result, truth in zip(run(mine, x, None)[0], run(theirs, x, None)[0], strict=True):
        assert_close(result, truth)


class TestModule:
    def test_same_seed_gives_the_same_parameters_and_names(self):
        options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
        made = []
        for cls in (torch.nn.RNN, crnn.torch.RNN):
            torch.manual_seed(3)
            made.append(cls(N_X, N_A, **options).state_dict())
        assert list(made[0]) == list(made[1])
        for name, theirs in made[0].items():
            assert torch.equal(made[1][name], theirs)

    @pytest.mark.parametrize("options", OPTIONS[::7])
    def test_repr_equals_torchs(self, options):
        theirs, mine = pair(**options)
        assert repr(mine) == repr(theirs)

    def test_state_dicts_are_interchangeable(self):
        theirs, mine = pair(num_layers=2)
        for parameter in mine.parameters():
            torch.nn.init.normal_(parameter)
        theirs.load_state_dict(mine.state_dict())
        x = torch.randn(T, M, N_X)
        assert_close(mine(x)[0], theirs(x)[0])

    def test_nonlinearity_may_be_the_fourth_positional_argument(self):
        assert crnn.torch.RNN(2, 3, 1, "relu").mode == "RNN_RELU"

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [
            ((0, 3), {}),
            ((2.0, 3), {}),
            ((2, 3), {"nonlinearity": "gelu"}),
            ((2, 3), {"nonlinearity": ["tanh"]}),
            ((2, 3), {"proj_size": 1}),
            ((2, 3), {"dropout": 2}),
            ((2, 3), {"bias": 1}),
        ],
    )
    def test_wrong_arguments_raise_torchs_errors(self, arguments, options):
        """As this version of torch does: 2.6 accepts a size of 0 and any object as bias."""

        def refusal(cls):
            try:
                cls(*arguments, **options)
            except (TypeError, ValueError) as error:
                return type(error), str(error)
            return None, ""

        (theirs, message), (mine, said) = map(refusal, (torch.nn.RNN, crnn.torch.RNN))
        assert mine is theirs
        assert message in said
        if "nonlinearity" in options or "dropout" in options:  # by every version
            assert theirs is ValueError

    @pytest.mark.parametrize(
        ("x", "hx"),
        [
            (torch.zeros(T, M, N_X + 1), None),
            (torch.zeros(T, M, N_X), torch.zeros(1, M + 1, N_A)),
            (torch.zeros(T, M, N_X), torch.zeros(M, N_A)),
            (torch.zeros(T, N_X), torch.zeros(1, 1, N_A)),
            (torch.zeros(1, T, M, N_X), None),
            (torch.zeros(0, M, N_X), None),
            (torch.zeros(T, M, N_X, dtype=torch.float64), None),
            (torch.zeros(T, M, N_X, dtype=torch.int64), None),
        ],
    )
    def test_wrong_input_raises_torchs_errors(self, x, hx):
        theirs, mine = pair()
        with pytest.raises((ValueError, RuntimeError)) as said:
            theirs(x, hx)
        with pytest.raises(said.type, match=re.escape(str(said.value))):
            mine(x, hx)

    def test_an_empty_batch_gives_an_empty_output(self):
        theirs, mine = pair()
        x = torch.zeros(T, 0, N_X)
        assert [r.shape for r in mine(x)] == [r.shape for r in theirs(x)]

    def test_copies_are_independent_and_compute_the_same(self):
        mine = pair(num_layers=2, bidirectional=True)[1]
        mine.flatten_parameters()
        file = io.BytesIO()
        torch.save(mine, file)
        file.seek(0)
        x = torch.randn(T, M, N_X)
        expected = mine(x)[0]
        copies = [
            copy.deepcopy(mine),
            pickle.loads(pickle.dumps(mine)),
            torch.load(file, weights_only=False),
        ]
        torch.nn.init.zeros_(mine.weight_ih_l0)
        for other in copies:
            assert type(other) is crnn.torch.RNN
            assert torch.equal(other(x)[0], expected)

    def test_without_gradients_and_in_float64(self, calls):
        mine = pair()[1].double()
        x = torch.randn(T, M, N_X, dtype=torch.float64)
        expected = mine(x)[0].detach()
        with torch.no_grad():
            assert torch.equal(mine(x)[0], expected)
        with torch.inference_mode():
            assert torch.equal(mine(x)[0], expected)
        assert not calls["rnn_backward"]

    def test_dropout_applies_only_in_training(self):
        mine = pair(num_layers=2, dropout=0.5)[1]
        x = torch.randn(T, M, N_X)
        assert not torch.equal(mine(x)[0], mine(x)[0])
        mine.eval()
        assert torch.equal(mine(x)[0], mine(x)[0])

    def test_parameters_may_be_computed(self):
        """Parametrizations and functional_call put tensors in the parameters' places."""
        theirs, mine = pair()
        x = torch.randn(T, M, N_X)
        doubled = {name: 2 * p for name, p in theirs.named_parameters()}
        results = [torch.func.functional_call(rnn, doubled, (x,))[0] for rnn in (mine, theirs)]
        assert_close(*results)
        for rnn in (mine, theirs):
            torch.nn.utils.parametrizations.weight_norm(rnn, "weight_hh_l0")
        assert_close(mine(x)[0], theirs(x)[0])

    def test_short_sequences_use_torch(self, calls):
        theirs, mine = pair(batch_first=True)
        short, long = (torch.randn(M, t, N_X) for t in (modules.SHORTEST - 1, modules.SHORTEST))
        assert torch.equal(mine(short)[0], theirs(short)[0])
        assert not calls["rnn_forward"]
        mine(long)
        mine(long[0])
        assert len(calls["rnn_forward"]) == 2


class TestPacked:
    """Rows of a PackedSequence: one call of crnn on the tensors' own memory, without padding."""

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [9, 9, 2, 2], [9, 8, 7, 6, 5, 4, 3, 2, 1],
                                         [9, 1, 1, 1, 1], [4, 4, 4, 3, 3, 3, 1]])  # fmt: skip
    @pytest.mark.parametrize("state", [True, False])
    def test_rows_equal_the_padded_array(self, lengths, reverse, state):
        """For the operator itself, with all gradients, up to rounding."""
        torch.manual_seed(0)
        m = len(lengths)
        lengths = torch.tensor(lengths)
        draw = functools.partial(torch.randn, dtype=torch.float64, requires_grad=True)
        x, Waa, Wax, ba = draw(int(lengths[0]), m, N_X), draw(N_A, N_A), draw(N_A, N_X), draw(N_A)
        leaves = [x, Waa, Wax, ba, draw(m, N_A)]
        a0 = leaves[4] if state else None
        rest = (Waa, Wax, ba, a0, lengths, reverse, False)
        leaves = leaves if state else leaves[:4]
        rows = ops.rnn_forward(pack(x, lengths).data, *rest)
        truth = pack(ops.rnn_forward(x, *rest), lengths).data
        da = random_like(rows, 1)
        assert_close(rows, truth)
        found, true = (torch.autograd.grad(result, leaves, da) for result in (rows, truth))
        for mine, theirs in zip(found, true, strict=True):
            assert_close(mine, theirs)
        assert_close(gradients.equations(pack(x, lengths).data, *rest), rows)

    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_each_layer_and_direction_is_one_call_on_the_rows(self, calls, bidirectional):
        """Copying or splitting the rows would show as other memory or more calls."""
        rnn = crnn.torch.RNN(N_X, N_A, bidirectional=bidirectional)
        x = pack(torch.randn(9, 4, N_X), torch.tensor([9, 7, 2, 1]))
        output = rnn(x)[0]
        assert len(calls["rnn_forward"]) == 1 + bidirectional
        for given, options, _ in calls["rnn_forward"]:
            assert given[0].shape == (19, N_X)
            assert given[0].ctypes.data == x.data.data_ptr()
            np.testing.assert_array_equal(options["lengths"], [9, 7, 2, 1])
        if not bidirectional:
            assert options["out"].ctypes.data == output.data.data_ptr()
        output.data.sum().backward()
        assert len(calls["rnn_backward"]) == 1 + bidirectional
        assert all(given[0].shape == (19, N_A) for given, _, _ in calls["rnn_backward"])

    def test_short_packed_sequences_use_torch(self, calls):
        theirs, mine = pair()
        lengths = torch.tensor([modules.SHORTEST - 1, 3, 2, 1])
        x = torch.randn(modules.SHORTEST, M, N_X)
        short = pack(x, lengths)
        assert torch.equal(mine(short)[0].data, theirs(short)[0].data)
        assert not calls["rnn_forward"]
        mine(pack(x, lengths + 1))
        assert len(calls["rnn_forward"]) == 1

    def test_packed_rows_require_lengths(self):
        given = torch.randn(3, N_X), torch.randn(N_A, N_A), torch.randn(N_A, N_X)
        with pytest.raises(ValueError, match=r"x: expected .* or packed, with lengths"):
            ops.rnn_forward(*given, None, None, None, False, False)

    @pytest.mark.parametrize("batch_sizes", [[2, 3, 1, 1, 1, 1, 1, 1], [2, 0] * 4, [-1] * 8])
    def test_increasing_or_non_positive_batch_sizes_are_refused(self, batch_sizes):
        rnn = crnn.torch.RNN(N_X, N_A)
        packed = torch.nn.utils.rnn.PackedSequence(torch.randn(11, N_X), torch.tensor(batch_sizes))
        with pytest.raises(ValueError, match=r"batch_sizes: expected positive .* never rise"):
            rnn(packed)

    def test_batch_sizes_must_add_up_to_the_rows(self):
        packed = torch.nn.utils.rnn.PackedSequence(torch.randn(9, N_X), torch.ones(8).long())
        with pytest.raises(ValueError, match=r"lengths: expected .* whose sum is the 9 rows"):
            crnn.torch.RNN(N_X, N_A)(packed)


class TestCell:
    def test_rnn_cell_is_torchs_class(self):
        """So tools that recognise torch's cell by its class (quantization, torch.fx) handle it."""
        assert crnn.torch.RNNCell is torch.nn.RNNCell

    def test_steps_of_a_cell_equal_an_rnn(self):
        rnn, cell = crnn.torch.RNN(N_X, N_A), crnn.torch.RNNCell(N_X, N_A)
        cell.load_state_dict({name[:-3]: w for name, w in rnn.state_dict().items()})
        x, h = torch.randn(T, M, N_X), None
        for x_t in x:
            h = cell(x_t, h)
        assert_close(rnn(x)[1][0], h)


def arguments(dtype=torch.float64, bias=True, lengths=None, reverse=False, relu=False):
    """Arguments of the operator."""

    def draw(*shape):
        return torch.randn(shape, dtype=dtype, requires_grad=True)

    given = (draw(N_A), draw(M, N_A)) if bias else (None, None)
    x = draw(5, M, N_X)
    return (x, draw(N_A, N_A), draw(N_A, N_X), *given, lengths, reverse, relu)


KINDS = [
    {},
    {"bias": False},
    {"relu": True, "reverse": True},
    {"lengths": torch.tensor([5, 1, 4, 2])},
    {"lengths": torch.tensor([5, 1, 4, 2]), "reverse": True, "relu": True},
]


class TestOperator:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", TOLERANCE)
    def test_opcheck(self, kind, dtype):
        given = arguments(dtype, **kind)
        torch.library.opcheck(ops.rnn_forward, given)
        detached = [g.detach() if isinstance(g, torch.Tensor) else g for g in given]
        a = ops.rnn_forward(*detached)
        x, Waa, Wax, _, a0, *reading = detached
        for need_dx in (True, False):
            backward = (torch.randn_like(a), a, x, Waa, Wax, a0, *reading, need_dx)
            torch.library.opcheck(ops.rnn_backward, backward)

    @pytest.mark.parametrize("kind", KINDS)
    def test_gradients_and_their_gradients_against_finite_differences(self, kind):
        given = arguments(**kind)
        assert torch.autograd.gradcheck(ops.rnn_forward, given)
        assert torch.autograd.gradgradcheck(ops.rnn_forward, given)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_equations_are_the_same_function(self, kind):
        given = arguments(**kind)
        assert_close(ops.rnn_forward(*given), gradients.equations(*given))

    def test_padding_is_never_read(self):
        given = arguments(lengths=torch.tensor([5, 1, 4, 2]))
        with torch.no_grad():
            given[0][4, 1] = torch.nan
        for function in (ops.rnn_forward, gradients.equations):
            found = torch.autograd.grad(function(*given).sum(), given[:5])
            assert all(g.isfinite().all() for g in found)

    def test_crnn_reads_and_writes_the_tensors_own_memory(self, calls):
        x, Waa, Wax, ba, a0, *reading = arguments(torch.float32)
        a = ops.rnn_forward(x, Waa, Wax, ba, a0, *reading)
        a.sum().backward()
        ((seen, options, _),) = calls["rnn_forward"]
        arrays = (*seen, options["out"])
        for array, tensor in zip(arrays, (x, Waa, Wax, ba, a0, a), strict=True):
            assert array.ctypes.data == tensor.data_ptr()
        with torch.no_grad():
            results = ops.rnn_backward(a, a, x, Waa, Wax, a0, *reading, True)
        seen, options, _ = calls["rnn_backward"][-1]
        for array, tensor in zip(seen, (a, a, x, Waa, Wax, a0), strict=True):
            assert array.ctypes.data == tensor.data_ptr()
        for array, tensor in zip(options["out"], results, strict=True):
            assert array.ctypes.data == tensor.data_ptr()

    def test_unneeded_gradients_are_not_computed(self, calls):
        mine = pair(num_layers=2)[1]
        mine(torch.randn(T, M, N_X))[0].sum().backward()
        out = [options["out"] for _, options, _ in calls["rnn_backward"]]
        assert [g.dx is not None for g in out] == [True, False]
        assert [g.da0 for g in out] == [None, None]

    def test_a_penalty_on_gradients_trains_as_in_torch(self):
        results = []
        for rnn in pair(num_layers=2, bidirectional=True, dtype=torch.float64):
            x = torch.linspace(-1, 1, T * M * N_X, dtype=torch.float64).reshape(T, M, N_X)
            x.requires_grad_()
            # h_0 depends on x: its part of dx must not be added twice.
            h_0 = x[:4, :, :1].expand(4, M, N_A)
            (dx,) = torch.autograd.grad(rnn(x, h_0)[0].square().sum(), x, create_graph=True)
            results.append(torch.autograd.grad(dx.square().sum(), list(rnn.parameters())))
        for theirs, mine in zip(*results, strict=True):
            assert_close(mine, theirs)

    @pytest.mark.parametrize("form", ["dense", "packed"])
    @pytest.mark.parametrize("inplace", ["relu_", "add_"])
    def test_an_output_may_be_changed_in_place_as_in_torch(self, form, inplace):
        """The backward pass needs the original states, so it computes them again."""
        results = []
        for rnn in pair(num_layers=2):
            x = torch.linspace(-1, 1, T * M * N_X).reshape(T, M, N_X).requires_grad_()
            if form == "packed":
                rnn_input = pack(x, LENGTHS, enforce_sorted=False)
                output = rnn(rnn_input)[0].data
            else:
                output = rnn(x)[0]
            if inplace == "relu_":
                output.relu_()
            else:  # of a view
                output[-1].add_(2)
            loss = (output * random_like(output, 2)).sum()
            results.append(torch.autograd.grad(loss, [x, *rnn.parameters()]))
        for theirs, mine in zip(*results, strict=True):
            assert_close(mine, theirs)

    def test_an_input_changed_in_place_is_an_error_as_in_torch(self):
        for rnn in pair():
            x = torch.randn(T, M, N_X)
            output, _ = rnn(x)
            x.mul_(2)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                output.sum().backward()

    def test_the_states_are_not_kept_alive(self):
        """No reference cycle between an output and what its backward pass has saved."""
        output, _ = pair()[1](torch.randn(T, M, N_X))
        watched = weakref.ref(output)
        del output
        assert watched() is None

    def test_checkpoint(self):
        theirs, mine = pair()
        results = []
        for rnn in (theirs, mine):
            x = torch.ones(T, M, N_X, requires_grad=True)
            output = torch.utils.checkpoint.checkpoint(
                lambda x, rnn=rnn: rnn(x)[0], x, use_reentrant=False
            )
            results.append(torch.autograd.grad(output.sum(), x)[0])
        assert_close(*results)


class TestCompiler:
    @pytest.mark.parametrize(
        "options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}]
    )
    @pytest.mark.parametrize("steps", [2, T])
    def test_one_graph_and_the_same_numbers(self, options, steps):
        torch.compiler.reset()
        theirs, mine = pair(**options)
        compiled = torch.compile(mine, fullgraph=True, backend="aot_eager")
        x = torch.randn((M, steps, N_X) if mine.batch_first else (steps, M, N_X))
        x.requires_grad_()
        for result, truth in zip(run(compiled, x, None)[0], run(theirs, x, None)[0], strict=True):
            assert_close(result, truth)

    def test_inductor(self):
        """The default: it writes C++ around the operator, and needs a compiler for it.

        In a process of its own: it imports distutils, of which setuptools would warn other tests.
        """
        done = subprocess.run(
            [sys.executable, str(HERE / "torch_inductor.py")],
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if done.stdout.startswith("no compiler"):
            pytest.skip(done.stdout)
        assert float(done.stdout) <= 1e-5

    def test_export_with_any_number_of_steps_and_examples(self):
        mine = pair()[1]
        sizes = {"input": {0: torch.export.Dim("T"), 1: torch.export.Dim("m")}}
        exported = torch.export.export(mine, (torch.randn(T, M, N_X),), dynamic_shapes=sizes)
        x = torch.randn(T + 9, M + 1, N_X)
        assert_close(exported.module()(x)[0], mine(x)[0])


class TestFallbackToTorch:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex64])
    @pytest.mark.filterwarnings("ignore:Complex modules are a new feature:UserWarning")
    def test_other_dtypes_warn_once(self, dtype):
        theirs, mine = (rnn.to(dtype) for rnn in pair())
        x = torch.randn(T, M, N_X).to(dtype)
        with pytest.warns(UserWarning, match=f"{dtype} on cpu is left to torch") as caught:
            result = mine(x)[0]
        assert Path(caught[0].filename) == Path(__file__), "the warning points at the caller"
        assert torch.equal(result, theirs(x)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert torch.equal(mine(x)[0], result)

    def test_other_devices(self):
        mine = pair()[1].to("meta")
        with pytest.warns(UserWarning, match=r"torch.float32 on meta is left to torch"):
            assert mine(torch.zeros(T, M, N_X, device="meta"))[0].shape == (T, M, N_A)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    def test_a_gpu(self):
        theirs, mine = (rnn.cuda() for rnn in pair())
        x = torch.randn(T, M, N_X, device="cuda")
        with pytest.warns(UserWarning, match=r"torch.float32 on cuda is left to torch"):
            assert torch.equal(mine(x)[0], theirs(x)[0])

    def test_autocast(self):
        theirs, mine = pair()
        x = torch.randn(T, M, N_X)
        with torch.autocast("cpu"):
            with pytest.warns(UserWarning, match="autocast is left to torch"):
                result = mine(x)[0]
            assert result.dtype == torch.bfloat16
            assert torch.equal(result, theirs(x)[0])

    def test_torch_func(self):
        theirs, mine = pair()
        x = torch.randn(T, M, N_X)
        parameters = {name: p.detach() for name, p in mine.named_parameters()}

        def gradient(rnn, x):
            def loss(p):
                return torch.func.functional_call(rnn, p, (x,))[0].square().sum()

            return torch.func.grad(loss)(parameters)["weight_hh_l0"]

        with pytest.warns(UserWarning, match=r"torch\.func is left to torch"):
            assert_close(gradient(mine, x), gradient(theirs, x))
        pushed = [
            torch.func.jvp(lambda x, rnn=rnn: rnn(x)[0], (x,), (torch.ones_like(x),))[1]
            for rnn in (mine, theirs)
        ]
        assert_close(*pushed)
        each = torch.func.vmap(lambda x: gradient(mine, x[:, None]), 1)(x)  # (m, n_a, n_a)
        assert_close(each.sum(0), gradient(theirs, x))

    def test_forward_mode_differentiation(self):
        import torch.autograd.forward_ad as forward_ad

        theirs, mine = (rnn.requires_grad_(False) for rnn in pair())
        x = torch.randn(T, M, N_X)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, torch.ones_like(x))
            with pytest.warns(UserWarning, match="forward-mode differentiation is left to torch"):
                result = forward_ad.unpack_dual(mine(dual)[0]).tangent
            assert_close(result, forward_ad.unpack_dual(theirs(dual)[0]).tangent)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.RNN(N_X, 16, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def train(model, optimizer, steps):
    """The loss of each step: the sign of the sum of x."""
    generator, losses = torch.Generator().manual_seed(5), []
    for _ in range(steps):
        x = torch.randn(16, T, N_X, generator=generator)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), (x.sum((1, 2)) > 0).long())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


class TestAccelerate:
    def test_every_rnn_is_replaced_and_counted(self):
        shared = torch.nn.RNN(2, 3)
        module = torch.nn.ModuleList([shared, torch.nn.Sequential(shared, torch.nn.LSTM(2, 3))])
        module.append(Model())
        module.append(torch.nn.GRU(2, 3))
        count = crnn.torch.accelerate(module)
        assert count == 4
        assert count.each == {"RNN": 2, "GRU": 1, "LSTM": 1}
        assert type(module[0]) is type(module[2].rnn) is crnn.torch.RNN
        assert type(module[1][1]) is crnn.torch.LSTM
        assert type(module[3]) is crnn.torch.GRU
        assert crnn.torch.accelerate(module) == 0

    def test_an_rnn_at_the_top_level(self):
        rnn = torch.nn.RNN(2, 3)
        assert crnn.torch.accelerate(rnn) == 1
        assert type(rnn) is crnn.torch.RNN

    def test_subclasses_are_not_replaced(self):
        class Mine(torch.nn.RNN):
            def forward(self, input, hx=None):
                return input, hx

        module = torch.nn.ModuleList([Mine(2, 3), torch.nn.RNNCell(2, 3)])
        assert crnn.torch.accelerate(module) == 0
        assert type(module[0]) is Mine

    def test_parameters_hooks_and_mode_are_kept(self):
        model = Model().eval()
        heard = []
        model.rnn.register_forward_hook(lambda *_: heard.append(1))
        before = {name: id(p) for name, p in model.named_parameters()}
        crnn.torch.accelerate(model)
        assert {name: id(p) for name, p in model.named_parameters()} == before
        model(torch.randn(2, T, N_X))
        assert heard == [1]
        assert not model.rnn.training

    def test_training_continues_with_the_same_optimizer(self, calls):
        plain = Model()
        model = copy.deepcopy(plain)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        first = train(model, optimizer, 50)
        assert not calls["rnn_forward"]
        crnn.torch.accelerate(model)
        losses = np.append(first, train(model, optimizer, 50))
        assert calls["rnn_forward"]

        optimizer = torch.optim.Adam(plain.parameters(), lr=1e-2)
        truth = np.append(train(plain, optimizer, 50), train(plain, optimizer, 50))
        np.testing.assert_allclose(losses, truth, atol=1e-4, rtol=0)
        assert truth[-10:].mean() < 0.5 * truth[:10].mean(), "there was something to learn"


class TestProcessesAndThreads:
    def test_torchs_idle_threads_are_released_before_a_parallel_call(self, monkeypatch):
        asked = []
        monkeypatch.setattr(threads, "_pause", asked.append)
        small, large = torch.zeros(10, 4, 64), torch.zeros(100, 32, 64)
        Waa = torch.zeros(64, 64)
        threads.make_way(large, Waa)  # torch has one thread
        try:
            torch.set_num_threads(2)
            threads.make_way(small, Waa)
            assert asked == []
            threads.make_way(large, Waa)
            assert asked == [1]
        finally:
            torch.set_num_threads(1)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_forked_processes_compute(self):
        """A pool of threads that a child waits for, but does not have, would hang it."""
        done = subprocess.run(
            [sys.executable, str(HERE / "torch_fork.py")],
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == "same\nsame\n"

    @pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this torch has no gloo",
    )
    def test_distributed_data_parallel(self, tmp_path):
        """Two processes on half batches give the parameters of one process on whole batches."""
        script = [sys.executable, str(HERE / "torch_ddp.py"), str(tmp_path)]
        processes = [
            subprocess.Popen([*script, str(rank)], stderr=subprocess.PIPE, text=True)
            for rank in range(2)
        ]
        for process in processes:
            errors = process.communicate(timeout=600)[1]
            assert process.returncode == 0, errors
        sys.path.insert(0, str(HERE))
        try:
            import torch_ddp
        finally:
            sys.path.remove(str(HERE))
        truth = torch_ddp.train(torch_ddp.make(torch.nn.RNN), slice(None))
        for rank in range(2):
            parameters = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
            assert list(parameters) == list(truth)
            for name, theirs in truth.items():
                assert_close(parameters[name], theirs)


class TestPages:
    @pytest.mark.parametrize(
        "module", [crnn.torch, arrays, equations, flops, gated, gradients, modules, ops, threads]
    )
    def test_docstring_examples_run(self, module):
        tried = doctest.testmod(module)
        assert tried.failed == 0

    @pytest.mark.parametrize("name", sorted({*crnn.torch.__all__} - {"RNNCell"}))
    def test_every_public_name_has_an_example_that_runs(self, name):
        value = getattr(crnn.torch, name)
        (example,) = doctest.DocTestFinder(recurse=False).find(value, name)
        tried = doctest.DocTestRunner().run(example)
        assert tried.attempted > 0
        assert tried.failed == 0

    def test_examples_of_the_page_run(self):
        pages.run_python(ROOT / "docs" / "torch.md")
