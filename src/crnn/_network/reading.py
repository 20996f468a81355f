"""The states of a model: methods of `crnn.RNN`."""

from __future__ import annotations

from typing import Any

from crnn._network.data import Sequences
from crnn._network.model import Model
from crnn._network.noise import noise_of
from crnn._network.states import checked_cells, chosen_layers, layer_states


class Reading(Model):
    """A model whose states can be read."""

    def states(
        self,
        x: Any,
        lengths: Any = None,
        layer: int | None = None,
        *,
        cells: bool = False,
        a0: Any = None,
        noise: bool = False,
        rng: Any = None,
    ) -> Any:
        """The states at every step, of every layer or of one.

        Parameters
        ----------
        x, lengths, a0, noise, rng
            As for `RNN.predict_proba`.
        layer : int, optional
            Only this layer, from 0; -1 is the top one.
        cells : bool, optional
            Of an LSTM, whether to give the cells c too.

        Returns
        -------
        states : list of array (T, m, width)
            One per layer, lowest first; with `layer` that array alone. width is n_a, or 2 n_a of a
            bidirectional model, forward first. Past an example's length they are 0. If x is a list,
            each is a list of arrays (T_i, width). With `cells`, each is a pair (a, c) of such. With
            equation="current" the states are v.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, num_layers=2, direction="bidirectional", rng=0)
        >>> [a.shape for a in model.states(np.ones((5, 4, 3)))]
        [(5, 4, 16), (5, 4, 16)]
        >>> [a.shape for a in model.states([[0, 1, 2], [1]], layer=-1)]   # two of symbols
        [(3, 16), (1, 16)]
        """
        drawn = noise_of(self.config, noise, rng)
        numbers = chosen_layers(self.config, layer)
        both = checked_cells(self.config, cells)
        sequences = Sequences(self.config, x, lengths=lengths, a0=a0)
        found = layer_states(self._network, sequences, numbers, both, drawn)
        return found if layer is None else found[0]
