"""A damaged file gives a model, or an error of one line that names it; nothing else changes."""

import os
import random
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import crnn
from crnn.data import Scaling
from crnn.text import ByteVocabulary, Vocabulary, WordVocabulary
from fuzz.damage import Choices, damaged_file, misfits

MEMORY = "/dev/shm"  # of Linux: a file there never waits for a disk
temporary = tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None)
FOLDER = Path(temporary.name)


def written(write):
    write(FOLDER / "made")
    return (FOLDER / "made").read_bytes()


@cache
def models():
    """Files of models that together have every field of a configuration."""
    return list(_models())


def _models():
    mask = {"Waa": np.eye(3, dtype=bool)}
    signs = {"Wax": np.ones((3, 2), "i1")}
    text = crnn.RNN(3, 3, 3, steps="all", rng=0)
    for vocabulary in (Vocabulary("abn", "a"), WordVocabulary(["a", " b", "c"], "c")):
        text.metadata["vocabulary"] = vocabulary.to_json()
        yield written(text.save)
    text = crnn.RNN(256, 1, 256, cell="gru", direction="bidirectional", rng=0)
    text.metadata["vocabulary"] = ByteVocabulary().to_json()
    yield written(text.save)
    series = crnn.RNN(2, 3, 2, num_layers=2, dropout=0.5, loss=crnn.Huber(0.5), steps="all", rng=0)
    series.scaling = Scaling((0.0, 1.0), (1.0, 2.0), log=True, difference=1)
    yield written(series.save)
    for options in (
        {"cell": "leaky", "leak": [0.1, 0.2, 0.3], "noise": 0.1, "equation": "current"},
        {"cell": "lstm", "initial_state": "trained", "dtype": "float64"},
        {"activation": "relu", "masks": mask, "signs": signs, "steps": "pooled"},
        {"direction": "reverse", "loss": "gaussian_nll"},
    ):
        yield written(crnn.RNN(2, 3, 2, rng=0, **options).save)


def refused(call, name):
    """The call's result, or None after an error of one line that has this name."""
    try:
        return call()
    except (ValueError, OSError) as error:
        message = str(error)
    assert str(name) in message, message
    assert "\n" not in message, message
    return None


def read(data):
    """Target: `crnn.load`, and what is read from the metadata."""
    path = FOLDER / "model"
    path.write_bytes(damaged_file(Choices(data), models()))
    model = refused(lambda: crnn.load(path), path)
    if model is None:
        return
    model.save(FOLDER / "again")
    again = crnn.load(FOLDER / "again")
    assert again.config == model.config
    assert again.metadata == model.metadata
    for name, value in model.parameters.items():
        assert again.parameters[name].tobytes() == value.tobytes()
    with np.errstate(all="ignore"):
        model.predict_proba(np.zeros((2, 1, model.config.n_x), model.config.dtype))
    refused(lambda: Vocabulary.of_model(model), "model: ")
    refused(lambda: model.scaling, "metadata['scaling']: ")


X = np.linspace(-1, 1, 4 * 6 * 2).reshape(4, 6, 2)
Y = np.arange(6) % 3


def learner():
    return crnn.RNN(2, 2, 3, rng=0)


def train(model, path, **options):
    return model.fit(
        X, Y, epochs=3, batch_size=2, optimizer=crnn.Adam(0.01), validation=(X, Y), patience=2,
        progress=False, rng=1, checkpoint=path, **options,
    )  # fmt: skip


class Stop(Exception):
    """Ends a training."""


@cache
def checkpoints():
    """Files of a training: within an epoch, between two, and at its end."""
    return [_checkpoint(every=2, stop=True), _checkpoint(stop=True), _checkpoint()]


def _checkpoint(stop=False, **options):
    def callback(history):
        if stop:
            raise Stop

    path = FOLDER / "made"
    path.unlink(missing_ok=True)
    try:
        train(learner(), path, callback=callback, **options)
    except Stop:
        assert stop
    return path.read_bytes()


def resume(data):
    """Target: `fit` with a checkpoint. What it refuses changes neither model nor files."""
    choices = Choices(data)
    path, to, model = FOLDER / "training", FOLDER / "next", learner()
    in_place, content = choices.below(2), damaged_file(choices, checkpoints())
    path.write_bytes(content)
    to.unlink(missing_ok=True)
    before = {name: value.copy() for name, value in model.parameters.items()}
    where = {"path": path} if in_place else {"path": to, "resume": path}
    try:
        history = refused(lambda: train(model, **where), path)
    except crnn.DivergenceError:
        return
    if history is None:
        assert path.read_bytes() == content
        assert not to.exists()
        assert model.metadata == {}
        for name, value in model.parameters.items():
            assert value.tobytes() == before[name].tobytes()


@pytest.mark.parametrize("k", range(len(models())))
def test_an_array_or_a_size_that_does_not_fit(k):
    path = FOLDER / "model"
    for what, damaged in misfits(models()[k]):
        path.write_bytes(damaged)
        assert refused(lambda: crnn.load(path), path) is None, what


TARGETS = {"read": (read, 400), "resume": (resume, 150)}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files(name):
    target, count = TARGETS[name]
    draw = random.Random(0)
    for _ in range(count):
        target(draw.randbytes(40))
