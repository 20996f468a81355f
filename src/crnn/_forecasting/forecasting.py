"""Forecasts: a method of `crnn.RNN`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._forecasting.examples import checked_series
from crnn._forecasting.futures import Futures, checked_futures
from crnn._forecasting.scaling import Scaling
from crnn._network.answering import Answering
from crnn.reference import Array


class Forecasting(Answering):
    """A model that forecasts a series from its history."""

    @property
    def scaling(self) -> Scaling | None:
        """What `forecast` does to a history and undoes on answers; None for nothing.

        It is kept in ``metadata["scaling"]``, so it is saved with the model.
        """
        if "scaling" not in self.metadata:
            return None
        try:
            return Scaling(**json.loads(self.metadata["scaling"]))
        except (TypeError, ValueError) as error:
            raise ValueError(f"metadata['scaling']: not a scaling: {error}") from None

    @scaling.setter
    def scaling(self, scaling: Scaling | None) -> None:
        if scaling is None:
            self.metadata.pop("scaling", None)
            return
        if not isinstance(scaling, Scaling):
            raise TypeError(
                f"scaling: expected a crnn.data.Scaling or None, got {validate.shown(scaling)}"
            )
        if len(scaling.mean) != self.config.n_x:
            raise ValueError(
                f"scaling: expected {self.config.n_x} numbers, as the model's inputs, got "
                f"{len(scaling.mean)}"
            )
        self.metadata["scaling"] = scaling.to_json()

    def forecast(
        self,
        history: Any,
        H: int,
        *,
        window: int | None = None,
        levels: Any = None,
        paths: int | None = None,
        rng: Any = None,
    ) -> Array:
        """The H steps after a history: answers are fed back until there are enough.

        The model answers with the next step, or with several next steps at once: its targets have
        n_x numbers for each, as those of `crnn.data.sliding_windows`.

        Parameters
        ----------
        history : numbers (N,) or (N, n_x)
            The series so far, before `scaling`.
        H : int
            The steps to forecast.
        window : int, optional
            Read only this many steps, the last ones (after `scaling`, whose differences need more
            of the history): as many as the examples of training had. By default all.
        levels : sequence of float, optional
            Of a model with loss="quantiles" or "gaussian_nll", or a `Loss` that draws: return these
            quantiles of the futures at each step, such as (0.05, 0.5, 0.95); of quantiles, levels
            within those that the model has learned.
        paths : int, optional
            The number of futures, drawn from the model's answers: each step is drawn and fed back.
            With `levels` it is 1000 by default; without `levels`, the futures are returned.
        rng : int or numpy.random.Generator, optional
            Draws the futures. The same seed gives the same bits.

        Returns
        -------
        forecast : array (H,) or (H, n_x)
            Shaped as the history, with `scaling` undone. With `levels` there is a first axis
            (levels,), with `paths` alone a first axis (paths,).

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or the model has other answers than the next steps.

        Notes
        -----
        The numbers of one answer are drawn independently of each other. So the futures of a model
        that answers with one step have the dependence between steps that it has learned. One that
        answers with many at once gives right quantiles of each, but where a `scaling` with
        differences adds them up, only as far as their errors are independent.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> from crnn.data import Scaling, sliding_windows
        >>> series = 100 + np.sin(np.arange(200))
        >>> model = crnn.RNN(1, 16, 3, loss="mse", rng=0)          # three steps at once
        >>> model.scaling = Scaling.of(series)
        >>> x, y = sliding_windows(model.scaling.apply(series), 20, 3)
        >>> history = model.fit(x, y, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
        >>> error = model.forecast(series, 6, window=20) - (100 + np.sin(np.arange(200, 206)))
        >>> bool(abs(error).max() < 0.3)
        True

        An interval of 90 % around the median:

        >>> model = crnn.RNN(1, 16, 2, loss="gaussian_nll", rng=0)
        >>> low, median, high = model.forecast(series, 6, levels=(0.05, 0.5, 0.95), rng=0)
        >>> low.shape, bool((low < median).all())
        ((6,), True)
        """
        H = validate.count("H", H)
        self._require_next_steps()
        futures = checked_futures(self.config, levels, paths, rng)
        scaling, shape = self.scaling, np.shape(history)[1:]
        series = checked_series("history", history)
        if series.shape[1] != self.config.n_x:
            raise ValueError(
                f"history: expected n_x = {self.config.n_x} numbers at each step, got "
                f"{series.shape[1]}"
            )
        z = series if scaling is None else scaling._applied("history", series)
        if window is not None:
            z = z[-validate.count("window", window, most=len(z)) :]
        z_hat = self._fed_back(z[:, None], H, futures)  # (H, 1 or paths, n_x)
        found = z_hat if scaling is None else scaling._undone(z_hat, series)
        found = found.swapaxes(0, 1).reshape(-1, H, *shape)
        return found[0] if futures is None else futures.asked_of(found)

    def _require_next_steps(self) -> None:
        """Raise ValueError if the answers are no next steps."""
        objective, n_x = self.config.objective, self.config.n_x
        targets = objective.n_targets(self.config.n_y)
        if objective.decides or targets % n_x:
            raise ValueError(
                "forecast: expected a model whose answers are values, n_x for each next step, got "
                f"loss={self.config.loss!r} with {targets} targets and n_x = {n_x}"
            )

    def _fed_back(self, z: Array, H: int, futures: Futures | None) -> Array:
        """H steps after z (N, 1, n_x), each of float64 (1, n_x), or of all futures (paths, n_x)."""
        forward = self.config.direction == "forward" and self.config.steps in ("last", "all")
        state, parts, count = None, [], 0
        while True:
            answer = self.predict if futures is None else self.predict_proba
            if forward:
                y, state = answer(z, a0=state, return_state=True)
            else:  # the whole sequence is read again
                y = answer(z)
            last = y[-1] if self.config.every_step else y  # (m, numbers of an answer)
            if futures is not None:
                if count == 0:
                    last, state = futures.of_one(last), futures.state_of_one(state)
                    z = np.repeat(z, futures.paths, axis=1)
                last = self.config.objective.draw(last, futures.rng)
            steps = last.astype(np.float64).reshape(len(last), -1, z.shape[2])  # (m, k, n_x)
            parts.append(steps.swapaxes(0, 1))
            count += len(parts[-1])
            if count >= H:
                return np.concatenate(parts)[:H]
            z = parts[-1] if forward else np.concatenate([z, parts[-1]])
