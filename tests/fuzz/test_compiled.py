"""Random trainings in compiled epochs, compared with the loop in Python."""

import copy

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import crnn
from crnn._training import compiled, train
from crnn.schedules import Cosine, Warmup
from fuzz.models import TIMES, problems

derandomized = settings(
    derandomize=True, database=None, deadline=None, max_examples=60 * TIMES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

OPTIMIZERS = [
    crnn.SGD(0.1), crnn.SGD(0.05, 0.9, 0.1), crnn.Adam(0.01), crnn.AdamW(Warmup(3, Cosine(0.02))),
    crnn.RMSprop(0.01, momentum=0.5),
]  # fmt: skip


@st.composite
def rules(draw):
    """Arguments that `fit` and `fit_stream` share."""
    found = {"optimizer": draw(st.sampled_from(OPTIMIZERS)), "accumulate": draw(st.integers(1, 3))}
    for name in ("clip_norm", "clip_value"):
        if draw(st.booleans()):
            found[name] = draw(st.sampled_from([0.01, 0.5]))
    return {**found, "epochs": 2, "progress": False}


def state_of(model, m, seed):
    """A state of m examples, as `a0=` takes it."""
    rng, config = np.random.default_rng(seed), model.config
    drawn = [
        [rng.normal(size=(m, config.n_a)).astype(config.dtype) for _ in config.kind.states]
        for _ in config.recurrences()
    ]
    return [item[0] if len(item) == 1 else tuple(item) for item in drawn]


def both(monkeypatch, model, training):
    """What trainings with the same seed end with: compiled, and in Python."""
    ends = []
    for find in (compiled.compiled, lambda trainer, data: None):
        made = []

        def watched(*given, find=find, made=made):
            made.append(find(*given))
            return made[-1]

        with monkeypatch.context() as patch:
            patch.setattr(train, "compiled", watched)
            one, rng = copy.deepcopy(model), np.random.default_rng(3)
            try:
                history = vars(training(one, rng))
                history = {key: v for key, v in history.items() if key != "steps_per_second"}
            except crnn.DivergenceError as error:
                history = {"error": str(error)}
        bits = {name: value.tobytes() for name, value in one.parameters.items()}
        ends.append((repr(history), bits, repr(rng.bit_generator.state)))
        if find is compiled.compiled:
            assume(made[-1] is not None)
    return ends


@derandomized
@given(problems(), rules(), st.integers(1, 8), st.sampled_from(["", "a0", "weights"]), st.data())
def test_examples(monkeypatch, p, given, batch_size, more, data):
    m = p.x.shape[1]
    assume(m > batch_size)
    options = {**given, "lengths": p.lengths, "batch_size": batch_size}
    if more == "a0":
        options["a0"] = state_of(p.model, m, 1)
    if more == "weights":
        options["sample_weight"] = np.random.default_rng(1).integers(0, 3, m) + (np.arange(m) == 0)
    if data.draw(st.booleans()):
        options["validation"] = p.x, p.y, p.lengths
    one, other = both(
        monkeypatch, p.model, lambda model, rng: model.fit(p.x, p.y, **options, rng=rng)
    )
    assert one == other


@derandomized
@given(problems(steps="all", direction="forward"), rules(), st.integers(1, 12), st.booleans())
def test_streams(monkeypatch, p, given, steps, masked):
    mask = None
    if masked:
        mask = np.random.default_rng(2).random(p.x.shape[:2]) < 0.7
        mask[0, 0] = True
    options = {**given, "steps": steps, "mask": mask}
    one, other = both(
        monkeypatch, p.model, lambda model, rng: model.fit_stream(p.x, p.y, **options, rng=rng)
    )
    assert one == other
