"""How far back the gradient reaches: its size at each step of a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.data import Sequences
from crnn._network.flow import Saturation, by_lag, rates, reach_of
from crnn._network.layers import Trace
from crnn._network.model import Model
from crnn._network.network import Options
from crnn._words import counted
from crnn.reference import Array

__all__ = ["GradientFlow", "gradient_flow"]

#: The quantiles over examples.
LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False, repr=False)
class GradientFlow:
    """The size of the gradient at each step, for each cell: what `gradient_flow` returns.

    Printing it shows a table of rates, reach and saturation. A cell is one layer read in one
    direction, in the order of computation.

    Attributes
    ----------
    cells : tuple of str
        The cells' names, such as "layer 0" or "layer 1, reverse".
    norms : array (cells, T)
        The mean over examples of the Euclidean norm of the gradient of the summed loss with
        respect to a<t>, with everything that comes back through time. An example counts as 0 past
        its length.
    quantiles : array (cells, 3, T)
        The quantiles 0.1, 0.5 and 0.9 over the examples that have step t; NaN if none has it.
    by_lag : array (cells, T)
        The mean of the same norms by the distance k from the last step that an example's cell
        reads, over the examples that have more than k steps.
    saturated : array (cells,)
        The share of states beyond ``+-0.97`` (tanh); for relu, the share of units that are 0 at
        every step of every example. A GRU's state and an LSTM's are between -1 and 1 too.
    gates : dict of str to array (cells, 2)
        For each gate of a GRU or LSTM with the logistic function, the shares of its values that are
        near 0 and near 1, where its slope is as small as that of a saturated tanh.
    rate : array (cells,)
        The change of ``log by_lag`` per step, by least squares: below 0 the gradient vanishes. NaN
        where fewer than two norms are above 0.
    loss : float
        The mean loss of the same pass.

    Examples
    --------
    >>> import numpy as np, crnn, crnn.inspect
    >>> model = crnn.RNN(3, 16, 2, rng=0)
    >>> x = np.random.default_rng(0).standard_normal((50, 4, 3))
    >>> flow = crnn.inspect.gradient_flow(model, x, [0, 1, 0, 1])
    >>> flow.norms.shape, flow.rate.shape
    ((1, 50), (1,))
    """

    cells: tuple[str, ...]
    norms: Array
    quantiles: Array
    by_lag: Array
    saturated: Array
    gates: dict[str, Array]
    rate: Array
    loss: float

    def reach(self, fraction: float = 1 / np.e) -> Array:
        """How many steps back the gradient has fallen to a fraction, at the fitted rate.

        Parameters
        ----------
        fraction : float, optional
            Above 0 and below 1.

        Returns
        -------
        array (cells,)
            In steps; infinity where the gradient does not fall.

        Raises
        ------
        ValueError, TypeError
            If fraction is not such a number.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 16, 2, rng=0)
        >>> x = np.random.default_rng(0).standard_normal((50, 4, 3))
        >>> flow = crnn.inspect.gradient_flow(model, x, [0, 1, 0, 1])
        >>> np.allclose(flow.reach(0.01), np.log(0.01) / flow.rate)
        True
        """
        fraction = validate.number("fraction", fraction, above=True)
        if fraction >= 1:
            raise ValueError(f"fraction: expected a number above 0 and below 1, got {fraction}")
        return reach_of(self.rate, fraction)

    def plot(self, ax: Any = None, *, lag: bool = False) -> Any:
        """Draw the norms by step, on a logarithmic axis, with the fitted rates.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        lag : bool, optional
            Whether to draw `by_lag`, to which the rates are fitted, instead of `norms`. With
            sequences of different lengths the two differ.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ModuleNotFoundError
            If matplotlib is not installed.
        TypeError
            If an argument does not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> flow = crnn.inspect.gradient_flow(crnn.RNN(3, 16, 2, rng=0), np.ones((50, 1, 3)), [0])
        >>> flow.plot(lag=True).figure.savefig("flow.png")          # doctest: +SKIP
        """
        from crnn.inspect._flow_plot import draw

        return draw(self, ax, validate.flag("lag", lag))

    def __repr__(self) -> str:
        cells, steps = self.norms.shape
        return f"GradientFlow({counted(cells, 'cell')}, {counted(steps, 'step')})"

    def __str__(self) -> str:
        names = "rate per step", "to 1/e", "to 1e-6", "saturated"
        lines = ["{:22} {:>14} {:>9} {:>9} {:>10}".format("cell", *names)]
        reach, far = self.reach(), self.reach(1e-6)
        for k, name in enumerate(self.cells):
            lines.append(
                f"{name:22} {self.rate[k]:14.4f} {reach[k]:9.1f} {far[k]:9.1f} "
                f"{self.saturated[k]:10.1%}"
            )
        for gate, shares in self.gates.items():
            for name, (low, high) in zip(self.cells, shares, strict=True):
                lines.append(f"gate {gate} of {name}: {low:.1%} near 0, {high:.1%} near 1")
        return "\n".join(lines)


def gradient_flow(
    model: Any, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None
) -> GradientFlow:
    """The size of the gradient at each step of a sequence, in every cell of a model.

    Backpropagation multiplies the gradient by a Jacobian at each step, so its norm changes
    exponentially with the distance from the loss: it vanishes or explodes. The norms are taken
    from the backward pass while it runs.

    Parameters
    ----------
    model : crnn.RNN
    x, y, lengths, sample_weight
        As for `crnn.RNN.gradients`.

    Returns
    -------
    GradientFlow
        The loss is the sum over the counted steps and examples, not their mean, so that a norm
        does not depend on how many examples there are. With weights it is the sum of ``w loss``,
        where the weights are scaled to a mean of 1. An example of weight 0 is left out, of means
        and quantiles too.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    Y. Bengio, P. Simard and P. Frasconi, "Learning long-term dependencies with gradient descent is
    difficult", IEEE Transactions on Neural Networks 5 (1994) 157-166.

    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, 1310-1318.

    Examples
    --------
    >>> import numpy as np, crnn, crnn.inspect
    >>> model = crnn.RNN(3, 16, 2, rng=0)
    >>> x = np.random.default_rng(0).standard_normal((50, 4, 3))
    >>> flow = crnn.inspect.gradient_flow(model, x, [0, 1, 0, 1])
    >>> bool(flow.rate[0] < 0), bool(flow.norms[0, 0] < flow.norms[0, -1])
    (True, True)
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a crnn.RNN, got {validate.shown(model)}")
    config = model.config
    sequences = Sequences(config, x, validate.given("y", y), lengths, sample_weight)
    ends = sequences.lengths
    steps = len(sequences.x) if ends is None or not sequences.listed else int(ends.max())
    places = config.recurrences()
    norms = np.zeros((len(places), steps, sequences.m))  # (cells, T, m)
    states = Saturation(config)
    rows, loss = 0, 0.0
    for chosen, own, trace, mean_loss in _passes(model, sequences):
        T, counted = own.shape[1], len(trace.logits)
        own *= counted  # of the summed loss
        if chosen is None and steps == T:
            norms = own
        else:
            norms[:, :T, slice(None) if chosen is None else chosen] = own
        states.add(trace)
        rows, loss = rows + counted, loss + mean_loss * counted
    ends = np.full(sequences.m, steps) if ends is None else ends
    lags = by_lag(norms, ends, [place.reverse for place in places])
    return GradientFlow(
        tuple(f"layer {place.layer}" + ", reverse" * place.reverse for place in places),
        norms.mean(axis=2),
        _quantiles(norms, ends),
        lags,
        states.saturated(),
        states.gates(),
        rates(lags),
        loss / rows,
    )


def _passes(
    model: Model, sequences: Sequences
) -> Iterator[tuple[Array | None, Array, Trace, float]]:
    """Each group of examples: its numbers, norms (cells, T, m), trace and mean loss."""
    network = model._network
    gradients, options = network.new_arena(), Options(network.new_buffers())
    for chosen in sequences.groups(backward=True):
        batch = sequences.batch(chosen)
        T, m = batch.x.shape[:2]
        norms = np.empty((len(model.config.recurrences()), T, m))
        step = network.gradients(batch, gradients.views, options, norms=norms)
        yield chosen, norms, step.trace, step.loss


def _quantiles(norms: Array, ends: Array) -> Array:
    """Quantiles (cells, 3, T) over the examples that have each step; NaN where a norm is NaN."""
    T, m = norms.shape[1:]
    t, last = np.arange(T), np.full(T, m - 1)  # (T,)
    if (ends < T).any():
        has = t[:, None] < ends  # (T, m)
        norms, last = np.where(has, norms, np.nan), np.maximum(has.sum(axis=1) - 1, 0)
    rows = np.sort(norms, axis=2)  # NaN is last
    place = np.multiply.outer(LEVELS, last)  # (3, T): between two neighbours, as in np.quantile
    below = place.astype(np.intp)
    low, high = rows[:, t, below], rows[:, t, np.minimum(below + 1, last)]  # (cells, 3, T)
    unknown = np.isnan(rows[:, t, last])  # (cells, T)
    return np.where(unknown[:, None], np.nan, low + (place - below) * (high - low))
