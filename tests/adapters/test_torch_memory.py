"""torch.utils.checkpoint with crnn's modules: padded and packed, whole and a segment at a time."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import crnn.torch  # noqa: E402

T, M, N_X, N_A = 40, 5, 3, 8
LENGTHS = torch.tensor([40, 3, 17, 9, 25])
CLASSES = [crnn.torch.RNN, crnn.torch.GRU, crnn.torch.LSTM]


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(T, M, N_X, generator=generator).requires_grad_()


def gradients(loss, module, x):
    return torch.autograd.grad(loss, [x, *module.parameters()])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("module", CLASSES)
def test_a_checkpoint_has_the_same_bits(x, module, bidirectional, packed):
    rnn = module(N_X, N_A, num_layers=2, bidirectional=bidirectional)

    def loss(output):
        return (output.data if isinstance(output, PackedSequence) else output).square().sum()

    given = pack_padded_sequence(x, LENGTHS, enforce_sorted=False) if packed else x
    expected = gradients(loss(rnn(given)[0]), rnn, x)
    given = pack_padded_sequence(x, LENGTHS, enforce_sorted=False) if packed else x
    found = gradients(loss(checkpoint(rnn, given, use_reentrant=False)[0]), rnn, x)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("module", CLASSES)
def test_segments_with_checkpoints_agree_with_one_call(x, module):
    rnn = module(N_X, N_A, num_layers=2, dtype=torch.float64)
    x = x.detach().double().requires_grad_()
    output, _ = rnn(x)
    expected = gradients(output[-1].square().sum(), rnn, x)
    state = torch.zeros(2, M, N_A, dtype=torch.float64)
    state = (state, state) if module is crnn.torch.LSTM else state
    for segment in x.split(10):
        output, state = checkpoint(rnn, segment, state, use_reentrant=False)
    found = gradients(output[-1].square().sum(), rnn, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("module", CLASSES)
def test_backward_twice_through_a_checkpoint_doubles_the_gradients(x, module, reentrant):
    """With retain_graph, each backward runs forward again."""
    rnn = module(N_X, N_A, num_layers=2, bidirectional=True)
    expected = gradients(rnn(x)[0].square().sum(), rnn, x)
    loss = checkpoint(rnn, x, use_reentrant=reentrant)[0].square().sum()
    loss.backward(retain_graph=True)
    loss.backward()
    for one, other in zip([x, *rnn.parameters()], expected, strict=True):
        assert torch.equal(one.grad, 2 * other)
