"""A model's parameters to and from the weights of other libraries, which are not imported.

torch's `nn.RNN` and `nn.Linear` have the same matrices under their own names, and two biases that
are added. Keras' `SimpleRNN` and `Dense` have them transposed, in a list. Neither says which
activation or loss they are used with, or whether there is an answer at every step.
"""

from crnn.weights.keras import from_keras, to_keras
from crnn.weights.torch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]
