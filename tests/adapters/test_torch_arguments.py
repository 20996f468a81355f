"""Constructors of crnn.torch accept and refuse what torch's do, and so do the modules they build.

torch builds a module with some options that it refuses when the module is called.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crnn.torch  # noqa: E402

T, M, N_X, N_A = 11, 4, 3, 5  # more steps than modules.SHORTEST, so crnn computes them

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*proj_size of LSTM is left to torch:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

OPTIONS = [
    *({"bidirectional": value} for value in (True, 1, 0, None, "a", np.True_)),
    *({"num_layers": value} for value in (2, np.int64(2), True, 0, 2.0, "2", None)),
    *({"dropout": value} for value in (-1, True, "a", None)),
    *({name: value} for name in ("bias", "batch_first") for value in (True, 1, None)),
    *({"proj_size": value} for value in (0, 5, -1, None, "a")),
    *({"nonlinearity": value} for value in ("relu", "gelu", None, ["tanh"])),
    {"device": "cpu", "dtype": torch.float64},
    {"device": 3.5},
    {"unknown": 1},
    {"input_size": N_X},
]
POSITIONAL = [
    (),
    (2,),
    (2, "relu"),
    *((1, True, False, 0.0, False, value) for value in (0, 2, "cpu", None)),
    (1, True, False, 0.0, True, 0, "cpu", torch.float64),
    (1, True, False, 0.0, True, 0, "cpu", torch.float64, 1),
]


def outcome(cls, arguments, options):
    """What comes of building a module, and of calling it if it was built."""
    try:
        torch.manual_seed(0)
        module = cls(N_X, N_A, *arguments, **options)
        output, _ = module(torch.ones(T, M, N_X, dtype=module.weight_ih_l0.dtype))
    except Exception as error:
        return type(error), str(error).replace(f"{cls.__name__}.__init__", "RNNBase.__init__")
    return repr(module), output.shape


@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
class TestArguments:
    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    def test_by_name(self, cell, options):
        theirs = outcome(getattr(torch.nn, cell), (), options)
        assert outcome(getattr(crnn.torch, cell), (), options) == theirs

    @pytest.mark.parametrize("arguments", POSITIONAL, ids=str)
    def test_by_position(self, cell, arguments):
        """An RNN has the nonlinearity in the fourth place, and then those of the others."""
        if cell == "RNN" and len(arguments) > 2:
            arguments = (arguments[0], "tanh", *arguments[1:])
        theirs = outcome(getattr(torch.nn, cell), arguments, {})
        assert outcome(getattr(crnn.torch, cell), arguments, {}) == theirs
