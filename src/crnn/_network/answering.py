"""Answers, gradients and scores: methods of `crnn.RNN`."""

from __future__ import annotations

from typing import Any, overload

from crnn._engine import validate
from crnn._network import penalties
from crnn._network.answers import answers
from crnn._network.data import Sequences
from crnn._network.memory import checked_memory
from crnn._network.model import Model
from crnn._network.penalties import Penalty
from crnn.reference import Array


class Answering(Model):
    """A model that answers, and whose loss has a gradient."""

    @overload
    def predict_proba(
        self, x: Array, lengths: Any = None, *, noise: bool = False, rng: Any = None
    ) -> Array: ...
    @overload
    def predict_proba(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None
    ) -> Array | list[Array]: ...
    def predict_proba(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None
    ) -> Array | list[Array]:
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

        Returns
        -------
        y_hat : array (m, n_y) or (T, m, n_y), or a list of (T_i, n_y)
            Class probabilities for cross entropy, values for mse; exactly 0 past an example's
            length. One answer per example with steps="last", one per step with steps="all", and
            then a list if x is a list.

        Raises
        ------
        ValueError, TypeError
            If x or lengths do not fit, or the model has no noise to draw.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, steps="all", rng=0)
        >>> model.predict_proba(np.zeros((5, 4, 3))).shape
        (5, 4, 2)
        >>> [y_hat.shape for y_hat in model.predict_proba([[0, 1, 2], [1]])]  # two of symbols
        [(3, 2), (1, 2)]
        """
        drawn = self._network.noise_of(noise, rng)
        return answers(self._network, Sequences(self.config, x, lengths=lengths), noise=drawn)

    @overload
    def predict(
        self, x: Array, lengths: Any = None, *, noise: bool = False, rng: Any = None
    ) -> Array: ...
    @overload
    def predict(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None
    ) -> Array | list[Array]: ...
    def predict(
        self, x: Any, lengths: Any = None, *, noise: bool = False, rng: Any = None
    ) -> Array | list[Array]:
        """The most probable classes for cross entropy, values for mse.

        Parameters
        ----------
        x, lengths, noise, rng
            As for `predict_proba`.

        Returns
        -------
        y : array (m,) or (T, m), with a last axis n_y for mse, or a list of such
            Shaped as the targets of `fit`.

        Raises
        ------
        ValueError, TypeError
            If x or lengths do not fit, or the model has no noise to draw, or if a class is asked
            for and an answer is NaN.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> crnn.RNN(3, 8, 2, rng=0).predict(np.zeros((5, 4, 3)))
        array([0, 0, 0, 0])
        """
        drawn = self._network.noise_of(noise, rng)
        sequences = Sequences(self.config, x, lengths=lengths)
        return answers(self._network, sequences, decide=True, noise=drawn)

    def gradients(
        self,
        x: Any,
        y: Any,
        lengths: Any = None,
        sample_weight: Any = None,
        *,
        penalty: Penalty | None = None,
        memory: Any = None,
    ) -> tuple[float, dict[str, Array]]:
        """The loss and its gradient with respect to every parameter.

        Parameters
        ----------
        x, lengths
            As for `predict_proba`.
        y : integers (m,) or (T, m); values (m, n_y) or (T, m, n_y); lists with a list x
            Class numbers for cross entropy (False and True are 0 and 1), values for mse. Past an
            example's length, and at weight 0, the values are ignored.
        sample_weight : numbers (m,), optional
            One per example, at least 0. With steps="all" it counts at each step of the example, and
            one weight per step, in the shape of class numbers, is also accepted.
        penalty : Penalty, optional
            For large rates or weights.
        memory : int or "sqrt", optional
            Keep the states of few steps, and compute the others again on the way back: the peak
            is at most this many bytes beyond x, y and the parameters, or about the lowest that one
            more forward pass allows. The gradients have the same bits as without. Examples that
            do not fit in 56 MiB together run in groups, as without `memory`; then x of two groups
            comes on top. `crnn.plan_memory` shows the plan of a group or batch.

        Returns
        -------
        loss : float
            The mean over the counted steps and examples (and, for mse, over n_y); with weights
            ``sum w loss / sum w``, so that examples of weight 0 have no effect. The penalty is
            added to it.
        gradients : dict of str to array
            The gradients of that loss, with the parameters' names and shapes; exactly 0 for entries
            that a mask keeps at 0.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, rng=0)
        >>> loss, gradients = model.gradients(np.ones((5, 4, 3)), [0, 1, 0, 1])
        >>> gradients["Waa"].shape
        (8, 8)
        """
        penalty = penalties.checked(penalty)
        limit = checked_memory(memory)
        sequences = Sequences(self.config, x, validate.given("y", y), lengths, sample_weight)
        arena = self._network.new_arena()
        batches = sequences.batches(backward=True, penalty=penalty)
        loss = self._network.mean_gradients(batches, arena, limit, penalty)
        return loss, dict(arena.views)

    def evaluate(
        self,
        x: Any,
        y: Any,
        lengths: Any = None,
        sample_weight: Any = None,
        *,
        noise: bool = False,
        rng: Any = None,
    ) -> tuple[float, float]:
        """The mean loss and the metric.

        Parameters
        ----------
        x, y, lengths, sample_weight
            As for `gradients`.
        noise, rng
            As for `predict_proba`.

        Returns
        -------
        loss : float
            The mean over the counted steps and examples (and, for mse, over n_y), weighted as for
            `gradients`; so is the metric.
        metric : float
            Accuracy for cross entropy, the mean absolute error for mse.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> loss, accuracy = crnn.RNN(3, 8, 2, rng=0).evaluate(np.ones((5, 4, 3)), [0, 1, 0, 1])
        >>> accuracy
        0.5
        """
        sequences = Sequences(self.config, x, validate.given("y", y), lengths, sample_weight)
        drawn = self._network.noise_of(noise, rng)
        return self._network.evaluate(sequences.batches(), noise=drawn)
