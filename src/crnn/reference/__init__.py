"""The cells in plain NumPy: the truth that everything else is held against.

The equations stand in the order a textbook has them, each forward beside its backward, and
nothing is done for speed. Any real dtype works; in float64 every gradient here agrees with finite
differences, and `crnn check` shows that on your machine.

Shapes: x (T, m, n_x) or integers (T, m) that stand for one-hot rows, a (T, m, n_a),
Waa (n_a, n_a), Wax (n_a, n_x), ba (n_a,), Wya (n_y, n_a), by (n_y,), a0 (m, n_a), lengths (m,).
Arguments are not checked here; `crnn.rnn_forward` and `crnn.rnn_backward` do.
"""

from crnn.reference.gru import GRUGradients, GRUStates, gru_backward, gru_forward
from crnn.reference.leaky import LeakyStates, leaky_backward, leaky_forward
from crnn.reference.loop import Array, one_hot
from crnn.reference.lstm import LSTMGradients, LSTMStates, lstm_backward, lstm_forward
from crnn.reference.output import (
    cross_entropy,
    cross_entropy_backward,
    output_backward,
    output_forward,
    softmax,
)
from crnn.reference.vanilla import (
    Gradients,
    activate,
    activate_backward,
    rnn_backward,
    rnn_backward_stacked,
    rnn_forward,
    rnn_forward_stacked,
    stack,
)

__all__ = [
    "Array",
    "GRUGradients",
    "GRUStates",
    "Gradients",
    "LSTMGradients",
    "LSTMStates",
    "LeakyStates",
    "activate",
    "activate_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "gru_backward",
    "gru_forward",
    "leaky_backward",
    "leaky_forward",
    "lstm_backward",
    "lstm_forward",
    "one_hot",
    "output_backward",
    "output_forward",
    "rnn_backward",
    "rnn_backward_stacked",
    "rnn_forward",
    "rnn_forward_stacked",
    "softmax",
    "stack",
]
