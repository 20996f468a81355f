"""PyTorch: a drop-in for ``torch.nn.RNN`` that computes with crnn.

`RNN` takes the same arguments, gives the same numbers and has the same `state_dict`, and
`accelerate` puts it into a model that exists already. Needs ``pip install "crnn[torch]"``.

Below the module is one operator, ``torch.ops.crnn.rnn_forward``, a layer read in one direction,
with its gradient ``torch.ops.crnn.rnn_backward``: see `crnn.torch.ops`.
"""

from crnn._extras import extra

with extra("torch", "PyTorch"):
    from torch.nn import RNNCell

    import crnn.torch.flops  # noqa: F401  registers the operators' formulas
    from crnn.torch.modules import RNN, accelerate

# One step is torch's own work, and the name is here so that code can take both classes from one
# place: to leave torch and come back takes longer than a step (64 units, one example, forward and
# backward: 157 microseconds against 419 through crnn's operator). A step outside PyTorch is
# `crnn.Stream`.
__all__ = ["RNN", "RNNCell", "accelerate"]
