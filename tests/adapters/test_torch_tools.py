"""crnn.torch with PyTorch's tools: export, graphs, quantization, sharding and FLOP counts."""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn.torch  # noqa: E402
from crnn.torch import checks  # noqa: E402

HERE = Path(__file__).parent
T, M, N_X, N_A = 12, 4, 3, 6  # more steps than modules.SHORTEST, so crnn computes them
LENGTHS = torch.tensor([12, 3, 9, 1])

pytestmark = [
    # torch.export, torch.jit and torch.onnx emit warnings about torch itself.
    pytest.mark.filterwarnings("ignore:.*_flat_weights:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size:UserWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(checks, "_warned", set())


def pair(**options):
    """The same network twice: torch's, and crnn's with its weights."""
    theirs = torch.nn.RNN(N_X, N_A, **options)
    mine = crnn.torch.RNN(N_X, N_A, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.RNN(N_X, N_A, bidirectional=True)
        self.head = torch.nn.Linear(2 * N_A, 2)

    def forward(self, x):
        output, _ = self.rnn(x)
        return self.head(output[-1])


def accelerated():
    model = Model().eval()
    assert crnn.torch.accelerate(model) == 1
    return model


class TestMemory:
    """The storages of inputs and outputs of crnn stay resizable."""

    @pytest.mark.parametrize("form", ["dense", "packed"])
    def test_tensors_stay_resizable(self, form):
        rnn = crnn.torch.RNN(N_X, N_A)
        x = torch.randn(T, M, N_X, requires_grad=True)
        h_0 = torch.zeros(1, M, N_A, requires_grad=True)
        given = x
        if form == "packed":
            given = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
        output, h_n = rnn(given, h_0)
        output = output.data if form == "packed" else output
        (output.sum() + h_n.sum()).backward()
        tensors = [x, h_0, output, h_n, *rnn.parameters()]
        gradients = [t.grad for t in (x, h_0, *rnn.parameters())]
        for tensor in tensors + gradients:
            tensor.detach().resize_(1000)

    @pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
    def test_an_output_serves_as_out(self):
        """torch.add(..., out=) resizes its output tensor."""
        output = crnn.torch.RNN(N_X, N_A)(torch.randn(T, M, N_X))[0].detach()
        assert torch.add(torch.ones(100, 100), 1, out=output).shape == (100, 100)

    @pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this torch has no gloo",
    )
    def test_fully_shard(self, tmp_path):
        """FSDP2 in one process, which frees and resizes the storages of the parameters."""
        done = subprocess.run(
            [sys.executable, str(HERE / "torch_fsdp.py"), str(tmp_path)],
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        result = done.stdout.splitlines()[-1]
        if result.startswith("unsupported"):
            pytest.skip(result)
        assert result == "same"


class TestExport:
    @pytest.mark.parametrize("dynamo", [False, True])
    def test_onnx(self, dynamo, tmp_path):
        """As for torch.nn.RNN, the export has ONNX's operators; afterwards the module uses crnn."""
        pytest.importorskip("onnxscript")
        onnxruntime = pytest.importorskip("onnxruntime")
        model, x = accelerated(), torch.randn(T, M, N_X)
        path = tmp_path / "model.onnx"
        torch.onnx.export(model, (x,), str(path), dynamo=dynamo, verbose=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (name,) = (value.name for value in session.get_inputs())
        (answer,) = session.run(None, {name: x.numpy()})
        np.testing.assert_allclose(answer, model(x).detach().numpy(), atol=1e-5)
        assert type(model.rnn) is crnn.torch.RNN

    def test_script_error_names_an_alternative(self):
        for module in (crnn.torch.RNN(N_X, N_A), accelerated()):
            with pytest.raises(RuntimeError, match=r"crnn\.torch\.RNN cannot .* use torch.compile"):
                torch.jit.script(module)

    def test_trace(self):
        model, x = accelerated(), torch.randn(T, M, N_X)
        traced = torch.jit.trace(model, (x,))
        other = torch.randn(T, M, N_X)
        torch.testing.assert_close(traced(other), model(other))


@pytest.mark.filterwarnings("ignore:.*(reduce_range|quantize_per_tensor):UserWarning")
class TestGraphs:
    def test_symbolic_trace_treats_the_module_as_a_leaf(self):
        model = accelerated()
        graph = torch.fx.symbolic_trace(model)
        nodes = [node.target for node in graph.graph.nodes if node.op == "call_module"]
        assert nodes == ["rnn", "head"]
        x = torch.randn(T, M, N_X)
        assert torch.equal(graph(x), model(x))

    def test_states_may_come_from_the_graph_alone(self):
        class Two(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = crnn.torch.RNN(N_X, N_A)
                self.register_buffer("x", torch.randn(T, M, N_X))

            def forward(self, h):
                return self.rnn(self.x, hx=h)[0]

        model = Two()
        h_0 = torch.randn(1, M, N_A)
        assert torch.equal(torch.fx.symbolic_trace(model)(h_0), model(h_0))

    def test_tracing_an_rnn_itself_fails_as_in_torch(self):
        for rnn in pair():
            with pytest.raises(torch.fx.proxy.TraceError):
                torch.fx.symbolic_trace(rnn)

    def test_prepare_fx(self):
        from torch.ao.quantization import get_default_qconfig_mapping
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        model, x = accelerated(), torch.randn(T, M, N_X)
        prepared = prepare_fx(model, get_default_qconfig_mapping("x86"), (x,))
        assert type(prepared.rnn) is crnn.torch.RNN
        prepared(x)
        assert (convert_fx(prepared)(x) - model(x)).abs().max() < 0.1

    def test_quantize_dynamic_replaces_the_cell(self):
        from torch.ao.quantization import quantize_dynamic

        model = torch.nn.Sequential(crnn.torch.RNNCell(N_X, N_A))
        quantized = quantize_dynamic(model, {torch.nn.RNNCell}, dtype=torch.qint8)
        assert type(quantized[0]) is torch.ao.nn.quantized.dynamic.RNNCell


def count_flops(rnn, x, h_0, pack):
    """Of the forward and of the backward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    if pack:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    with FlopCounterMode(display=False) as forward:
        output, _ = rnn(x, h_0)
    total = (output.data if pack else output).sum()
    with FlopCounterMode(display=False) as backward:
        total.backward()
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("of_x", [False, True])
@pytest.mark.parametrize("of_h_0", [None, False, True])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_flop_counts_equal_torchs(options, of_h_0, of_x, pack):
    counts = []
    for rnn in pair(**options):
        x = torch.randn(T, M, N_X, requires_grad=of_x)
        cells = len(rnn.all_weights)
        h_0 = None if of_h_0 is None else torch.zeros(cells, M, N_A, requires_grad=of_h_0)
        counts.append(count_flops(rnn, x, h_0, pack))
    assert counts[0] == counts[1]
    assert all(count > 0 for count in counts[0])


def test_expanded_weights_use_torch():
    """ExpandedWeights are tensors that override torch's functions."""
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads

    gradients = []
    for rnn in pair(batch_first=True):
        torch.manual_seed(1)
        x = torch.randn(M, T, N_X)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call_for_per_sample_grads(rnn, batch_size=M, loss_reduction="sum")(x)[
                0
            ].sum().backward()
        gradients.append([p.grad_sample for p in rnn.parameters()])
    assert any("the class ExpandedWeight is left to torch" in str(w.message) for w in caught)
    for theirs, mine in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_tensor_subclasses_are_preserved():
    class Mine(torch.Tensor):
        pass

    rnn = crnn.torch.RNN(N_X, N_A)
    x = torch.randn(T, M, N_X)
    with pytest.warns(UserWarning, match="the class Mine is left to torch"):
        output, _ = rnn(x.as_subclass(Mine))
    assert type(output) is Mine
    torch.testing.assert_close(output.as_subclass(torch.Tensor), rnn(x)[0])


def test_torch_nn_rnn_may_be_replaced_by_crnns(tmp_path):
    """torch.nn.RNN = crnn.torch.RNN, before anything is left to torch."""
    code = (
        "import torch, crnn.torch, warnings; warnings.simplefilter('ignore');"
        "torch.nn.RNN = torch.nn.modules.rnn.RNN = torch.nn.modules.RNN = crnn.torch.RNN;"
        "print(torch.nn.RNN(3, 4)(torch.zeros(2, 3))[0].shape,"
        "torch.nn.RNN(3, 4).half()(torch.zeros(20, 1, 3).half())[0].dtype)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "torch.Size([2, 4]) torch.float16\n"


def test_double_backward_memory_is_linear_in_T():
    """If the memory of each step grew with T, the total would be quadratic."""

    def numbers(steps):
        """The number of elements that torch's operations return in all three passes."""
        from torch.utils._python_dispatch import TorchDispatchMode

        class Counter(TorchDispatchMode):
            total = 0

            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                result = function(*args, **(kwargs or {}))
                found = result if isinstance(result, tuple) else (result,)
                self.total += sum(t.numel() for t in found if isinstance(t, torch.Tensor))
                return result

        rnn = crnn.torch.RNN(N_X, N_A)
        x = torch.randn(steps, M, N_X, requires_grad=True)
        with Counter() as counter:
            (dx,) = torch.autograd.grad(rnn(x)[0].square().sum(), x, create_graph=True)
            dx.square().sum().backward()
        return counter.total

    assert numbers(320) < 10 * numbers(40)


def test_an_exported_program_round_trips_through_a_buffer():
    """torch.export stores the operator under the name that crnn.torch registers."""
    model, x = accelerated(), torch.randn(T, M, N_X)
    file = io.BytesIO()
    torch.export.save(torch.export.export(model, (x,)), file)
    file.seek(0)
    loaded = torch.export.load(file)
    names = {str(node.target) for node in loaded.graph.nodes}
    assert "crnn.rnn_forward.default" in names
    torch.testing.assert_close(loaded.module()(x), model(x))
