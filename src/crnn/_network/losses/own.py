"""A loss of the user's: a callable that returns losses and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.losses.base import Objective, Wanted
from crnn.reference import Array


class Loss:
    """The base class of a loss of your own that is more than a function.

    ``RNN(loss=...)`` takes any callable ``loss(logits, y)``; this class adds what a function cannot
    say. `__call__` has to be written; the others have defaults, those of a function. Each row is an
    example, or a valid step of one, and depends on its own logits and target only. The arrays that
    the methods get are not to be written to.

    Attributes
    ----------
    targets : {"values", "classes"}
        What y has: numbers (rows, `n_targets`) in the model's dtype, by default n_y of them, or
        class numbers (rows,) in 0..n_y-1.
    metric : str
        The name of what `metrics` gives.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> class LogCosh(crnn.Loss):
    ...     metric = "mean absolute error"
    ...     def __call__(self, logits, y):
    ...         e = logits - y
    ...         losses = np.logaddexp(e, -e) - np.log(2)         # log cosh e
    ...         return losses.sum(axis=1), np.tanh(e)
    ...     def metrics(self, logits, y):
    ...         return np.abs(logits - y).mean(axis=1)
    >>> crnn.check_loss(LogCosh(), np.array([[0.3, -1.0]]), np.zeros((1, 2))) < 1e-9
    True
    >>> model = crnn.RNN(3, 8, 2, loss=LogCosh(), rng=0)
    >>> model.fit(np.ones((5, 4, 3)), np.zeros((4, 2)), progress=False).metric_name
    'mean absolute error'
    """

    targets: str = "values"
    metric: str = "loss"

    def __call__(self, logits: Array, y: Array) -> tuple[Any, Any]:
        """The loss of each row, and its gradient with respect to the logits.

        Parameters
        ----------
        logits : array (rows, n_y)
        y : array (rows, n_targets), or integers (rows,)

        Returns
        -------
        losses : array (rows,)
        gradients : array (rows, n_y)
            Row i is the gradient of loss i.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__(logits, y)")

    def n_targets(self, n_y: int) -> int:
        """The numbers in a target, where n_y of them are not right.

        Parameters
        ----------
        n_y : int

        Returns
        -------
        int

        Examples
        --------
        >>> import crnn
        >>> crnn.Loss().n_targets(3), crnn.Quantiles([0.1, 0.5, 0.9]).n_targets(3)
        (3, 1)
        """
        return n_y

    def y_hat(self, logits: Array) -> Array:
        """What `predict_proba` gives: by default the logits.

        Parameters
        ----------
        logits : array (rows, n_y)

        Returns
        -------
        array (rows, n_y)

        Examples
        --------
        >>> import numpy as np, crnn
        >>> class Rate(crnn.Loss):                      # of a Poisson distribution, exp(logit)
        ...     def __call__(self, logits, y):
        ...         return (np.exp(logits) - y * logits).sum(axis=1), np.exp(logits) - y
        ...     def y_hat(self, logits):
        ...         return np.exp(logits)
        >>> model = crnn.RNN(1, 4, 1, loss=Rate(), rng=0)
        >>> bool((model.predict_proba(np.ones((5, 2, 1))) > 0).all())
        True
        """
        return logits

    def decide(self, y_hat: Array) -> Array:
        """What `predict` gives: by default y_hat.

        Parameters
        ----------
        y_hat : array (rows, n_y)

        Returns
        -------
        array (rows, ...)

        Examples
        --------
        >>> import numpy as np, crnn
        >>> y_hat = np.array([[1.0, 2.0, 5.0]])
        >>> crnn.Loss().decide(y_hat), crnn.Quantiles([0.1, 0.5, 0.9]).decide(y_hat)
        (array([[1., 2., 5.]]), array([[2.]]))
        """
        return y_hat

    def draw(self, y_hat: Array, rng: np.random.Generator) -> Array:
        """Values from the distributions that y_hat describes, for futures in `RNN.forecast`.

        Without this method there are none.

        Parameters
        ----------
        y_hat : array (rows, n_y)
        rng : numpy.random.Generator

        Returns
        -------
        array (rows, n_targets)

        Examples
        --------
        >>> import numpy as np, crnn
        >>> quantiles = crnn.Quantiles([0.1, 0.5, 0.9])
        >>> drawn = quantiles.draw(np.array([[1.0, 2.0, 5.0]]), np.random.default_rng(0))
        >>> drawn.shape, bool(1 <= drawn[0, 0] <= 5)
        ((1, 1), True)
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method draw(y_hat, rng)")

    def metrics(self, logits: Array, y: Array) -> Array | None:
        """A number for each row, whose mean is the metric: by default its loss.

        Parameters
        ----------
        logits, y
            As for `__call__`.

        Returns
        -------
        array (rows,), or None for the loss

        Examples
        --------
        >>> import numpy as np, crnn
        >>> class LogCosh(crnn.Loss):
        ...     metric = "largest error"
        ...     def __call__(self, logits, y):
        ...         return np.log(np.cosh(logits - y)).sum(axis=1), np.tanh(logits - y)
        ...     def metrics(self, logits, y):
        ...         return np.abs(logits - y).max(axis=1)
        >>> model = crnn.RNN(1, 4, 1, loss=LogCosh(), rng=0)
        >>> loss, largest = model.evaluate(np.ones((5, 2, 1)), np.zeros((2, 1)))
        >>> bool(np.isclose(loss, np.log(np.cosh(largest))))
        True
        """
        return None


class _Function(Loss):
    """A callable, with the defaults of a Loss."""

    def __init__(self, function: Callable[[Array, Array], Any]) -> None:
        self._function = function

    def __call__(self, logits: Array, y: Array) -> tuple[Any, Any]:
        found: tuple[Any, Any] = self._function(logits, y)
        return found


class Own(Objective):
    """A loss of the user's, as a network needs it: its results are checked at each call."""

    name = "own"

    def __init__(self, of: Callable[[Array, Array], Any]) -> None:
        self.of = of
        self._loss = of if isinstance(of, Loss) else _Function(of)
        self.metric = str(self._loss.metric)
        self.link = "linear" if type(self._loss).y_hat is Loss.y_hat else None
        self.draws = type(self._loss).draw is not Loss.draw
        if self._loss.targets not in ("values", "classes"):
            raise ValueError(
                "loss: expected its attribute targets to be 'values' or 'classes', got "
                f"{validate.shown(self._loss.targets)}"
            )

    def options(self) -> dict[str, Any]:
        """What tells two losses of this kind apart."""
        return {"of": self.of}

    def entry(self) -> dict[str, Any]:
        """Its name, by which a file can say what is missing."""
        of = self.of if hasattr(self.of, "__qualname__") else type(self.of)
        return {"own": f"{of.__module__}.{of.__qualname__}"}

    def classes(self, n_y: int) -> int:
        return n_y if self._loss.targets == "classes" else 0

    def n_targets(self, n_y: int) -> int:
        return validate.count("loss: n_targets", self._loss.n_targets(n_y))

    def checked(self, y: Any, wanted: Wanted) -> Array:
        if self._loss.targets == "classes":
            return validate.class_numbers(wanted.name, y, wanted.n_y, wanted.lengths, *wanted.shape)
        return super().checked(y, wanted)

    def y_hat(self, logits: Array) -> Array:
        found = np.asarray(self._loss.y_hat(_read_only(logits)))
        return self._in_shape("y_hat", found, logits.shape).astype(logits.dtype)

    def decide(self, y_hat: Array) -> Array:
        found = np.asarray(self._loss.decide(_read_only(y_hat)))
        return self._in_shape("decide", found, (len(y_hat), *found.shape[1:])).copy()

    def draw(self, y_hat: Array, rng: np.random.Generator) -> Array:
        found = np.asarray(self._loss.draw(_read_only(y_hat), rng))
        wanted = len(y_hat), self.n_targets(y_hat.shape[-1])
        return self._in_shape("draw", found, wanted).astype(np.float64)

    def scratch(self, n_y: int) -> int:
        """The results, in float64; what the callable itself allocates is not known."""
        return 8 * (n_y + 2)

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """The means of w times its losses and metrics. Replaces the logits by the gradient."""
        rows, seen, targets = len(logits), _read_only(logits), _read_only(y)
        found = self._loss(seen, targets)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise TypeError(
                f"loss: expected it to return losses and gradients, got {validate.shown(found)}"
            )
        losses = self._in_shape("losses", np.asarray(found[0], np.float64), (rows,))
        gradients = self._in_shape("gradients", np.asarray(found[1]), logits.shape)
        metrics = losses
        of_metric = self._loss.metrics(seen, targets)
        if of_metric is not None:
            metrics = self._in_shape("metrics", np.asarray(of_metric, np.float64), (rows,))
        if weights is None:
            logits[...] = gradients
            logits /= rows
            return float(losses.mean()), float(metrics.mean())
        kept = weights != 0
        w = weights[kept]
        logits[...] = gradients
        logits *= (weights / rows)[:, None]
        logits[~kept] = 0  # their gradients may be NaN or infinite, and 0 times that is NaN
        return float((w * losses[kept]).sum() / rows), float((w * metrics[kept]).sum() / rows)

    def _in_shape(self, what: str, found: Array, shape: tuple[int, ...]) -> Array:
        if found.shape != shape or found.dtype.kind not in "fiub":
            raise ValueError(
                f"loss: expected {what} of shape {shape}, got {validate.described(found)}"
            )
        return found


def _read_only(a: Array) -> Array:
    """A view that cannot be written to."""
    view = a.view()
    view.flags.writeable = False
    return view
