"""Trainings in compiled epochs and in the Python loop, to compare."""

import numpy as np

import crnn
from crnn._training import compiled, train

M, T = 22, 7


def examples(steps="last", symbols=False, dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (T, M)) if symbols else rng.standard_normal((T, M, 3)).astype(dtype)
    return x, rng.integers(0, 4, (T, M) if steps == "all" else M)


def both(monkeypatch, model_options, fit_options, *data, method="fit"):
    """The model, History and optimizer's memory after compiled epochs, and those in Python."""
    results = []
    for in_python in (False, True):
        used = []

        def watched(trainer, data, in_python=in_python, used=used):
            used.append(None if in_python else compiled.compiled(trainer, data))
            return used[0]

        monkeypatch.setattr(train, "compiled", watched)
        model = crnn.RNN(3, 5, **{"n_y": 4, **model_options}, rng=0)
        options = {"batch_size": 6, "epochs": 3, "progress": False, "rng": 0, **fit_options}
        history = getattr(model, method)(*data, **options)
        assert (used[0] is None) == in_python
        results.append((model, history, model._memory[1]))
    return results


def assert_same(one, other):
    for name, p in one[0].parameters.items():
        assert p.tobytes() == other[0].parameters[name].tobytes(), name
    for name in ("loss", "metric", "gradient_norm", "learning_rate", "val_loss", "best_epoch",
                 "rate", "reach", "saturated"):  # fmt: skip
        assert getattr(one[1], name) == getattr(other[1], name), name
    assert one[2].keys() == other[2].keys()
    for name, value in one[2].items():
        np.testing.assert_array_equal(value, other[2][name], err_msg=name)
