"""The fraction of a training step of a small model that is spent in kernels.

    python bench/step_share.py

The calls that the steps of `RNN.fit` make into the kernels are recorded with their arguments, where
a schedule in Python has it run step by step, and then repeated alone. The time of a step is that of
`fit` divided by its number of steps, and includes the making of batches. The two measurements
alternate, so that other load on the machine affects both, and the median of their ratio is
reported. One thread.
"""

import statistics
import time
from contextlib import contextmanager

import numpy as np

import crnn
from crnn._engine import kernels, losses, pooling, sequence

#: n_x, n_a, m: small models, with typical batch sizes. T is 50.
CASES = [(1, 32, 16), (1, 32, 32), (32, 32, 16), (8, 64, 16), (1, 64, 32), (32, 64, 32)]
T, STEPS, EPOCHS, ROUNDS = 50, 40, 5, 15
#: Other models and trainings, at the first of the sizes.
MODELS = [
    {"loss": "mse", "steps": "last"},
    {"loss": "mse", "steps": "all"},
    {"loss": "quantiles", "steps": "all"},
    {"loss": "gaussian_nll", "steps": "all"},
    {"direction": "bidirectional", "steps": "last"},
    {"direction": "bidirectional", "steps": "pooled"},
    {"cell": "leaky", "leak": 0.2, "equation": "current", "steps": "last"},
    {"initial_state": "trained", "steps": "last"},
    {"accumulate": 2, "steps": "last"},
    {"stream": True, "steps": "all"},
    {"stream": True, "cell": "lstm", "steps": "all"},
]
#: n_y and the numbers of a target of each loss; 0 if it is a class.
OUTPUTS = {"cross_entropy": (5, 0), "mse": (1, 1), "quantiles": (3, 1), "gaussian_nll": (2, 1)}

NAMES = (
    "output_forward", "output_backward", "cross_entropy", "clip", "all_finite",
    "sgd", "adam", "rmsprop", "scale", "activate", "activate_backward", "sum_rows",
)  # fmt: skip
RECURRENCES = ("rnn_forward", "rnn_backward", "cell_forward", "cell_backward")


@contextmanager
def recorded(calls):
    """Record every call of a kernel, and make it."""

    def noting(function):
        def call(*arguments):
            calls.append((function, arguments))
            return function(*arguments)

        return call

    places = [(vars(kernels), name) for name in NAMES]
    places += [(vars(losses), name) for name in ("of_values", "pinball", "gaussian")]
    places += [(vars(pooling), name) for name in ("pool", "unpool")]
    places += [(vars(sequence), name) for name in RECURRENCES]
    before = [(place, key, place[key]) for place, key in places]
    for place, key, function in before:
        place[key] = noting(function)
    try:
        yield
    finally:
        for place, key, function in before:
            place[key] = function


def fitted(model, x, y, epochs, lr=1e-3, stream=False, accumulate=1):
    """Take STEPS times `accumulate` batches in each epoch, which are windows of a stream."""
    options = {"optimizer": crnn.Adam(lr), "clip_norm": 1.0, "progress": False, "rng": 0}
    options |= {"epochs": epochs, "accumulate": accumulate}
    if stream:
        return model.fit_stream(x, y, steps=T, **options)
    return model.fit(x, y, batch_size=x.shape[1] // (STEPS * accumulate), **options)


def seconds(function, *arguments):
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def replay(calls):
    for function, arguments in calls:
        function(*arguments)


def share(n_x, n_a, m, stream=False, accumulate=1, **options):
    """The median fraction of a step spent in kernels, and the microseconds of both."""
    rng = np.random.default_rng(0)
    n_y, s = OUTPUTS[options.get("loss", "cross_entropy")]
    model = crnn.RNN(n_x, n_a, n_y, **options, rng=0)
    M = m * STEPS * accumulate
    steps = (T * STEPS, m) if stream else (T, M)
    x = rng.standard_normal((*steps, n_x)).astype("f4")
    shape = steps if options["steps"] == "all" else (M,)
    y = rng.standard_normal((*shape, s)) if s else rng.integers(0, n_y, shape)
    calls, more = [], {"stream": stream, "accumulate": accumulate}
    with recorded(calls):
        fitted(model, x, y, 1, lr=lambda step: 1e-3, **more)  # called from Python at each step
    calls = calls[: len(calls) // STEPS * STEPS]  # less the final loss of the last batch
    whole, kernels = [], []
    for _ in range(ROUNDS):
        whole.append(seconds(fitted, model, x, y, EPOCHS, 1e-3, *more.values()) / (EPOCHS * STEPS))
        kernels.append(seconds(replay, EPOCHS * calls) / (EPOCHS * STEPS))
    ratio = statistics.median(k / w for k, w in zip(kernels, whole, strict=True))
    return ratio, 1e6 * statistics.median(kernels), 1e6 * statistics.median(whole)


if __name__ == "__main__":
    crnn.set_num_threads(1)
    print("n_x n_a  m  kernels    step  share  model")
    cases = [(case, {"steps": steps}) for case in CASES for steps in ("last", "all")]
    for case, options in cases + [(CASES[0], options) for options in MODELS]:
        ratio, alone, whole = share(*case, **options)
        times = f"{alone:7.0f} us{whole:5.0f} us{ratio:7.0%}"
        names = [v if isinstance(v, str) else f"{name}={v}" for name, v in options.items()]
        print("{:3} {:3} {:2}".format(*case), times, "", " ".join(names))
