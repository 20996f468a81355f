"""Training a batch at a time."""

import copy
import itertools
import sys

import numpy as np
import pytest

import crnn


def examples(m=6, T=5, steps="last"):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (T, m) if steps == "all" else m)
    return rng.standard_normal((T, m, 2)).astype("f4"), y


def flat(model):
    return model._network.arena.flat.copy()


@pytest.mark.parametrize("optimizer", [crnn.SGD(0.1, 0.9), crnn.AdamW(0.01), "rmsprop"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lengths": [1, 5, 2, 3, 4, 5], "clip_norm": 0.1},
        {"sample_weight": [1, 2, 0, 1, 3, 1], "clip_value": 0.01},
        {"memory": "sqrt", "penalty": crnn.Penalty(weights_l2=0.1)},
    ],
)
def test_calls_have_the_bits_of_fit_with_one_batch_an_epoch(optimizer, options):
    x, y = examples(steps="all")
    one, all_at_once = (crnn.RNN(2, 3, 2, steps="all", rng=0) for _ in range(2))
    told = [one.train_on_batch(x, y, optimizer=optimizer, **options) for _ in range(4)]
    history = all_at_once.fit(x, y, epochs=4, optimizer=optimizer, progress=False, **options)
    np.testing.assert_array_equal(flat(one), flat(all_at_once))
    means = history.loss, history.metric  # times and over the number of rows
    np.testing.assert_allclose(np.transpose(told), means, rtol=1e-14)


@pytest.mark.parametrize("shards", [None, 1, 4])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_long_sequence_in_windows_is_fit_stream(cell, shards):
    """Each call begins from the state that the last one returned."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 5, 2)), rng.integers(0, 2, (20, 5))
    ours, whole = (
        crnn.RNN(2, 3, 2, steps="all", cell=cell, num_layers=2, dtype="float64", rng=0)
        for _ in range(2)
    )
    adam, state, losses = crnn.Adam(0.01), None, []
    for t in range(0, 20, 5):
        part = slice(t, t + 5)
        loss, _, state = ours.train_on_batch(
            x[part], y[part], a0=state, return_state=True, optimizer=adam, shards=shards
        )
        losses.append(loss)
    history = whole.fit_stream(
        x, y, steps=5, epochs=1, optimizer=adam, progress=False, shards=shards
    )
    np.testing.assert_array_equal(flat(ours), flat(whole))
    assert history.loss[0] == pytest.approx(np.mean(losses), rel=1e-12)


def test_the_state_is_that_before_the_step():
    x, y = examples()
    model = crnn.RNN(2, 3, 2, rng=0)
    lengths = [1, 5, 2, 3, 4, 5]
    _, wanted = model.predict(x, lengths, return_state=True)
    *_, found = model.train_on_batch(x, y, lengths=lengths, return_state=True)
    np.testing.assert_array_equal(found[0], wanted[0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"return_state": 1}, TypeError, "return_state: expected True or False, got 1"),
        ({"memory": "sqrt"}, ValueError, "return_state: expected False with memory"),
        ({"sample_weight": [1, 0] * 3}, ValueError, "return_state: expected False with a sample"),
    ],
)
def test_calls_that_have_no_final_states(options, error, message):
    x, y = examples()
    model = crnn.RNN(2, 3, 2, rng=0)
    before = flat(model)
    with pytest.raises(error, match=message):
        model.train_on_batch(x, y, **{"return_state": True, **options})
    np.testing.assert_array_equal(flat(model), before)


def test_lists_and_batches_of_any_shape():
    model, adam = crnn.RNN(2, 3, 2, rng=0), crnn.Adam(0.1)
    x, y = examples(8)
    before = flat(model)
    model.train_on_batch(x[:3, :2], y[:2], optimizer=adam)
    model.train_on_batch([x[:2, 0], x[:5, 1], x[:1, 2]], y[:3], optimizer=adam)
    model.train_on_batch(x, y, optimizer=adam)
    assert model._memory[1]["step"] == 3
    assert np.any(flat(model) != before)


def test_fit_continues_with_the_same_moments():
    x, y = examples()
    adam = crnn.Adam(0.01)
    mixed, alone = (crnn.RNN(2, 3, 2, rng=0) for _ in range(2))
    mixed.train_on_batch(x, y, optimizer=adam)
    mixed.fit(x, y, epochs=1, optimizer=adam, progress=False)
    mixed.train_on_batch(x, y, optimizer=adam)
    alone.fit(x, y, epochs=3, optimizer=adam, progress=False)
    np.testing.assert_array_equal(flat(mixed), flat(alone))


def test_parameters_that_the_caller_assigns_between_calls_are_used():
    x, y = examples()
    model, fresh = crnn.RNN(2, 3, 2, rng=0), crnn.RNN(2, 3, 2, rng=1)
    model.train_on_batch(x, y)
    for name, p in fresh.parameters.items():
        model.parameters[name] = p
    assert model.train_on_batch(x, y) == fresh.train_on_batch(x, y)
    np.testing.assert_array_equal(flat(model), flat(fresh))


def test_masks_hold():
    x, y = examples()
    model = crnn.RNN(2, 3, 2, masks={"Waa": np.eye(3)}, rng=0)
    model.parameters["Waa"] = np.ones((3, 3))
    model.train_on_batch(x, y)
    assert np.count_nonzero(model.parameters["Waa"]) == 3


def test_the_noise_is_drawn_from_rng():
    x, y = examples()
    losses = []
    for seeds in ((0, 0), (0, 1)):
        model = crnn.RNN(2, 3, 2, cell="leaky", leak=0.5, noise=0.5, rng=0)
        losses.append([copy.copy(model).train_on_batch(x, y, rng=seed)[0] for seed in seeds])
    assert losses[0][0] == losses[0][1] == losses[1][0] != losses[1][1]


def test_a_copy_trains_alone():
    x, y = examples()
    model = crnn.RNN(2, 3, 2, rng=0)
    model.train_on_batch(x, y)
    other, before = copy.deepcopy(model), flat(model)
    other.train_on_batch(x, y)
    np.testing.assert_array_equal(flat(model), before)
    assert np.any(flat(other) != before)


def test_what_diverges_leaves_the_parameters_of_before():
    x, y = examples()
    model, sgd = crnn.RNN(2, 3, 2, rng=0), crnn.SGD(0.1, 0.9)
    model.train_on_batch(x, y, optimizer=sgd)
    before = flat(model)
    x[1, 2, 0] = np.nan
    with pytest.raises(crnn.DivergenceError, match=r"x: expected finite numbers.*\(1, 2, 0\)"):
        model.train_on_batch(x, y, optimizer=sgd)
    with pytest.raises(crnn.DivergenceError, match="the update is not finite"):
        model.train_on_batch(*examples(), optimizer=crnn.SGD(1e300))
    np.testing.assert_array_equal(flat(model), before)


def interrupted_at(number, call):
    """Make a call, in which Ctrl-C raises before this line of training's. Whether it got there."""
    lines, before = itertools.count(1), sys.gettrace()

    def trace(frame, event, _):
        if "_training" not in frame.f_code.co_filename:
            return None
        if event == "line" and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("other", [False, True], ids=["", "another optimizer"])
@pytest.mark.parametrize("optimizer", [crnn.SGD(0.1, 0.9, 0.1), crnn.Adam(0.01)])
def test_after_ctrl_c_at_any_line_all_is_as_before_the_call_or_as_after_it(optimizer, other):
    """As the next calls show: it comes in the second of three."""
    x, y = examples()
    one = crnn.RNN(2, 3, 2, cell="leaky", leak=0.5, noise=0.5, rng=0)
    rules = [optimizer, crnn.RMSprop(0.01) if other else optimizer, optimizer]

    def after(which, number=None):
        """Parameters and generator after these of the calls; and whether Ctrl-C came."""
        model, rng, came = copy.deepcopy(one), np.random.default_rng(1), False
        for k in which:

            def call(rule=rules[k]):
                model.train_on_batch(x, y, optimizer=rule, rng=rng)

            if k == 1 and number is not None:
                came = interrupted_at(number, call)
            else:
                call()
        return came, (flat(model).tobytes(), rng.bit_generator.state)

    ends = [after([0, 2])[1], after([0, 1, 2])[1]]
    found = []
    for number in itertools.count(1):
        came, end = after([0, 1, 2], number)
        assert end in ends, number
        if not came:
            break
        found.append(ends.index(end))
    assert found == sorted(found)
    assert {0, 1} == set(found)
    assert len(found) > 50


def test_an_optimizer_whose_state_is_no_dict_is_refused():
    class Stateless:
        def start(self, parameters):
            return None

        def step(self, parameters, gradients, memory):
            raise AssertionError

    model = crnn.RNN(2, 3, 2, rng=0)
    before = flat(model)
    for train in (model.train_on_batch, model.fit):
        with pytest.raises(TypeError, match="optimizer: expected a dict from its method start, go"):
            train(*examples(), optimizer=Stateless())
    np.testing.assert_array_equal(flat(model), before)


def test_an_optimizer_that_raises_leaves_its_memory_as_it_was():
    class Fails(crnn.Adam):
        fails = False

        def start(self, parameters):
            return {**super().start(parameters), "list": [1, [np.zeros(2)]], "fixed": FIXED}

        def step(self, parameters, gradients, memory):
            super().step(parameters, gradients, memory)
            if self.fails:
                memory["list"][1][0] += 1
                memory["m"] = memory["new"] = None
                del memory["fixed"]
                raise OSError("full")

    FIXED = np.arange(3)
    FIXED.flags.writeable = False
    adam, model, (x, y) = Fails(0.01), crnn.RNN(2, 3, 2, rng=0), examples()
    model.train_on_batch(x, y, optimizer=adam)
    moments, before = model._memory[1]["m"], copy.deepcopy(model._memory[1])
    Fails.fails = True
    with pytest.raises(OSError, match="full"):
        model.train_on_batch(x, y, optimizer=adam)
    memory = model._memory[1]
    assert memory["m"] is moments
    np.testing.assert_array_equal(memory.pop("list")[1][0], before.pop("list")[1][0])
    assert memory.keys() == before.keys()
    for name in before.keys() - {"since"}:  # of the call
        np.testing.assert_array_equal(memory[name], before[name], err_msg=name)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": None}, TypeError, "y: expected targets, got None"),
        ({"y": [0, 1]}, ValueError, "y: expected"),
        ({"lengths": [9] * 6}, ValueError, "lengths: expected"),
        ({"sample_weight": [0] * 6}, ValueError, "sample_weight: expected"),
        ({"clip_norm": 0}, ValueError, "clip_norm: expected"),
        ({"optimizer": "fast"}, ValueError, "optimizer: expected one of"),
        ({"optimizer": crnn.SGD(crnn.schedules.Cosine(0.1))}, ValueError, "lr: expected a sched"),
        ({"memory": 1}, ValueError, "memory"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    x, y = examples()
    model = crnn.RNN(2, 3, 2, rng=0)
    before = flat(model)
    with pytest.raises(error, match=message):
        model.train_on_batch(**{"x": x, "y": y, **options})
    np.testing.assert_array_equal(flat(model), before)
