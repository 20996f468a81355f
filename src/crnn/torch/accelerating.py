"""accelerate: crnn's classes in place of torch's, in a model that exists."""

from __future__ import annotations

import torch

from crnn.torch.modules import GRU, LSTM, RNN, TorchGRU, TorchLSTM, TorchRNN

__all__ = ["Count", "accelerate"]


class Count(int):
    """How many modules `accelerate` turned: a number, with the number of each class in `each`."""

    each: dict[str, int]

    def __new__(cls, each: dict[str, int]) -> Count:
        """The sum of the numbers in `each`."""
        count = super().__new__(cls, sum(each.values()))
        count.each = each
        return count


def accelerate(module: torch.nn.Module) -> Count:
    """Turn every RNN, GRU and LSTM of torch.nn in a module into crnn's class of that name.

    The class is changed in place. Each module stays the same object, with its parameters, hooks and
    mode, so that optimizers and other references to it stay valid.

    Parameters
    ----------
    module : torch.nn.Module
        It may itself be one of these.

    Returns
    -------
    count : Count
        How many were turned, an int; ``count.each`` has the number of each class by name.
        Subclasses of torch's classes, which may compute something else, are left as they are.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 8), "head": torch.nn.Linear(8, 2)})
    >>> count = crnn.torch.accelerate(model)
    >>> count, count.each
    (1, {'RNN': 0, 'GRU': 1, 'LSTM': 0})
    >>> type(model["rnn"])
    <class 'crnn.torch.modules.GRU'>
    """
    crnns = {TorchRNN: RNN, TorchGRU: GRU, TorchLSTM: LSTM}
    each = dict.fromkeys(("RNN", "GRU", "LSTM"), 0)
    for part in module.modules():
        if type(part) in crnns:
            part.__class__ = crnns[type(part)]
            each[type(part).__name__] += 1
    return Count(each)
