"""Passes that recompute states, with all that training adds to them.

Trained initial states, penalties, masks and signs, NaN, limits that are too small, and Ctrl-C.
"""

import re
import signal

import numpy as np
import pytest
from passes import CELLS, LENGTHS, N_A, N_X, N_Y, M, T, data, peak_of
from same_bits import assert_same_bits

import crnn
from crnn._engine import recurrence
from crnn._network.batch import Batch
from crnn._network.network import Options

PENALTIES = [
    crnn.Penalty(rates_l2=0.7),
    crnn.Penalty(rates_l1=0.3),
    crnn.Penalty(rates_l2=0.7, rates_l1=0.3, weights_l2=0.05, weights_l1=0.02),
]
#: Four of the six units excite.
UNITS = np.array([1, 1, 1, 1, -1, -1])


def trained(cell, **options):
    """A model whose initial states are not 0."""
    model = crnn.RNN(N_X, N_A, N_Y, **cell, **options, initial_state="trained", rng=0)
    rng = np.random.default_rng(1)
    for name, value in model.parameters.items():
        if name.startswith(("a0", "c0")):
            model.parameters[name] = rng.uniform(-1, 1, value.shape)
    return model


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("steps", "layers"), [("last", 1), ("all", 1), ("last", 2), ("all", 2), ("pooled", 2)]
)
def test_gradients_of_initial_states_and_rates_have_the_same_bits(
    planned, cell, direction, lengths, steps, layers
):
    model = trained(CELLS[cell], direction=direction, steps=steps, num_layers=layers)
    x, y = data(model)
    planned(1, 1)
    for penalty in PENALTIES[-1:] if layers == 2 else PENALTIES:
        expected = model.gradients(x, y, lengths, penalty=penalty)
        found = model.gradients(x, y, lengths, penalty=penalty, memory="sqrt")
        assert_same_bits(found, expected)


@pytest.mark.parametrize("m", [1, 2, 300])
@pytest.mark.parametrize("cell", ["relu", "current", "lstm"])
def test_few_and_many_examples_with_weights_and_float64(planned, cell, m):
    model = trained(CELLS[cell], direction="reverse", steps="all", dtype="float64")
    x, y = data(model, m=m, steps=2 * 1024 // m + 2)
    weights = np.random.default_rng(0).uniform(0, 2, m)
    expected = model.gradients(x, y, None, weights, penalty=PENALTIES[-1])
    planned(1, 3)
    found = model.gradients(x, y, None, weights, penalty=PENALTIES[-1], memory="sqrt")
    assert_same_bits(found, expected)


@pytest.mark.parametrize("cell", ["vanilla", "rate", "current"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_training_has_the_same_bits_with_all_options_together(planned, cell, direction):
    """Masks, signs, a penalty, noise and dropout: the losses, and the projected parameters."""
    suffixes = ["_l0"] if direction == "forward" else ["_l0", "_l0_reverse"]
    constraints = {
        "masks": {f"Waa{suffix}": 1 - np.eye(N_A, dtype=int) for suffix in suffixes},
        "signs": {f"Waa{suffix}": UNITS for suffix in suffixes} | {"Wya": 1},
    }
    fitted = []
    for memory in (None, "sqrt"):
        model = trained(CELLS[cell], direction=direction, num_layers=2, dropout=0.3, **constraints)
        x, y = data(model)
        if memory is not None:
            planned(1, 1)
        history = model.fit(
            x, y, lengths=LENGTHS, memory=memory, penalty=PENALTIES[-1], epochs=3, batch_size=M,
            optimizer=crnn.RMSprop(0.01), progress=False, rng=0,
        )  # fmt: skip
        fitted.append((history.loss, dict(model.parameters)))
        for suffix in suffixes:
            Waa = model.parameters[f"Waa{suffix}"]
            assert (Waa * UNITS >= 0).all()
            assert not np.diag(Waa).any()
    assert_same_bits(*fitted)


@pytest.mark.parametrize("memory", ["sqrt", 1_000_000])
@pytest.mark.parametrize("cell", CELLS)
def test_a_single_step(cell, memory):
    model = trained(CELLS[cell], steps="all", num_layers=2)
    x, y = data(model, steps=1)
    expected = model.gradients(x, y, penalty=PENALTIES[-1])
    assert_same_bits(model.gradients(x, y, penalty=PENALTIES[-1], memory=memory), expected)
    assert "one segment, nothing is recomputed" in str(crnn.plan_memory(model, 1, M))


@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_is_nan_in_the_same_places_and_ignored_past_a_length(planned, cell, steps):
    model = trained(CELLS[cell], steps=steps)
    x, y = data(model)
    planned(1, 1)
    x[400, 1] = np.nan  # example 1 has 3 steps
    finite = model.gradients(x, y, LENGTHS, penalty=PENALTIES[-1], memory="sqrt")
    assert np.isfinite(finite[0])
    assert_same_bits(finite, model.gradients(x, y, LENGTHS, penalty=PENALTIES[-1]))
    x[300, 0] = np.nan
    expected = model.gradients(x, y, LENGTHS, penalty=PENALTIES[-1])
    found = model.gradients(x, y, LENGTHS, penalty=PENALTIES[-1], memory="sqrt")
    assert np.isnan(found[0])
    for name, value in expected[1].items():
        np.testing.assert_array_equal(np.isnan(found[1][name]), np.isnan(value), err_msg=name)


@pytest.mark.parametrize("steps", ["last", "all", "pooled"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("lengths", [None, 2 * LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("cell", ["vanilla", "current", "lstm"])
def test_the_peak_of_a_plan_has_initial_states_and_rates(cell, lengths, direction, steps):
    """The states of all steps of one layer would take 1.7 MiB."""
    model = crnn.RNN(
        N_X, 64, N_Y, **CELLS[cell], direction=direction, steps=steps, num_layers=2,
        initial_state="trained", rng=0,
    )  # fmt: skip
    x, y = data(model, steps=2 * T)
    penalty = PENALTIES[-1]
    plan = crnn.plan_memory(model, 2 * T, M, lengths=lengths, penalty=penalty)
    batch, arena = Batch(x.astype("float32"), y, lengths), model._network.new_arena()
    options = Options(memory="sqrt", penalty=penalty)
    peak = peak_of(lambda: model._network.gradients(batch, arena.views, options))
    assert 0.6 * plan.peak - 2**17 < peak < plan.peak + 2**17


def test_too_few_bytes_name_memory_and_the_least_that_would_do():
    model = trained(CELLS["gru"], steps="all")
    x, y = data(model)
    before = {name: value.copy() for name, value in model.parameters.items()}
    options = {"lengths": LENGTHS, "penalty": PENALTIES[0]}
    least = []
    for call in (
        lambda memory: model.gradients(x, y, **options, memory=memory),
        lambda memory: crnn.plan_memory(model, T, M, **options, memory=memory),
        lambda memory: model.fit(
            x, y, **options, memory=memory, batch_size=M, epochs=1, progress=False
        ),
    ):
        with pytest.raises(ValueError, match=r"^memory: expected at least \d+ bytes") as error:
            call(1)
        least.append(int(re.search(r"at least (\d+)", str(error.value))[1]))
        for name, value in model.parameters.items():
            np.testing.assert_array_equal(value, before[name])
    assert least[0] == least[1]
    expected = model.gradients(x, y, **options)
    assert_same_bits(model.gradients(x, y, **options, memory=least[0]), expected)


class TestInterrupted:
    def test_ctrl_c_ends_training_after_the_same_step(self, planned):
        class Pressed(crnn.SGD):
            steps = 0

            def step(self, *arguments):
                self.steps += 1
                if self.steps == 3:
                    signal.raise_signal(signal.SIGINT)
                super().step(*arguments)

        fitted = []
        for memory in (None, "sqrt"):
            model = trained(CELLS["gru"])
            x, y = data(model)
            if memory is not None:
                planned(1, 1)
            options = {"batch_size": M, "progress": False, "rng": 0, "memory": memory}
            history = model.fit(x, y, epochs=9, optimizer=Pressed(0.1), **options)
            assert history.interrupted
            again = model.fit(x, y, epochs=2, **options)
            fitted.append((history.loss + again.loss, dict(model.parameters)))
        assert_same_bits(*fitted)

    @pytest.mark.parametrize("call", [1, 2])
    def test_a_second_ctrl_c_within_a_pass_undoes_the_step(self, planned, monkeypatch, call):
        model, same = trained(CELLS["lstm"]), trained(CELLS["lstm"])
        x, y = data(model)
        planned(1, 1)
        options = {"batch_size": M, "epochs": 1, "progress": False, "rng": 0, "memory": "sqrt"}
        calls, backward = [], recurrence.cell_backward

        def pressed(*arguments, **keywords):
            calls.append(None)
            if len(calls) == call:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return backward(*arguments, **keywords)

        monkeypatch.setattr(recurrence, "cell_backward", pressed)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, **options)
        monkeypatch.setattr(recurrence, "cell_backward", backward)
        for name, value in same.parameters.items():
            np.testing.assert_array_equal(model.parameters[name], value)
        fitted = [(each.fit(x, y, **options).loss, dict(each.parameters)) for each in (model, same)]
        assert_same_bits(*fitted)
