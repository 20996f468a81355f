"""How each kind of model begins and learns on each task.

The settings were found by experiment; those for digits without looking at the held-out quarter.
docs/long_range.md and docs/tasks.md have the figures and say how to measure them again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import crnn
from crnn._engine import validate
from crnn.schedules import Linear
from crnn.tasks.task import Task
from crnn.tasks.training import Result, train


@dataclass(frozen=True)
class Recipe:
    """A kind of model, and how it is trained on a task.

    Parameters
    ----------
    cell, activation, init
        As of `crnn.RNN`.
    optimizer, batch_size, clip_norm, clip_value
        As of `crnn.RNN.fit`.
    updates : int
        The most steps of the optimizer. A task with a finite data set is trained to this end.
    curriculum : tuple of int
        Lengths to learn before the task's own, as far as they are shorter.

    Examples
    --------
    >>> import crnn.tasks
    >>> task = crnn.tasks.Adding(200)
    >>> recipe = crnn.tasks.recipe(task, "gru")
    >>> recipe.model(task, rng=0).config.cell, recipe.optimizer
    ('gru', Adam(lr=0.005, beta1=0.9, beta2=0.999, eps=1e-08))
    """

    cell: str = "vanilla"
    activation: str = "tanh"
    init: crnn.Init = crnn.Init()  # noqa: RUF009 - frozen
    optimizer: crnn.SGD | crnn.Adam | crnn.RMSprop = crnn.Adam()  # noqa: RUF009 - frozen
    batch_size: int = 32
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    updates: int = 100_000
    curriculum: tuple[int, ...] = ()

    def model(self, task: Task, n_a: int = 100, rng: Any = None) -> crnn.RNN:
        """A model of n_a units for the task; rng draws its initial parameters.

        Parameters
        ----------
        task : Task
        n_a : int, optional
        rng : int or numpy.random.Generator, optional

        Returns
        -------
        crnn.RNN

        Examples
        --------
        >>> import crnn.tasks
        >>> task = crnn.tasks.Adding(200)
        >>> crnn.tasks.recipe(task, "lstm").model(task, 32, rng=0).config.n_a
        32
        """
        return task.model(n_a, cell=self.cell, activation=self.activation, init=self.init, rng=rng)

    def train(self, model: crnn.RNN, task: Task, **options: Any) -> Result:
        """Train the model: `crnn.tasks.train` with these settings.

        Parameters
        ----------
        model : crnn.RNN
        task : Task
        **options
            Other arguments of `crnn.tasks.train`, or others than the recipe's.

        Returns
        -------
        Result

        Examples
        --------
        >>> import crnn.tasks
        >>> task = crnn.tasks.DelayedXOR(4)
        >>> recipe = crnn.tasks.recipe(task, "gru")
        >>> model = recipe.model(task, 8, rng=0)
        >>> recipe.train(model, task, updates=20, progress=False, rng=0).updates
        20
        """
        given = {
            name: getattr(self, name)
            for name in ("optimizer", "batch_size", "clip_norm", "clip_value", "updates")
        }
        given["curriculum"] = [T for T in self.curriculum if T < task.T]
        return train(model, task, **{**given, **options})


#: The kinds of models that are compared, by the names that `recipe` takes.
KINDS = ("tanh uniform", "tanh orthogonal", "relu identity", "gru", "lstm")

_SMALL = crnn.Init("identity", input_std=0.01)
_LINEAR = crnn.Init("orthogonal", input_std=0.005, output_gain=50)
#: For digits, on which `_SMALL` diverges or learns slowly: docs/long_range.md has what was tried.
_SHRINKING = crnn.Init("identity", gain=0.99, input_std=0.3)


def _falling(found: Recipe, lr: float, batch_size: int, updates: int) -> Recipe:
    """The recipe with a rate that falls to 0.

    On a small data set the last steps of a constant rate decide the score; small ones at the end
    average over them.
    """
    optimizer = crnn.Adam(Linear(lr, steps=updates))
    return replace(found, optimizer=optimizer, batch_size=batch_size, updates=updates)


_COMMON = {
    "tanh uniform": Recipe(init=crnn.Init("uniform")),
    "tanh orthogonal": Recipe(),
    "relu identity": Recipe("vanilla", "relu", _SMALL, crnn.Adam(5e-4), batch_size=16),
    "gru": Recipe("gru", optimizer=crnn.Adam(5e-3)),
    "lstm": Recipe("lstm", optimizer=crnn.Adam(5e-3)),
}
#: Neither task of 100 steps was learned directly. After these lengths a GRU learns both.
_SHORTER = (10, 20, 30, 50, 70, 100, 150)
_DIGITS = {kind: _falling(found, 2e-3, 16, 5000) for kind, found in _COMMON.items()}
_DIGITS["relu identity"] = _falling(
    Recipe("vanilla", "relu", _SHRINKING, clip_norm=0.1), 1e-3, 16, 5000
)
#: By the task's variant, then by kind.
_OF_TASKS = {
    **{
        name: {kind: replace(found, curriculum=_SHORTER) for kind, found in _COMMON.items()}
        for name in ("order", "xor")
    },
    "copy": {"tanh orthogonal": Recipe(init=_LINEAR, optimizer=crnn.Adam(2e-4))},
    "digits": _DIGITS,
    "digits permuted": {
        **_DIGITS,
        "tanh orthogonal": _falling(_COMMON["tanh orthogonal"], 2e-3, 32, 4000),
    },
}
#: The vanilla cell's kind that does best on each task.
_BEST_VANILLA = {"adding": "relu identity"}


def recipe(task: Task, kind: str = "vanilla") -> Recipe:
    """The settings for a task and a kind of model.

    Parameters
    ----------
    task : Task
    kind : str, optional
        One of `KINDS`, or "vanilla" for that of the vanilla cell which does best on the task.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        If there is no such kind.
    TypeError
        If `task` is not one.

    Examples
    --------
    >>> import crnn.tasks
    >>> crnn.tasks.recipe(crnn.tasks.Adding(100)).init
    Init(kind='identity', gain=1.0, input_std=0.01, output_gain=1.0)
    """
    if not isinstance(task, Task):
        raise TypeError(f"task: expected a task such as Adding(100), got {validate.shown(task)}")
    kind = validate.choice("kind", kind, (*KINDS, "vanilla"))
    if kind == "vanilla":
        kind = _BEST_VANILLA.get(task.name, "tanh orthogonal")
    return _OF_TASKS.get(task.variant, {}).get(kind, _COMMON[kind])
