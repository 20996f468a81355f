"""Random models: the answers of the reference, gradients of the loss, files, streams, training."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

import crnn
from fuzz.models import TIMES, answers, problems

derandomized = settings(
    derandomize=True, database=None, deadline=None, max_examples=40 * TIMES,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def limit(model, T):
    """How far rounding may move an answer of order 1: each step adds some errors of eps."""
    return 64 * np.finfo(model.config.dtype).eps * (T + model.config.num_layers)


def bits(model):
    return {name: value.tobytes() for name, value in model.parameters.items()}


@derandomized
@given(problems())
def test_answers_are_those_of_the_reference(p):
    expected, found = answers(p), p.model.predict_proba(p.x, p.lengths)
    scale = np.maximum(1, np.abs(expected))
    assert found.dtype == p.model.config.dtype
    assert (np.abs(found - expected) <= limit(p.model, len(p.x)) * scale).all()


@derandomized
@given(problems(smooth=True))
def test_gradients_are_those_of_the_loss(p):
    """Along a random direction, by a difference of two losses."""
    _, gradients = p.model.gradients(p.x, p.y, p.lengths)
    _, same = p.model.gradients(p.x, p.y, p.lengths, memory="sqrt")
    assert all((same[name] == value).all() for name, value in gradients.items())
    rng, eps = np.random.default_rng(0), 1e-6
    along = {name: rng.normal(size=value.shape) for name, value in gradients.items()}
    slope = sum((gradients[name] * d).sum() for name, d in along.items())
    losses = []
    for sign in (1, -2):
        for name, d in along.items():
            p.model.parameters[name] += sign * eps * d
        losses.append(p.model.gradients(p.x, p.y, p.lengths)[0])
    size = np.sqrt(sum((d**2).sum() for d in along.values()))
    # The rounding errors of the losses, over eps, and the third derivative along the direction.
    limit = 1e-8 * max(1, abs(losses[0])) + 10 * eps**2 * size**3
    assert abs((losses[0] - losses[1]) / (2 * eps) - slope) <= limit


@derandomized
@given(problems())
def test_files(folder, p):
    p.model.metadata["name"] = "é"
    p.model.save(folder / "m")
    loaded = crnn.load(folder / "m")
    assert loaded.config == p.model.config
    assert loaded.metadata == p.model.metadata
    assert bits(loaded) == bits(p.model)
    expected = p.model.predict_proba(p.x, p.lengths)
    assert loaded.predict_proba(p.x, p.lengths).tobytes() == expected.tobytes()


@derandomized
@given(problems())
def test_streams(p):
    config = p.model.config
    assume(config.direction == "forward" and config.steps in ("last", "all"))
    stream = p.model.stream(p.x.shape[1])
    steps = [stream.step(x_t).copy() for x_t in p.x]
    expected = p.model.predict_proba(p.x)
    found = np.array(steps) if config.every_step else steps[-1]
    scale = np.maximum(1, np.abs(expected))
    assert (np.abs(found - expected) <= limit(p.model, len(p.x)) * scale).all()


@derandomized
@given(problems())
def test_a_training_that_is_resumed(folder, p):
    """Has the bits of one that never stopped, and keeps masks and signs."""
    path = folder / "training"
    path.unlink(missing_ok=True)

    def fit(model, epochs, **options):
        model.fit(
            p.x, p.y, lengths=p.lengths, epochs=epochs, batch_size=4, optimizer="adam",
            progress=False, rng=1, **options,
        )  # fmt: skip
        return model

    other = crnn.RNN(**p.model.config.arguments(), rng=0)
    for name, value in p.model.parameters.items():
        other.parameters[name] = value
    fit(p.model, 3)
    fit(other, 1, checkpoint=path)
    stopped = crnn.RNN(**other.config.arguments(), rng=5)
    fit(stopped, 3, checkpoint=path)
    assert bits(stopped) == bits(p.model)
    for field in ("masks", "signs"):
        for name, pattern in (getattr(p.model.config, field) or {}).items():
            value = stopped.parameters[name]
            kept = value * pattern >= 0 if field == "signs" else value[~pattern] == 0
            assert kept.all()
    assert all(np.isfinite(value).all() for value in stopped.parameters.values())
