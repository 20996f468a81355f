"""The methods of `crnn.RNN` that exchange weights with other libraries."""

from __future__ import annotations

from typing import Any, Self

from crnn._network.model import Model
from crnn.reference import Array
from crnn.weights.keras import from_keras, to_keras
from crnn.weights.torch import from_torch, to_torch


class Convertible(Model):
    """A model that reads and writes the weights of torch and Keras."""

    @classmethod
    def from_torch_state_dict(
        cls,
        state_dict: Any,
        *,
        activation: str = "tanh",
        steps: str = "last",
        loss: Any = "cross_entropy",
        dtype: Any = None,
    ) -> Self:
        """A model with the weights of an `nn.RNN`, `nn.GRU` or `nn.LSTM` and an `nn.Linear` on top.

        ``Waa`` is weight_hh, ``Wax`` weight_ih, ``ba`` the sum of bias_ih and bias_hh, and
        ``Wya`` and ``by`` are the linear layer's; nothing is transposed, and gates have the same
        order. The shape of weight_hh tells the cell. Of a GRU's gate n, ``baa`` is bias_hh and
        ``ba`` is bias_ih.

        Parameters
        ----------
        state_dict : mapping of str to array
            The state dict of a module that contains these two and nothing else. Their names and
            prefixes do not matter. The keys determine layers and directions; a missing bias is
            zero. For two separate modules:
            ``torch.nn.ModuleDict({"rnn": rnn, "head": linear}).state_dict()``.
        activation, steps, loss : optional
            As for `RNN`, since they cannot be seen in the weights. The linear layer's outputs are
            the logits.
        dtype : {"float32", "float64"}, optional
            The weights' own by default.

        Returns
        -------
        RNN
            With a copy of the weights.

        Raises
        ------
        ValueError, TypeError
            If a key is missing or unknown, or a weight does not fit; the message names it.

        Notes
        -----
        ``steps="last"`` reads the final state of each direction, as ``h_n`` has them. A torch model
        that reads ``out[:, -1]`` (or ``out[-1]``) of a bidirectional RNN is another one: it sees
        the backward direction after a single step. Load that with ``steps="all"`` and take the
        last step of the answer, ``model.predict(x)[-1]``.

        A linear layer with one output under a sigmoid has ``loss="binary_cross_entropy"``. With
        cross entropy it is refused: a softmax over one class is always 1.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> state_dict = {
        ...     "rnn.weight_ih_l0": np.ones((8, 3)),
        ...     "rnn.weight_hh_l0": np.eye(8),
        ...     "head.weight": np.ones((2, 8)),
        ... }
        >>> model = crnn.RNN.from_torch_state_dict(state_dict, activation="relu", loss="mse")
        >>> model.predict(np.ones((1, 1, 3)))
        array([[24., 24.]])
        """
        choices = {"activation": activation, "steps": steps, "loss": loss}
        return cls._of(*from_torch(state_dict, dtype, **choices), {})

    def to_torch_state_dict(
        self, *, rnn: str = "rnn", head: str = "head", ba: bool = True, by: bool = True
    ) -> dict[str, Array]:
        """The weights under torch's names, as `from_torch_state_dict` reads them.

        Parameters
        ----------
        rnn, head : str, optional
            The names of the recurrent module and of the `nn.Linear` in their module, or "".
        ba, by : bool, optional
            False leaves the bias out, for a module with bias=False; it must be zero.

        Returns
        -------
        state_dict : dict of str to array
            Copies. Of torch's two biases bias_ih is ``ba`` and bias_hh is zeros, or of a GRU zeros
            and ``baa``. torch loads
            tensors: ``{key: torch.from_numpy(a) for key, a in state_dict.items()}``.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or the model reads only right to left, which no module of
            torch does, or its cell is leaky, or its initial state is trained.

        Examples
        --------
        >>> import crnn
        >>> list(crnn.RNN(3, 8, 2, rng=0).to_torch_state_dict(head="fc", ba=False))
        ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'fc.weight', 'fc.bias']
        """
        return to_torch(self.config, self.parameters, rnn, head, ba, by)

    @classmethod
    def from_keras_weights(
        cls,
        weights: Any,
        *,
        direction: str = "forward",
        activation: str = "tanh",
        steps: str = "last",
        loss: Any = "cross_entropy",
        reset_after: bool | None = None,
        dtype: Any = None,
    ) -> Self:
        """A model with the weights of Keras' `SimpleRNN`, `GRU` or `LSTM` layers and a `Dense`.

        ``Wax`` is kernel, ``Waa`` recurrent_kernel and ``Wya`` the dense kernel, all transposed;
        ``ba`` and ``by`` are the biases. The shape of recurrent_kernel tells the cell. The gates of
        a GRU are reordered, and its two biases are added but for the part that r multiplies, baa.

        Parameters
        ----------
        weights : list of array
            What the Keras model's `get_weights` returns: for each layer kernel (n_in, gates n_a),
            recurrent_kernel (n_a, gates n_a) and bias (gates n_a,), or (2, 3 n_a) of a GRU, for
            `Bidirectional` those of the forward layer before those of the backward layer; at the
            end the dense kernel (n_a or 2 n_a, n_y) and bias (n_y,). A bias that is left out is
            zero.
        direction : {"forward", "reverse", "bidirectional"}, optional
            Bidirectional is `Bidirectional` with its default merge_mode="concat". Reverse is
            go_backwards=True in the lowest layer only: Keras returns its steps in the order in
            which they were read, so the layers above read them in that order, and the steps of
            Keras' answer are reversed.
        activation, steps, loss : optional
            As for `RNN`, since they cannot be seen in the weights.
        reset_after : bool, optional
            Of GRU layers only. It must be True, which is Keras' default: crnn does not compute the
            other equation. The biases show which it is; without biases it has to be given.
        dtype : {"float32", "float64"}, optional
            The weights' own by default.

        Returns
        -------
        RNN
            With a copy of the weights.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; the message names it, as in "weights[2]".

        Notes
        -----
        ``steps="last"`` reads the final state of each direction, as `return_sequences=False` does.
        A model that reads the last step of a bidirectional layer with `return_sequences=True` is
        another one: load it with ``steps="all"`` and take the last step of the answer.

        ``Dense(1, "sigmoid")`` has ``loss="binary_cross_entropy"``. With cross entropy it is
        refused: a softmax over one class is always 1.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> weights = [np.ones((3, 8)), np.eye(8), np.zeros(8), np.ones((8, 2)), np.zeros(2)]
        >>> model = crnn.RNN.from_keras_weights(weights, activation="relu", loss="mse")
        >>> model.predict(np.ones((1, 1, 3)))
        array([[24., 24.]])
        """
        choices = {"activation": activation, "steps": steps, "loss": loss}
        return cls._of(*from_keras(weights, direction, reset_after, dtype, **choices), {})

    def to_keras_weights(self, *, ba: bool = True, by: bool = True) -> list[Array]:
        """The weights as a list of Keras, as `from_keras_weights` reads them.

        Parameters
        ----------
        ba, by : bool, optional
            False leaves the bias out, for a layer with use_bias=False; it must be zero.

        Returns
        -------
        weights : list of array
            Copies, for the Keras model's `set_weights`.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or the cell is leaky, or the initial state is trained.

        Examples
        --------
        >>> import crnn
        >>> [a.shape for a in crnn.RNN(3, 8, 2, rng=0).to_keras_weights()]
        [(3, 8), (8, 8), (8,), (8, 2), (2,)]
        """
        return to_keras(self.config, self.parameters, ba, by)
