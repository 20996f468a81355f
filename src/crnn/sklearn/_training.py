"""The length of training, the rule for stopping, and the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

import numpy as np
from joblib import effective_n_jobs

import crnn

#: With max_iter="auto" training has about so many updates, and at least so many epochs.
UPDATES, FEWEST_EPOCHS = 500, 20


class Watch:
    """Stops training after `n_iter_no_change` epochs in a row that improve by less than `tol`.

    It watches the training loss or, if `score` is given, a score on held-out examples, and then
    keeps the parameters of the best epoch.
    """

    def __init__(
        self,
        model: crnn.RNN,
        tol: float,
        n_iter_no_change: int,
        score: Callable[[], float] | None,
    ) -> None:
        self.model, self.tol, self.epochs, self.score = model, tol, n_iter_no_change, score
        self.scores: list[float] = []
        self.best = np.inf  # loss, or minus the score
        self.unchanged = 0
        self._parameters = copy(model.parameters)

    def __call__(self, history: crnn.History) -> bool:
        """Called after each epoch; True ends training."""
        if self.score is None:
            figure = history.loss[-1]
        else:
            self.scores.append(self.score())
            figure = -self.scores[-1]
        self.unchanged = self.unchanged + 1 if figure > self.best - self.tol else 0
        if figure < self.best:
            self.best = figure
            if self.score is not None:
                self._parameters = copy(self.model.parameters)  # a snapshot
        return self.unchanged >= self.epochs

    def restore_best(self) -> None:
        """Give the model the parameters of its best score."""
        for name, value in self._parameters.items():
            self.model.parameters[name] = value


class _Threads:
    """The number of crnn's threads while estimators ask for a number of their own.

    It is one number for the whole process. The first estimator to enter saves it and the last to
    leave restores it, so estimators that are fitted concurrently leave it as it was.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, 1

    @contextmanager
    def limited(self, n_jobs: int | None) -> Iterator[None]:
        """At most n_jobs threads, -1 for one per core; None leaves the number as it is."""
        if n_jobs is None:
            yield
            return
        n = effective_n_jobs(n_jobs)
        with self._lock:
            if self._inside == 0:
                self._before = crnn.get_num_threads()
            crnn.set_num_threads(n)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    crnn.set_num_threads(self._before)


threads = _Threads()
