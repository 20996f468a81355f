"""Decoupled weight decay: by hand, and which parameters it spares."""

import numpy as np
import pytest

import crnn
from crnn._engine import kernels

RULES = [crnn.SGD(0.1, weight_decay=0.5), crnn.SGD(0.1, 0.9, 0.5), crnn.AdamW(0.1),
         crnn.RMSprop(0.1, weight_decay=0.5)]  # fmt: skip


def examples(m=6, T=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((T, m, 2)), rng.integers(0, 2, m)


@pytest.mark.parametrize("rule", RULES)
def test_the_weights_shrink_before_the_step(rule):
    plain = crnn.Adam(0.1) if isinstance(rule, crnn.AdamW) else type(rule)(0.1)
    if isinstance(rule, crnn.SGD):
        plain = crnn.SGD(0.1, rule.momentum)
    w, by_hand = np.array([1.0, -2.0]), np.array([1.0, -2.0])
    memory, of_plain = rule.start(w), plain.start(w)
    for g in (np.array([0.5, -1.0]), np.array([2.0, 0.0])):
        rule.step(w, g.copy(), memory)
        by_hand *= 1 - 0.1 * rule.weight_decay
        plain.step(by_hand, g.copy(), of_plain)
    np.testing.assert_allclose(w, by_hand, rtol=1e-14)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", ["vanilla", "gru"])
def test_biases_and_trained_initial_states_do_not_decay(rule, cell):
    options = {"num_layers": 2, "direction": "bidirectional", "cell": cell, "dtype": "float64"}
    model = crnn.RNN(2, 3, 2, **options, initial_state="trained", rng=0)
    for p in model.parameters.values():
        p[...] += 1  # biases and states are 0 at first, where decay would not show
    before = {name: p.copy() for name, p in model.parameters.items()}
    zero = np.zeros_like(model._network.arena.flat)
    memory = {}

    class Keeping:
        """The rule without a gradient."""

        def start(self, parameters):
            return memory

        def step(self, parameters, gradients, memory):
            rule.step(parameters, zero.copy(), memory)

    from crnn._training.rule import start

    memory.update(start(rule, model._network.arena.flat, model._network.layout))
    model.fit(*examples(), epochs=1, optimizer=Keeping(), progress=False, rng=0)
    for name, p in model.parameters.items():
        factor = 1 - 0.1 * rule.weight_decay if p.ndim == 2 else 1
        np.testing.assert_allclose(p, factor * before[name], rtol=1e-14, err_msg=name)


def test_fit_gives_the_optimizer_the_places_of_the_weights():
    x, y = examples()
    model, same = (crnn.RNN(2, 3, 2, dtype="float64", rng=0) for _ in range(2))
    for p in (*model.parameters.values(), *same.parameters.values()):
        p[...] += 1
    model.fit(x, y, epochs=1, optimizer=crnn.SGD(0.1, weight_decay=0.5), progress=False, rng=0)
    same.fit(x, y, epochs=1, optimizer=crnn.SGD(0.1), progress=False, rng=0)
    start = crnn.RNN(2, 3, 2, dtype="float64", rng=0).parameters
    for name, p in model.parameters.items():
        decay = 0.05 * (start[name] + 1) if p.ndim == 2 else 0
        np.testing.assert_allclose(p, same.parameters[name] - decay, atol=1e-14, err_msg=name)


def test_an_adamw_without_decay_has_adams_bits():
    x, y = examples()
    runs = []
    for rule in (crnn.Adam(0.01), crnn.AdamW(0.01, weight_decay=0)):
        model = crnn.RNN(2, 3, 2, rng=0)
        model.fit(x, y, optimizer=rule, progress=False, rng=0)
        runs.append(model._network.arena.flat.copy())
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_scales_the_spans_alone(dtype):
    numbers = np.arange(40, dtype=dtype)
    expected = numbers.copy()
    for a, b in ((0, 3), (10, 37)):
        expected[a:b] *= np.asarray(0.75, dtype)
    kernels.scale(numbers, np.array([[0, 3], [10, 37]], np.intp), 0.75)
    np.testing.assert_array_equal(numbers, expected)


@pytest.mark.parametrize("make", [crnn.SGD, crnn.AdamW, crnn.RMSprop])
def test_a_negative_decay_is_refused(make):
    with pytest.raises(ValueError, match="weight_decay: expected a finite number >= 0, got -1"):
        make(0.1, weight_decay=-1)
