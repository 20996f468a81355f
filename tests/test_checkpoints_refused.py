"""Files of trainings that are not continued: of another training, foreign, or damaged."""

import copy
import os
from datetime import timedelta

import numpy as np
import pytest
from trainings import TRAININGS, Fit, FitBatches, Stop, bits, stopper

import crnn
from crnn import files


@pytest.fixture
def stop_at(monkeypatch):
    return stopper(monkeypatch)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.safetensors"


REFUSED = [
    ({"batch_size": 16}, "batch_size: expected 8, as in the training that .*, got 16; resume=F"),
    ({"clip_norm": 1.0}, "clip_norm: expected None"),
    ({"accumulate": 2}, "accumulate: expected 1"),
    ({"optimizer": "sgd"}, "optimizer: expected StopsAt"),
    ({"rng": 4}, "rng: expected 3"),
    ({"rng": np.random.Generator(np.random.MT19937(0))}, "rng: expected PCG64.*got MT19937"),
    ({"lengths": None}, "lengths: expected int64"),
    ({"sample_weight": np.arange(1, 61)}, "sample_weight: expected None"),
    ({"validation": (Fit.x, Fit.y)}, "validation x: expected float"),
    ({"patience": 2}, "patience: expected 3"),
    ({"epochs": 1}, "epochs: expected at least 2, as in the training .* got 1"),
]


class TestRefused:
    """What does not fit is named, and model, generator, metadata and file are left unchanged."""

    training = TRAININGS[0]

    @pytest.fixture(autouse=True)
    def file(self, path):
        self.training.run(self.training.model(seed=1), epochs=2, checkpoint=path)
        before = path.read_bytes()
        yield
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]

    def refuse(self, path, message, model=None, error=ValueError, **options):
        model = model or self.training.model()
        before = bits(model)
        with pytest.raises(error, match=message):
            self.training.run(model, **{"checkpoint": path, **options})
        assert bits(model) == before
        assert model._memory is None

    @pytest.mark.parametrize(("options", "message"), REFUSED, ids=[m[:12] for _, m in REFUSED])
    def test_another_training(self, path, options, message):
        self.refuse(path, message, **options)

    def test_other_data(self, path, monkeypatch):
        monkeypatch.setattr(Fit, "x", Fit.x + 1e-3)
        self.refuse(path, r"x: expected float32 \(6, 60, 3\) with digest \w+, as in")

    def test_another_kind_of_data(self, path):
        model = crnn.RNN(3, 6, 3, steps="all", cell="leaky", leak=0.5, noise=0.1)
        with pytest.raises(ValueError, match=r"n_y: expected 2, as in the training that .* got 3"):
            model.fit_stream(np.arange(99) % 3, checkpoint=path)

    def test_another_model(self, path):
        self.refuse(path, "n_a: expected 6", model=crnn.RNN(3, 7, 2, rng=0))

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"every": 0}, ValueError, "every: expected a whole number >= 1, got 0"),
            ({"every": "week"}, ValueError, "every: expected 'epoch', a number of steps or a t"),
            ({"every": 1.5}, TypeError, "every: expected a whole number, got 1.5"),
            ({"every": timedelta(0)}, ValueError, "every: expected a timedelta above 0, got 0"),
            ({"resume": 1}, TypeError, "resume: expected True, False or a path, got 1"),
            ({"resume": "none"}, FileNotFoundError, "resume: No such file or directory: 'none'"),
            ({"checkpoint": "a\0b"}, ValueError, "checkpoint: expected no null character"),
            ({"checkpoint": 7}, TypeError, "checkpoint: expected a path, got 7"),
            ({"checkpoint": None, "every": 5}, ValueError, "every: expected 'epoch' without che"),
            ({"checkpoint": None, "resume": False}, ValueError, "resume: expected True without"),
        ],
    )
    def test_bad_arguments(self, path, options, error, message):
        self.refuse(path, message, error=error, **options)

    def test_an_iterable_that_can_be_read_only_once(self, path):
        model = self.training.model()
        with pytest.raises(ValueError, match="x: expected an iterable that gives its batches aga"):
            model.fit(iter(TRAININGS[2]), epochs=1, checkpoint=path)

    def test_a_missing_or_read_only_folder(self, path, monkeypatch):
        none = path.parent / "none" / "c"
        named = f"checkpoint: No such file or directory: '{none}'"
        self.refuse(path, named, error=FileNotFoundError, checkpoint=none)
        self.refuse(path, "checkpoint: Is a directory", error=OSError, checkpoint=path.parent)
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        self.refuse(path, "Permission denied", error=PermissionError)


def test_validation_that_comes_or_goes(path):
    training = TRAININGS[2]
    for first, then, message in (
        (None, (Fit.x, Fit.y), "validation: expected none, as in the training that .*, got some"),
        ((Fit.x, Fit.y), None, "validation: expected some, as in the training that .*, got none"),
    ):
        path.unlink(missing_ok=True)
        training.run(training.model(), epochs=1, checkpoint=path, validation=first)
        with pytest.raises(ValueError, match=message):
            training.run(training.model(), checkpoint=path, validation=then)


def absolute(logits, y):
    return np.abs(logits - y).sum(axis=1), np.sign(logits - y)


def squared(logits, y):
    return ((logits - y) ** 2).sum(axis=1), 2 * (logits - y)


def test_another_loss_of_the_users_own(path):
    y = Fit.x.mean(axis=0)[:, :2]
    options = {"checkpoint": path, "progress": False, "rng": 0}
    crnn.RNN(3, 4, 2, loss=squared, rng=0).fit(Fit.x, y, epochs=1, **options)
    with pytest.raises(ValueError, match=r"loss: expected .*\.squared, as in .* got .*\.absolute"):
        crnn.RNN(3, 4, 2, loss=absolute, rng=0).fit(Fit.x, y, epochs=2, **options)
    crnn.RNN(3, 4, 2, loss=squared, rng=0).fit(Fit.x, y, epochs=2, **options)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.arange(120.0)}, r"symbols: expected float64 \(29, 2, 1\) with digest"),
        ({"mask": np.arange(60) > 3}, r"mask: expected float32 \(29, 2\) with digest"),
        ({"mask": None}, r"mask: expected float32 \(29, 2\) with digest"),
        ({"resets": None}, r"resets: expected bool \(29, 2\) with digest .* got None"),
        ({"batch_size": 3}, "batch_size, or the rows of symbols: expected 2, as in .* got 3"),
        ({"steps": 4}, "steps: expected 5"),
        ({"validation": np.arange(9.0)}, "validation: expected none, as in .* got some"),
    ],
)
def test_another_series_is_named_by_its_arguments(path, changed, message):
    usual = {"x": np.arange(60.0), "mask": np.arange(60) > 2, "resets": np.arange(60) % 9 == 0}
    usual |= {"batch_size": 2, "steps": 5, "epochs": 1, "progress": False, "checkpoint": path}

    def run(x, **options):
        crnn.RNN(1, 3, 1, steps="all", loss="mse", rng=0).fit_stream(x / 60, **options)

    run(**usual)
    changed = {**usual, **changed}
    if len(changed["x"]) > 60:
        changed["x"] = changed["x"][60:]
    with pytest.raises(ValueError, match=message):
        run(**changed)


def test_another_kind_of_training(path):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path, patience=None)
    model = training.model()
    with pytest.raises(ValueError, match=r"data: expected examples, as .* got an iterable of bat"):
        model.fit(TRAININGS[2], checkpoint=path, progress=False, rng=3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not a model of crnn's, or damaged"):
        training.run(training.model(), checkpoint=path)
    assert path.read_bytes() == before


def test_a_foreign_file_and_a_model_alone_are_refused(path):
    training = TRAININGS[0]
    path.write_text("important")
    with pytest.raises(ValueError, match="not a model of crnn's"):
        training.run(training.model(), checkpoint=path)
    assert path.read_text() == "important"
    training.model().save(path)
    with pytest.raises(ValueError, match="it has a model alone; resume=False replaces it"):
        training.run(training.model(), checkpoint=path)
    assert files.load_training(path)[3] is None


def test_a_damaged_state_is_refused(path):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path)
    config, parameters, metadata, state = files.load_training(path)
    damages = [
        lambda entry, _: entry["state"].pop("rng"),
        lambda entry, _: entry["state"]["rng"]["state"].update(inc="x"),
        lambda entry, _: entry["state"]["course"]["history"].update(colour=1),
        lambda entry, _: entry["state"].update(rng=None),
        lambda entry, _: entry["state"]["rng"].update(uinteger=-1),
        lambda entry, _: entry["state"]["course"]["history"].update(loss=3.5),
        lambda entry, _: entry["state"]["course"]["history"].update(loss=["x"]),
        lambda entry, _: entry["state"]["course"]["history"]["learning_rate"].pop(),
        lambda entry, _: entry["state"]["course"].update(epoch=-1),
        lambda entry, _: entry["state"]["course"].update(done=3),
        lambda entry, _: entry["state"]["course"]["sums"].update(loss=None),
        lambda entry, _: entry["state"]["course"]["sums"].update(steps=1),
        lambda entry, _: entry["state"]["course"]["sums"].update(loss=float("nan")),
        lambda entry, _: entry["state"]["course"].update(state=[[]]),
        lambda entry, _: entry["state"].update(steps=-1),
        lambda entry, _: entry["state"]["memory"].update(step="x"),
        lambda entry, _: entry["state"]["memory"].update(step=-1),
        lambda entry, _: entry["state"]["memory"].update(step=10**30),
        lambda entry, _: entry["state"]["memory"].update(since=9),
        lambda entry, _: entry["state"]["memory"].update(lr=float("inf")),
        lambda entry, _: entry["state"]["memory"].update(weights={"array": "memory.m"}),
        lambda entry, _: entry["state"]["memory"].update({"plateau lowest": "x"}),
        lambda entry, _: entry["state"]["memory"].update({"plateau factor": float("inf")}),
        lambda entry, _: entry["state"]["memory"].update({"plateau epochs": 2}),
        lambda entry, _: entry["state"].update(memory=3),
        lambda entry, _: entry.update(arguments=3),
        lambda entry, _: entry.update(version=2),
        lambda _, tensors: tensors.pop("memory.m"),
        lambda _, tensors: tensors.update({"memory.m": np.zeros(3, "float32")}),
        lambda _, tensors: tensors["memory.m"].fill(np.nan),
        lambda _, tensors: tensors["memory.v"].fill(-1),
        lambda _, tensors: tensors.update({"course.best": np.zeros(3, "float32")}),
        lambda _, tensors: tensors["course.best"].fill(np.inf),
    ]
    for damage in damages:
        entry, tensors = copy.deepcopy((state.entry, state.tensors))
        damage(entry, tensors)
        files.save(path, config, parameters, metadata, files.Training(entry, tensors))
        model = training.model()
        before = bits(model)
        with pytest.raises(ValueError, match="the training in this file is damaged: "):
            training.run(model, checkpoint=path)
        assert bits(model) == before


def test_sums_may_be_integers_of_any_size(path):
    """JSON has them; NumPy made an array of objects of one above 2^64, which no kernel takes."""
    training, model = TRAININGS[0], TRAININGS[0].model()
    training.run(model, epochs=1, checkpoint=path)
    config, parameters, metadata, state = files.load_training(path)
    state.entry["state"]["course"]["sums"]["loss"] = 10**30
    files.save(path, config, parameters, metadata, state)
    history = training.run(model, checkpoint=path)
    assert history.loss[1] > 1e20


@pytest.mark.parametrize("named", ["two\nlines", {"any": "thing"}, "x" * 1000])
def test_a_damaged_name_of_a_generator_is_shown_in_one_line(path, named):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path)
    config, parameters, metadata, state = files.load_training(path)
    state.entry["state"]["rng"]["bit_generator"] = named
    files.save(path, config, parameters, metadata, state)
    with pytest.raises(ValueError, match="rng: expected ") as error:
        training.run(training.model(), checkpoint=path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("resets", [None, np.arange(280) % 13 == 0])
@pytest.mark.parametrize("shards", [None, 2])
def test_a_damaged_state_of_a_stream_is_refused(path, stop_at, resets, shards):
    """What is carried to the next window has a row for each of its parts, and is finite."""
    training, options = TRAININGS[1], {"resets": resets, "shards": shards}
    stop_at(13)
    with pytest.raises(Stop):
        training.run(training.model(), checkpoint=path, every=1, **options)
    stop_at(0)
    good, (config, parameters, metadata, state) = path.read_bytes(), files.load_training(path)
    carried = [name for name in state.tensors if name.startswith("course.state")]
    assert len(carried) == 4 * (shards or 1)  # a and c of two layers
    a = state.tensors[carried[0]]
    for bad in (a[:-1], np.append(a, a[:1], 0), a.astype("float64"), np.full_like(a, np.nan)):
        damaged = files.Training(state.entry, state.tensors | {carried[0]: bad})
        files.save(path, config, parameters, metadata, damaged)
        model = training.model()
        before = bits(model)
        with pytest.raises(ValueError, match=r"the training in this file is damaged: state: exp"):
            training.run(model, checkpoint=path, every=1, **options)
        assert bits(model) == before
    for lost in (None, [], state.entry["state"]["course"]["state"][:1]):
        entry = copy.deepcopy(state.entry)
        entry["state"]["course"]["state"] = lost
        files.save(path, config, parameters, metadata, files.Training(entry, state.tensors))
        with pytest.raises(ValueError, match=r"damaged: state: expected those of \d (sh|lay)"):
            training.run(training.model(), checkpoint=path, every=1, **options)
    path.write_bytes(good)
    training.run(training.model(), checkpoint=path, every=1, **options)


@pytest.mark.parametrize(
    ("damage", "message"),
    [({"best_epoch": 3}, "best_epoch: expected none"), ({"two\nlines": 3}, "argument 'two lines'")],
)
def test_a_damaged_history_before_the_first_validation_is_refused(path, stop_at, damage, message):
    """In one line, whatever the file has."""
    training = TRAININGS[0]
    stop_at(3)
    with pytest.raises(Stop):
        training.run(training.model(), checkpoint=path, every=1)
    stop_at(0)
    config, parameters, metadata, state = files.load_training(path)
    state.entry["state"]["course"]["history"].update(damage)
    files.save(path, config, parameters, metadata, state)
    model = training.model()
    before = bits(model)
    with pytest.raises(ValueError, match=message) as found:
        training.run(model, checkpoint=path, every=1)
    assert "\n" not in str(found.value)
    assert bits(model) == before


def test_what_cannot_be_saved_is_named_before_the_first_step(path):
    class Odd(crnn.SGD):
        def start(self, parameters):
            return {**super().start(parameters), "seen": {1, 2}}

    model = TRAININGS[0].model()
    before = bits(model)
    with pytest.raises(TypeError, match=r"memory\.seen: expected None, a bool.* got set"):
        TRAININGS[0].run(model, optimizer=Odd(0.1), checkpoint=path)
    assert bits(model) == before
    assert not path.exists()


def test_an_iterable_with_fewer_batches_than_were_done(path, stop_at):
    class Short(FitBatches):
        def __iter__(self):
            return iter([(self.x[:, :8], self.y[:8])])

    stop_at(12)
    with pytest.raises(Stop):
        TRAININGS[2].run(TRAININGS[2].model(), checkpoint=path, every=1)
    with pytest.raises(ValueError, match="of which 3 are done in this epoch, got 1"):
        Short().run(Short().model(), checkpoint=path, every=1)


def test_fewer_batches_that_are_known_before(path, stop_at):
    """An iterable with a length is refused before anything changes."""

    class Known(FitBatches):
        def __init__(self, n):
            self.n = n

        def __len__(self):
            return self.n

    stop_at(12)
    with pytest.raises(Stop):
        Known(8).run(Known(8).model(), checkpoint=path, every=1)
    model = Known(2).model()
    before = bits(model)
    with pytest.raises(ValueError, match=r"x: expected at least 3 batches in an epoch, as in .* 2"):
        Known(2).run(model, checkpoint=path, every=1)
    assert bits(model) == before
