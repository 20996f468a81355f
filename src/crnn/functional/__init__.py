"""The sequence of each cell: forward beside backward.

Arguments of the vanilla cell that fit as they are go straight to the compiled call
(`_engine.sequence`). Any others are checked and converted, or refused, first (`_engine.validate`).
"""

from crnn.functional.gru import gru_backward, gru_forward
from crnn.functional.leaky import leaky_backward, leaky_forward
from crnn.functional.lstm import lstm_backward, lstm_forward
from crnn.functional.prepared import Prepared
from crnn.functional.vanilla import rnn_backward, rnn_forward
from crnn.reference import (
    Gradients,
    GRUGradients,
    GRUStates,
    LeakyStates,
    LSTMGradients,
    LSTMStates,
)

__all__ = [
    "GRUGradients",
    "GRUStates",
    "Gradients",
    "LSTMGradients",
    "LSTMStates",
    "LeakyStates",
    "Prepared",
    "gru_backward",
    "gru_forward",
    "leaky_backward",
    "leaky_forward",
    "lstm_backward",
    "lstm_forward",
    "rnn_backward",
    "rnn_forward",
]
