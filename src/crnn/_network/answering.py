"""Answers: methods of `crnn.RNN`."""

from __future__ import annotations

from typing import Any, Literal, overload

from crnn._network.answers import answers, finals_of
from crnn._network.data import Sequences
from crnn._network.model import Model
from crnn._network.noise import noise_of
from crnn.reference import Array


class Answering(Model):
    """A model that answers."""

    @overload
    def predict_proba(
        self, x: Array, lengths: Any = None, *, noise: bool = False, rng: Any = None,
        a0: Any = None, return_state: Literal[False] = False,
    ) -> Array: ...  # fmt: skip
    @overload
    def predict_proba(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None,
        a0: Any = None, return_state: Literal[False] = False,
    ) -> Array | list[Array]: ...  # fmt: skip
    @overload
    def predict_proba(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None,
        a0: Any = None, return_state: Literal[True],
    ) -> tuple[Any, list[Any]]: ...  # fmt: skip
    def predict_proba(
        self,
        x: Any,
        lengths: Any = None,
        *,
        noise: bool = False,
        rng: Any = None,
        a0: Any = None,
        return_state: bool = False,
    ) -> Any:
        """The model's answers y_hat.

        Parameters
        ----------
        x : array (T, m, n_x), integers (T, m), or a list of (T_i, n_x) or (T_i,)
            The inputs: numbers of any dtype; integers (T, m) or (T_i,) stand for one-hot rows. A
            list or a tuple is m sequences, each with its own length (for `rnn_forward` a nested
            list is the array itself).
        lengths : integers (m,), optional
            The number of steps of each example, if x is an array.
        noise : bool, optional
            Whether to draw the noise of a leaky cell, as training does. By default there is none.
        rng : int or numpy.random.Generator, optional
            Draws the noise. The same seed gives the same bits.
        a0 : list of array (m, n_a), or of pairs of them, optional
            Where each example begins: an array of the model's dtype for each layer, or of an LSTM a
            pair (a, c), as `return_state` gives and `Stream.state` has them. Bidirectional layers
            have two, forward first. A model with only one array takes that array too. By default
            examples begin at 0, or at the trained initial state.
        return_state : bool, optional
            Whether to return the state after each example's last step too.

        Returns
        -------
        y_hat : array (m, n_y) or (T, m, n_y), or a list of (T_i, n_y)
            Probabilities of classes or labels, values, all quantiles of each series, or means and
            standard deviations, as the loss has them (docs/losses.md); exactly 0 past an example's
            length. One answer per step with steps="all", and then a list if x is a list; else one
            per example.
        state : list of array (m, n_a), or of pairs of them
            With return_state=True, in the form of a0. A call that begins from it continues with the
            next steps, as if both parts were one sequence. (A reverse recurrence ends at the first
            step.)

        Raises
        ------
        ValueError, TypeError
            If x, lengths or a0 do not fit, or the model has no noise to draw.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, steps="all", rng=0)
        >>> model.predict_proba(np.zeros((5, 4, 3))).shape
        (5, 4, 2)
        >>> [y_hat.shape for y_hat in model.predict_proba([[0, 1, 2], [1]])]  # two of symbols
        [(3, 2), (1, 2)]
        >>> x = np.ones((6, 4, 3), "float32")
        >>> y_hat, state = model.predict_proba(x[:3], return_state=True)
        >>> np.allclose(model.predict_proba(x[3:], a0=state), model.predict_proba(x)[3:])
        True
        """
        return self._answers(x, lengths, noise, rng, a0, return_state)

    @overload
    def predict(
        self, x: Array, lengths: Any = None, *, noise: bool = False, rng: Any = None,
        a0: Any = None, return_state: Literal[False] = False,
    ) -> Array: ...  # fmt: skip
    @overload
    def predict(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None,
        a0: Any = None, return_state: Literal[False] = False,
    ) -> Array | list[Array]: ...  # fmt: skip
    @overload
    def predict(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None,
        a0: Any = None, return_state: Literal[True],
    ) -> tuple[Any, list[Any]]: ...  # fmt: skip
    def predict(
        self,
        x: Any,
        lengths: Any = None,
        *,
        noise: bool = False,
        rng: Any = None,
        a0: Any = None,
        return_state: bool = False,
    ) -> Any:
        """The most probable classes, or the labels or values, as targets have them.

        Parameters
        ----------
        x, lengths, noise, rng, a0, return_state
            As for `predict_proba`.

        Returns
        -------
        y : array (m,) or (T, m), for values with a last axis, or a list of such
            Shaped as the targets of `fit`: class numbers, labels 0 and 1 (with a last axis if there
            is more than one label), values, the quantile closest to the median, or means.
        state : list of array (m, n_a), or of pairs of them
            With return_state=True, as for `predict_proba`.

        Raises
        ------
        ValueError, TypeError
            If x, lengths or a0 do not fit, or the model has no noise to draw, or if a class is
            asked for and an answer is NaN.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> crnn.RNN(3, 8, 2, rng=0).predict(np.zeros((5, 4, 3)))
        array([0, 0, 0, 0])
        """
        return self._answers(x, lengths, noise, rng, a0, return_state, decide=True)

    def _answers(
        self,
        x: Any,
        lengths: Any,
        noise: Any,
        rng: Any,
        a0: Any,
        return_state: Any,
        decide: bool = False,
    ) -> Any:
        drawn = noise_of(self.config, noise, rng)
        sequences = Sequences(self.config, x, lengths=lengths, a0=a0)
        finals = finals_of(self.config, sequences, return_state)
        found = answers(self._network, sequences, decide=decide, noise=drawn, finals=finals)
        return found if finals is None else (found, finals.shown())
