"""libcrnn reads a damaged file as `crnn.load` does: both refuse it, or step to the same bits."""

import json
import random
import re
import warnings
from functools import cache

import libcrnn
import numpy as np
import pytest
from c_record import NOT_A_MODEL, OK

import crnn
from fuzz.damage import Choices, Safetensors, damaged_file, misfits
from fuzz.models import TIMES
from fuzz.test_files import FOLDER, checkpoints, models, written

#: Why Python refuses a file in what C skips: a model's own metadata, the options of its loss.
SKIPPED = re.compile(r"metadata are not|damaged: (loss|levels|delta)\b")


@pytest.fixture(scope="module")
def library(prefix):
    return libcrnn.load(prefix)


@cache
def steppable():
    """Files of models that can be stepped, which together have all that libcrnn reads."""
    eye, ones = np.eye(3, dtype=bool), np.ones((3, 2), "i1")
    return [
        written(crnn.RNN(2, 3, 2, rng=0, **options).save)
        for options in (
            {},
            {"cell": "leaky", "leak": [0.1, 0.2, 0.3], "equation": "current"},
            {"cell": "leaky", "leak": 0.5, "activation": "relu"},
            {"cell": "gru", "initial_state": "trained", "num_layers": 2},
            {"cell": "lstm", "dtype": "float64", "initial_state": "trained"},
            {"loss": "gaussian_nll", "steps": "all"},
            {"loss": "binary_cross_entropy", "masks": {"Waa": eye}, "signs": {"Wax": ones}},
            {"loss": crnn.Quantiles((0.1, 0.9))},
        )
    ]


def created(library, model, content):
    return libcrnn.Stepper(library, model, "create_from_memory", content, len(content), 1)


def in_python(content):
    """The model and a stream of it, or why there is none."""
    (FOLDER / "model").write_bytes(content)
    try:
        with warnings.catch_warnings(action="ignore"):
            model = crnn.load(FOLDER / "model")
            return model, model.stream(), ""
    except (ValueError, OSError) as error:
        return None, None, str(error)


def require_the_same(library, content):
    """Whether both readers make a stepper; it takes the same two steps."""
    model, stream, refusal = in_python(content)
    stepper = created(library, model, content)
    try:
        if SKIPPED.search(refusal):
            return False
        assert (stepper.status == OK) == (stream is not None), (stepper.status, refusal, content)
        for _ in range(2 if stream is not None else 0):
            x = np.linspace(-1, 1, model.config.n_x, dtype=model.config.np_dtype)[None]
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(stepper.step(x, 1), stream.step(x))
    finally:
        stepper.close()
    return stream is not None


def test_damaged_files(library):
    contents = [*models(), *checkpoints(), *steppable()]
    draw, stepped = random.Random(0), 0
    for _ in range(1000 * TIMES):
        damaged = damaged_file(Choices(draw.randbytes(40)), contents)
        stepped += require_the_same(library, damaged)
    assert stepped > 100  # some damage leaves a model


@pytest.mark.parametrize("k", range(8))
def test_an_array_or_a_size_that_does_not_fit(library, k):
    """Each is refused, whatever else of the file fits."""
    content = steppable()[k]
    assert require_the_same(library, content)
    for what, damaged in misfits(content):
        assert created(library, None, damaged).status == NOT_A_MODEL, what


@pytest.mark.parametrize("text", ["r\udce9sum\udce9.csv", "\ud834", "\ud834\ud834\udd1e", "𝄞"])
def test_metadata_with_a_surrogate(library, text):
    """`os.fsdecode` gives them for the name of a file that is not UTF-8."""
    model = crnn.RNN(2, 3, 2, rng=0)
    model.metadata["file"] = text
    assert require_the_same(library, written(model.save))


def with_metadata(text):
    """A file with an entry of somebody else's in its metadata, of these bytes."""
    file = Safetensors(steppable()[0])
    metadata = file.header["__metadata__"] | {"other": "HERE"}
    content = file.content(header=file.header | {"__metadata__": metadata})
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].replace(b"HERE", text)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


@pytest.mark.parametrize("text", [b"\\ud800", b"\\udc00", b"\\ud800\\ud800", b"\\u12"])
def test_a_header_has_no_lone_surrogate(library, text):
    """As the format's own reader has it; only crnn's entry is written by Python."""
    assert not require_the_same(library, with_metadata(text))


def test_a_header_is_utf8(library):
    """Characters at the limits of UTF-8, with any byte changed to any other, or left out."""
    for character in "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff":
        good = character.encode()
        assert require_the_same(library, with_metadata(good))
        changed = [good[:k] + good[k + 1 :] for k in range(len(good) - 1)]
        for k in range(len(good)):
            changed += [good[:k] + bytes([new]) + good[k + 1 :] for new in range(0x80, 0x100)]
        for text in changed:
            expected = OK if text.decode(errors="replace").encode() == text else NOT_A_MODEL
            stepper = created(library, None, with_metadata(text))
            stepper.close()
            assert stepper.status == expected, text


@pytest.mark.parametrize(("levels", "status"), [(32, OK), (33, NOT_A_MODEL)])
def test_the_levels_of_an_entry_are_limited(library, levels, status):
    """A deeper one could need more stack than a thread has."""
    file = Safetensors(steppable()[0])
    nested = json.loads("[" * levels + "]" * levels)
    stepper = created(library, None, file.content(entry=file.entry | {"training": nested}))
    stepper.close()
    assert stepper.status == status
