"""PyTorch: a drop-in for ``torch.nn.RNN`` that computes with crnn.

`RNN` takes the same arguments, gives the same results and has the same `state_dict`;
`accelerate` replaces torch's class in an existing model. Needs ``pip install "crnn[torch]"``.

The module is built on one operator, ``torch.ops.crnn.rnn_forward``, which computes one layer in one
direction, and its gradient ``torch.ops.crnn.rnn_backward``: see `crnn.torch.ops`.
"""

from crnn._extras import extra

with extra("torch", "PyTorch"):
    from torch.nn import RNNCell

    import crnn.torch.flops  # noqa: F401  registers the operators' formulas
    from crnn.torch.modules import RNN, accelerate

# RNNCell is torch's own class, so that code can import both classes from one place. Calling crnn's
# operator takes longer than a single step (64 units, one example, forward and backward: 157
# microseconds in torch, 419 through crnn's operator). Outside PyTorch, use `crnn.Stream` for steps.
__all__ = ["RNN", "RNNCell", "accelerate"]
