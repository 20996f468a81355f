"""What every task has: its sizes, its examples, and what counts as solving it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

import crnn
from crnn._engine import validate
from crnn.reference import Array

Examples = tuple[Array, Array]
#: S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and recurrent
#: networks for sequence modeling", arXiv:1803.01271: the source of many published figures.
BAI = "Bai et al. 2018, Table 1"


@dataclass(frozen=True)
class Published:
    """A figure from the literature: the score that a model reached at T steps.

    Attributes
    ----------
    model : str
    T : int
    score : float
    source : str
        Where it was published.

    Examples
    --------
    >>> import crnn.tasks
    >>> crnn.tasks.Digits.published[0]
    Published(model='IRNN', T=784, score=0.97, source='Le et al. 2015 (MNIST, 784 pixels)')
    """

    model: str
    T: int
    score: float
    source: str


@dataclass(frozen=True)
class Task(ABC):
    """A benchmark task of T steps. `draw` makes examples of it for `crnn.RNN.fit`.

    The score of a model is its loss or its accuracy, as `measure` says. A task is solved if the
    score on held-out examples is at least as good as `solved_at`.

    Parameters
    ----------
    T : int
        Steps of every example.

    Attributes
    ----------
    name, about, source : str
        Of the task; `source` also names where its settings were published.
    measure : {"accuracy", "loss"}
    n_x, n_y, steps, loss
        As of `crnn.RNN`.
    baseline : float
        The best score of a model that remembers nothing but the current step's input.
    solved_at : float

    Examples
    --------
    >>> import crnn.tasks
    >>> task = crnn.tasks.TASKS["adding"](100)
    >>> task
    Adding(T=100)
    >>> task.measure, round(task.baseline, 3), task.solved_at
    ('loss', 0.167, 0.01)
    """

    T: int

    name: ClassVar[str]
    about: ClassVar[str]  # one line
    source: ClassVar[str]  # of the task and its settings
    measure: ClassVar[str] = "accuracy"  # or "loss"
    steps: ClassVar[str] = "last"  # as of crnn.RNN
    loss: ClassVar[str] = "cross_entropy"  # as of crnn.RNN
    least_T: ClassVar[int] = 2
    finite: ClassVar[bool] = False  # whether the examples are those of a data set
    n_x: ClassVar[int]
    n_y: ClassVar[int]
    published: ClassVar[tuple[Published, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "T", validate.count("T", self.T, least=self.least_T))

    def draw(self, m: int, rng: Any = None) -> Examples:
        """m examples to learn from.

        Parameters
        ----------
        m : int
        rng : int or numpy.random.Generator, optional

        Returns
        -------
        x, y : arrays
            As `crnn.RNN.fit` takes them.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.

        Examples
        --------
        >>> import crnn.tasks
        >>> x, y = crnn.tasks.TemporalOrder(60).draw(8, rng=0)
        >>> x.shape, y.shape                                    # symbols (T, m), classes (m,)
        ((60, 8), (8,))
        """
        return self._draw(validate.count("m", m), validate.generator(rng))

    def held_out(self, m: int = 1000) -> Examples:
        """m examples to test with: the same at each call, and independent of those of `draw`.

        Parameters
        ----------
        m : int, optional

        Returns
        -------
        x, y : arrays

        Examples
        --------
        >>> import crnn.tasks
        >>> task = crnn.tasks.Adding(100)
        >>> bool((task.held_out(5)[0] == task.held_out(5)[0]).all())
        True
        """
        return self._draw(validate.count("m", m), np.random.default_rng([20150403, self.T]))

    @abstractmethod
    def _draw(self, m: int, rng: np.random.Generator) -> Examples:
        """m examples; the arguments have been checked."""

    @property
    @abstractmethod
    def baseline(self) -> float:
        """The best score of a model that remembers nothing but the current step's input."""

    @property
    @abstractmethod
    def solved_at(self) -> float:
        """The score from which the task counts as solved."""

    @property
    def variant(self) -> str:
        """The name, with that of an option which needs settings of its own to be learned."""
        return self.name

    def solved(self, score: float) -> bool:
        """Whether a score counts as solving the task.

        Parameters
        ----------
        score : float

        Returns
        -------
        bool

        Examples
        --------
        >>> import crnn.tasks
        >>> crnn.tasks.Adding(100).solved(0.005), crnn.tasks.TemporalOrder(60).solved(0.6)
        (True, False)
        """
        return score <= self.solved_at if self.measure == "loss" else score >= self.solved_at

    def score(self, model: crnn.RNN, examples: Examples | None = None) -> float:
        """The model's score on these examples.

        Parameters
        ----------
        model : crnn.RNN
        examples : tuple of arrays, optional
            x and y; those of `held_out` by default.

        Returns
        -------
        float

        Examples
        --------
        >>> import crnn.tasks
        >>> task = crnn.tasks.Adding(20)
        >>> model = task.model(8, rng=0)
        >>> task.score(model) == model.evaluate(*task.held_out())[0]    # the loss
        True
        """
        x, y = self.held_out() if examples is None else examples
        return self.chosen(*model.evaluate(x, y))

    def chosen(self, loss: float, metric: float) -> float:
        """That of a loss and a metric which is the score.

        Parameters
        ----------
        loss, metric : float
            As `crnn.RNN.evaluate` returns them.

        Returns
        -------
        float

        Examples
        --------
        >>> import crnn.tasks
        >>> crnn.tasks.Adding(20).chosen(0.17, 0.3), crnn.tasks.TemporalOrder(20).chosen(0.5, 0.8)
        (0.17, 0.8)
        """
        return loss if self.measure == "loss" else metric

    def at(self, T: int) -> Self:
        """The same task with another number of steps.

        Parameters
        ----------
        T : int

        Returns
        -------
        Task

        Examples
        --------
        >>> import crnn.tasks
        >>> crnn.tasks.Adding(20).at(400)
        Adding(T=400)
        """
        return replace(self, T=T)

    def model(self, n_a: int = 100, **options: Any) -> crnn.RNN:
        """A `crnn.RNN` with the inputs, outputs and loss of this task.

        Parameters
        ----------
        n_a : int, optional
            Units.
        **options
            Other arguments of `crnn.RNN`, such as cell and rng.

        Returns
        -------
        crnn.RNN

        Examples
        --------
        >>> import crnn.tasks
        >>> config = crnn.tasks.Adding(20).model(64, cell="gru", rng=0).config
        >>> config.n_x, config.n_a, config.n_y, config.loss
        (2, 64, 1, 'mse')
        """
        given = {"steps": self.steps, "loss": self.loss, **options}
        return crnn.RNN(self.n_x, n_a, self.n_y, **given)
