"""PyTorch: drop-ins for ``torch.nn.RNN``, ``GRU`` and ``LSTM`` that compute with crnn.

They take the same arguments, give the same results and have the same `state_dict`; `accelerate`
replaces torch's classes in an existing model. Needs ``pip install "crnn[torch]"``.

The modules are built on two operators, ``torch.ops.crnn.rnn_forward`` and ``gated_forward``, which
compute one layer in one direction, and their gradients: see ``crnn.torch.ops`` and
``crnn.torch.gated``.
"""

from crnn._extras import extra

with extra("torch", "PyTorch"):
    from torch.nn import RNNCell

    import crnn.torch.flops  # noqa: F401  registers the operators' formulas
    from crnn.torch.accelerating import accelerate
    from crnn.torch.modules import GRU, LSTM, RNN

# RNNCell is torch's own class, so that code can import both classes from one place. Calling crnn's
# operator takes longer than a single step (64 units, one example, forward and backward: 157
# microseconds in torch, 419 through crnn's operator). Outside PyTorch, use `crnn.Stream` for steps.
__all__ = ["GRU", "LSTM", "RNN", "RNNCell", "accelerate"]
