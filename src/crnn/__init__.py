"""Recurrent networks on the CPU: vanilla (Elman), leaky, GRU and LSTM."""

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType

try:
    from crnn import _c_api  # noqa: F401  (PyCapsule_Import looks for it)
except Exception as error:  # a BLAS of another kind is a TypeError
    raise ImportError(
        "crnn's compiled extension is missing or does not load "
        f"({error}). Build it, with a C compiler at hand: python -m pip install ."
    ) from error

from crnn import _moved
from crnn import schedules as schedules
from crnn._engine.config import (
    get_include,
    get_num_threads,
    get_source,
    set_num_threads,
    set_up,
    show_config,
)
from crnn._network.initial import Init
from crnn._network.losses import Huber, Loss, Quantiles
from crnn._network.losses.check import check_loss
from crnn._network.memory import MemoryPlan, plan_memory
from crnn._network.penalties import Penalty
from crnn._training.divergence import DivergenceError
from crnn._training.history import History
from crnn._training.optim import SGD, Adam, AdamW, RMSprop
from crnn.functional import (
    Gradients,
    GRUGradients,
    GRUStates,
    LeakyStates,
    LSTMGradients,
    LSTMStates,
    Prepared,
    gru_backward,
    gru_forward,
    leaky_backward,
    leaky_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)
from crnn.model import RNN, load
from crnn.streaming import Stream

__all__ = [
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "DivergenceError",
    "GRUGradients",
    "GRUStates",
    "Gradients",
    "History",
    "Huber",
    "Init",
    "LSTMGradients",
    "LSTMStates",
    "LeakyStates",
    "Loss",
    "MemoryPlan",
    "Penalty",
    "Prepared",
    "Quantiles",
    "RMSprop",
    "Stream",
    "check_loss",
    "get_include",
    "get_num_threads",
    "get_source",
    "gru_backward",
    "gru_forward",
    "leaky_backward",
    "leaky_forward",
    "load",
    "lstm_backward",
    "lstm_forward",
    "plan_memory",
    "rnn_backward",
    "rnn_forward",
    "set_num_threads",
    "show_config",
]

_LATER = ("data", "inspect")  # modules that most programs do not need

__version__ = "0.1.0"  # the one source: pyproject.toml reads it here

set_up()
del set_up


def __getattr__(name: str) -> _ModuleType:
    """`crnn.data` and `crnn.inspect`, which are imported when they are first used."""
    if name in _LATER:
        return _import_module(f"crnn.{name}")
    raise AttributeError(f"module 'crnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    names = (name for name in globals() if not name.startswith("_") and name not in _moved.MOVED)
    return sorted({*names, *_LATER, "__version__"})
