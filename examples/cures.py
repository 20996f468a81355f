"""What each cure for the vanishing gradient brings: starts, optimizers, clipping, the forget bias.

Trains models of 100 units on adding and copy memory. In each table one setting changes and
everything else stays. A row shows how many seeds solved the task, how many ended with a loss or a
gradient that was not finite, the median of the losses on held-out examples, and the median of the
updates. A training ends when the task is solved, or after `--updates`. docs/tasks.md has the tables
for 100 steps:

    pip install "crnn[examples]"
    python examples/cures.py
"""

import argparse
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import crnn
from crnn import Init, tasks
from crnn.tasks import Adding, CopyMemory, Recipe, Result, Task

#: The relu cell as a sum over time, for adding; the tanh cell that is nearly linear, for copy.
SUM = tasks.recipe(Adding(100), "relu identity")
LINEAR = tasks.recipe(CopyMemory(100), "tanh orthogonal")
LSTM = tasks.recipe(Adding(100), "lstm")


@dataclass(frozen=True)
class Case:
    """One row: how a model begins and learns, and what else it is made with."""

    label: str
    recipe: Recipe
    options: dict[str, Any] = field(default_factory=dict)

    def results(self, task: Task, seeds: int, updates: int) -> list[Result]:
        """Train, once for each seed."""
        found, recipe = [], self.recipe
        for seed in range(seeds):
            given = {"cell": recipe.cell, "activation": recipe.activation, "init": recipe.init}
            model = task.model(100, rng=seed, **given, **self.options)
            found.append(recipe.train(model, task, updates=updates, progress=False, rng=seed))
        return found


def starts_of_adding() -> list[Case]:
    """relu and tanh, with small input weights and with the usual ones."""
    cases = []
    for activation in ("relu", "tanh"):
        for kind in ("identity", "np", "orthogonal", "uniform"):
            for small in (None, 0.01):
                if activation == "tanh" and kind in ("identity", "np"):
                    continue  # both are meant for relu
                init = Init(kind, input_std=small)
                label = f"{activation}, {kind}" + (f", input_std={small}" if small else "")
                cases.append(Case(label, replace(SUM, activation=activation, init=init)))
    return cases


def starts_of_copy() -> list[Case]:
    """The scales of the input and output weights around an orthogonal Waa."""
    inits = {
        "input_std=0.005, output_gain=50": Init(input_std=0.005, output_gain=50),
        "input_std=0.005": Init(input_std=0.005),
        "output_gain=50": Init(output_gain=50),
        "neither": Init(),
        "both, gain=0.95": Init(gain=0.95, input_std=0.005, output_gain=50),
    }
    return [Case(label, replace(LINEAR, init=init)) for label, init in inits.items()]


def optimizers(base: Recipe) -> list[Case]:
    """Rules of learning, each with three rates."""
    rules = [(crnn.RMSprop, 1e-4), (crnn.Adam, 1e-4), (crnn.SGD, 1e-3)]
    return [
        Case(f"{rule.__name__}({lr:g})", replace(base, optimizer=rule(lr)))
        for rule, least in rules
        for lr in (least, 5 * least, 25 * least)
    ]


def clippings() -> list[Case]:
    """Plain gradient descent and Adam, with and without clipping."""
    cases = []
    for optimizer, norms, values in (
        (crnn.SGD(0.01), (10.0, 1.0, 0.1), (1.0, 0.1, 0.01)),
        (crnn.Adam(5e-4), (1.0,), (0.01,)),
    ):
        label = f"{type(optimizer).__name__}({optimizer.lr:g})"
        plain = replace(SUM, optimizer=optimizer, clip_norm=None)
        cases.append(Case(f"{label}, none", plain))
        for norm in norms:
            cases.append(Case(f"{label}, clip_norm={norm:g}", replace(plain, clip_norm=norm)))
        for value in values:
            cases.append(Case(f"{label}, clip_value={value:g}", replace(plain, clip_value=value)))
    return cases


def forget_biases() -> list[Case]:
    """With a forget bias of 0 an LSTM keeps half of c in each step, with 5 it keeps 99 %."""
    values = (-1.0, 0.0, 1.0, 3.0, 5.0)
    return [Case(f"forget_bias={value:g}", LSTM, {"forget_bias": value}) for value in values]


#: By name: the task, what the table shows, its rows.
TABLES = {
    "start": (Adding, "the start, Adam(0.0005)", starts_of_adding()),
    "scales": (CopyMemory, "the scales of an orthogonal start, tanh", starts_of_copy()),
    "optimizer": (Adding, "the optimizer, relu from the identity", optimizers(SUM)),
    "optimizer-copy": (CopyMemory, "the optimizer, nearly linear tanh", optimizers(LINEAR)),
    "clipping": (Adding, "clipping, relu from the identity", clippings()),
    "forget": (Adding, "the LSTM's forget bias, Adam(0.005)", forget_biases()),
}


def row(case: Case, results: list[Result]) -> str:
    """A line of a table."""
    n = len(results)
    solved = sum(result.solved for result in results)
    diverged = sum(result.diverged for result in results)
    score = np.median([result.score for result in results])
    updates = np.median([result.updates for result in results])
    return f"{case.label:34} {solved}/{n}    {diverged}/{n}   {score:9.3g} {updates:9.0f}"


def main(arguments: list[str] | None = None) -> None:
    """Train every case and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="+", default=[*TABLES], choices=TABLES)
    parser.add_argument("--steps", type=int, default=100, metavar="T", help="of the tasks")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each row")
    parser.add_argument("--updates", type=int, default=3000, help="the most of each training")
    asked = parser.parse_args(arguments)
    crnn.set_num_threads(1)
    for name in asked.tables:
        kind, title, cases = TABLES[name]
        task = kind(asked.steps)
        print(f"\n{task.name}, T = {task.T}: {title}; without memory {task.baseline:.3g}")
        print(f"{'':34} solved diverged      loss   updates")
        for case in cases:
            print(row(case, case.results(task, asked.seeds, asked.updates)), flush=True)


if __name__ == "__main__":
    main()
