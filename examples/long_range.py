"""How far back each cell and each start can learn to remember: adding, copy memory, digits.

Trains five kinds of models of 100 units on tasks of more and more steps and prints a table: solved
or not, the score on held-out examples, updates, seconds, and the rate of the gradient before and
after training, which is the slope of its log norm over the steps back. The settings of each kind
are those of `crnn.tasks.recipe`. docs/long_range.md explains the figures; the whole table there is

    python examples/long_range.py --tasks adding copy digits --steps 50 100 200 400 --seconds 15

Without options it trains at 50 and 100 steps for at most 4 seconds each, in about a minute.

    pip install "crnn[examples]"
    python examples/long_range.py
"""

import argparse
from dataclasses import dataclass

import numpy as np

import crnn
from crnn import tasks
from crnn.inspect import gradient_flow

NAMES = ("adding", "copy", "digits")
#: A task of so many steps is learned after shorter ones: T / 4 and T / 2.
CURRICULUM_FROM = 400


@dataclass
class Row:
    """One kind of model on one task: a result for each seed."""

    label: str
    kind: str
    results: list[tasks.Result]
    before: list[float]  # the rate of the gradient, for each seed
    after: list[float]

    @property
    def task(self) -> tasks.Task:
        """The task, with its steps."""
        return self.results[0].task

    @property
    def score(self) -> float:
        """The mean of the scores."""
        return float(np.mean([result.score for result in self.results]))

    def __str__(self) -> str:
        solved = sum(result.solved for result in self.results)
        updates = np.mean([result.updates for result in self.results])
        seconds = np.mean([result.seconds for result in self.results])
        return (
            f"{self.label:16} {self.task.T:4} {self.kind:16} {solved}/{len(self.results)}    "
            f"{self.score:9.3g} {self.task.baseline:10.3g} {updates:9.0f} {seconds:9.1f} "
            f"{np.mean(self.before):9.3f} {np.mean(self.after):9.3f}"
        )


def measure(label: str, task: tasks.Task, kind: str, seeds: int, seconds: float) -> Row:
    """Train one kind of model on a task, once for each seed."""
    recipe = tasks.recipe(task, kind)
    curriculum = [task.T // 4, task.T // 2] if task.T >= CURRICULUM_FROM else []
    results, before, after = [], [], []
    for seed in range(seeds):
        model = recipe.model(task, rng=seed)
        before.append(rate(model, task))
        results.append(
            recipe.train(
                model, task, curriculum=curriculum, seconds=seconds, progress=False, rng=seed
            )
        )  # fmt: skip
        after.append(rate(model, task))
    return Row(label, kind, results, before, after)


def rate(model: crnn.RNN, task: tasks.Task) -> float:
    """How fast the last answer's gradient vanishes: the slope of its log norm over the steps."""
    x, y = task.draw(64, rng=1)  # (T, 64, n_x) or (T, 64)
    last = None
    if task.steps == "all":
        last = np.zeros(x.shape[:2])  # the weights of the answers, (T, 64)
        last[-1] = 1
    return float(gradient_flow(model, x, y, sample_weight=last).rate[0])


def draw(rows: list[Row], path: str) -> None:
    """Draw losses, as a share of that without memory, against the steps, and accuracies."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row.label.split()[0] for row in rows))  # digits in order, permuted
    figure = Figure(figsize=(max(4.0 * len(names), 6.4), 4.0), layout="constrained")
    all_axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(all_axes, names, strict=True):
        mine = [row for row in rows if row.label.startswith(name)]
        task, labels = mine[0].task, list(dict.fromkeys(row.label for row in mine))
        for k, kind in enumerate(tasks.KINDS):
            points = [row for row in mine if row.kind == kind]
            x = [labels.index(row.label) if task.finite else row.task.T for row in points]
            y = [row.score if task.finite else row.score / row.task.baseline for row in points]
            line = (0, ()) if task.finite else ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))[k]
            style = dict(color=f"C{k}", marker="osD^v"[k], linestyle=line)
            axes.plot(x, y, label=kind, **style)
        solved = task.solved_at / (1 if task.finite else task.baseline)
        axes.axhline(solved, color="black", linewidth=1, label="solved")
        if task.finite:
            axes.set(title="digits", ylabel="accuracy", xlim=(-0.5, len(labels) - 0.5))
            axes.set_xticks(range(len(labels)), [label.removeprefix("digits ") for label in labels])
        else:
            lengths = sorted({row.task.T for row in mine})
            axes.set(title=name, xlabel="steps T", ylabel="loss / loss without memory")
            axes.set(xscale="log", yscale="log")
            axes.set_xticks(lengths, [str(T) for T in lengths])
            axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.legend(
        *all_axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=6 if len(names) > 2 else 3,
    )
    figure.savefig(path, dpi=150)


def main(arguments: list[str] | None = None) -> list[Row]:
    """Train every kind on every task, print the table and return its rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=["adding", "copy"], choices=NAMES)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 100], metavar="T")
    parser.add_argument("--kinds", nargs="+", default=[*tasks.KINDS], choices=tasks.KINDS)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each row")
    parser.add_argument("--seconds", type=float, default=4, help="the most for each training")
    parser.add_argument("--plot", metavar="FILE", help="draw the table")
    asked = parser.parse_args(arguments)
    crnn.set_num_threads(1)
    numbers = ("score", "memoryless", "updates", "seconds", "before", "after")
    print(f"{'task':16}    T {'kind':16} solved", *(f"{name:>9}" for name in numbers))
    cases: list[tuple[str, tasks.Task]] = []
    for name in asked.tasks:
        if name == "digits":
            cases.append(("digits in order", tasks.Digits()))
            cases.append(("digits permuted", tasks.Digits(permuted=True)))
        else:
            cases += [(name, tasks.TASKS[name](T)) for T in asked.steps]
    rows = []
    for label, task in cases:
        for kind in asked.kinds:
            rows.append(measure(label, task, kind, asked.seeds, asked.seconds))
            print(rows[-1], flush=True)
    for name in asked.tasks:
        for p in tasks.TASKS[name].published:
            print(f"published: {name}, T = {p.T}: {p.model} {p.score:.3g} ({p.source})")
    if asked.plot:
        draw(rows, asked.plot)
    return rows


if __name__ == "__main__":
    main()
