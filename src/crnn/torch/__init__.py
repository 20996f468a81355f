"""PyTorch: drop-ins for ``torch.nn.RNN`` and ``torch.nn.RNNCell`` that compute with crnn.

They take the same arguments, give the same numbers and have the same `state_dict`. `accelerate`
puts them into a model that is there already. Needs ``pip install "crnn[torch]"``.

Below the modules is one operator, ``torch.ops.crnn.rnn_forward``, a layer read in one direction,
with its gradient ``torch.ops.crnn.rnn_backward``: see `crnn.torch.ops`.
"""

from crnn.torch.modules import RNN, RNNCell, accelerate

__all__ = ["RNN", "RNNCell", "accelerate"]
