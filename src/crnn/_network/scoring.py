"""The loss, its gradients and the metric: methods of `crnn.RNN`."""

from __future__ import annotations

from typing import Any, Literal, overload

from crnn._engine import validate
from crnn._network import penalties
from crnn._network.answers import finals_of
from crnn._network.data import Sequences
from crnn._network.memory import checked_memory
from crnn._network.model import Model
from crnn._network.network import Options
from crnn._network.noise import noise_of
from crnn._network.penalties import Penalty
from crnn.reference import Array


class Scoring(Model):
    """A model whose answers have a loss."""

    @overload
    def gradients(
        self, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None, *,
        penalty: Penalty | None = None, memory: Any = None, a0: Any = None,
        return_state: Literal[False] = False,
    ) -> tuple[float, dict[str, Array]]: ...  # fmt: skip
    @overload
    def gradients(
        self, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None, *,
        penalty: Penalty | None = None, memory: Any = None, a0: Any = None,
        return_state: Literal[True],
    ) -> tuple[float, dict[str, Array], list[Any]]: ...  # fmt: skip
    def gradients(
        self,
        x: Any,
        y: Any,
        lengths: Any = None,
        sample_weight: Any = None,
        *,
        penalty: Penalty | None = None,
        memory: Any = None,
        a0: Any = None,
        return_state: bool = False,
    ) -> Any:
        """The loss and its gradient with respect to every parameter.

        Parameters
        ----------
        x, lengths
            As for `predict_proba`.
        y : integers (m,) or (T, m); values (m, n_y) or (T, m, n_y); lists with a list x
            Class numbers for cross entropy (False and True are 0 and 1), else labels or values, n_y
            of them; of quantiles and of a Gaussian one for each series. With binary cross entropy
            and n_y = 1 the last axis may be left out. Past an
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
        a0, return_state
            As for `predict_proba`. No gradient passes through a0: truncated backpropagation through
            time. The parameters of a trained initial state then have gradients of 0. With `memory`
            no state is returned.

        Returns
        -------
        loss : float
            The mean over the counted steps and examples (and of values over these); with weights
            ``sum w loss / sum w``, so that examples of weight 0 have no effect. The penalty is
            added to it.
        gradients : dict of str to array
            The gradients of that loss, with the parameters' names and shapes; exactly 0 for entries
            that a mask keeps at 0.
        state : list of array (m, n_a), or of pairs of them
            With return_state=True, as for `predict_proba`.

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
        sequences = Sequences(self.config, x, validate.given("y", y), lengths, sample_weight, a0)
        finals = finals_of(self.config, sequences, return_state, limit)
        arena = self._network.new_arena()
        batches = sequences.batches(backward=True, penalty=penalty)
        options = Options(memory=limit, penalty=penalty)
        loss = self._network.mean_gradients(batches, arena, options, finals)
        found = loss, dict(arena.views)
        return found if finals is None else (*found, finals.shown())

    @overload
    def evaluate(
        self, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None, *,
        noise: bool = False, rng: Any = None, a0: Any = None,
        return_state: Literal[False] = False,
    ) -> tuple[float, float]: ...  # fmt: skip
    @overload
    def evaluate(
        self, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None, *,
        noise: bool = False, rng: Any = None, a0: Any = None, return_state: Literal[True],
    ) -> tuple[float, float, list[Any]]: ...  # fmt: skip
    def evaluate(
        self,
        x: Any,
        y: Any,
        lengths: Any = None,
        sample_weight: Any = None,
        *,
        noise: bool = False,
        rng: Any = None,
        a0: Any = None,
        return_state: bool = False,
    ) -> Any:
        """The mean loss and the metric.

        Parameters
        ----------
        x, y, lengths, sample_weight
            As for `gradients`.
        noise, rng, a0, return_state
            As for `predict_proba`.

        Returns
        -------
        loss : float
            The mean over the counted steps and examples (and of values over these), weighted as for
            `gradients`; so is the metric.
        metric : float
            Accuracy of classes and labels, the coverage of quantiles, else the mean absolute error.
        state : list of array (m, n_a), or of pairs of them
            With return_state=True, as for `predict_proba`.

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
        sequences = Sequences(self.config, x, validate.given("y", y), lengths, sample_weight, a0)
        drawn = noise_of(self.config, noise, rng)
        finals = finals_of(self.config, sequences, return_state)
        found = self._network.sums(sequences.batches(), noise=drawn, finals=finals).means
        return found if finals is None else (*found, finals.shown())
