"""Saliency, held against finite differences of the logit; and how it is shown."""

import json
import re

import numpy as np
import pytest
from some_models import KINDS, N_X, model_of

import crnn
from crnn import reference
from crnn.inspect import Saliency, _coloured, saliency

T = 6


def logits(model, x):
    """The logits (rows, n_y) of one sequence x (T, 1, n_x): a model for mse answers with them."""
    linear = crnn.RNN(**{**model.config.entries(), "loss": "mse"}, rng=0)
    for name, value in model.parameters.items():
        linear.parameters[name] = value
    y_hat = linear.predict_proba(x)
    return y_hat[:, 0] if model.config.steps == "all" else y_hat


def by_differences(model, x, row, output, h=1e-6):
    """The norms (T,) of the logit's gradient, by central differences: off by about 1e-9."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[place] += h
        below[place] -= h
        change = logits(model, above)[row, output] - logits(model, below)[row, output]
        gradient[place] = change / (2 * h)
    return np.linalg.norm(gradient[:, 0], axis=1)


def inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(T, 1, N_X))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layers", [1, 2])
def test_it_equals_finite_differences(kind, direction, layers):
    model = model_of(kind, direction=direction, num_layers=layers, steps="all")
    found = saliency(model, inputs(), step=3, output=1)
    assert (found.step, found.output, found.tokens) == (3, 1, None)
    np.testing.assert_allclose(found.norms, by_differences(model, inputs(), 3, 1), atol=1e-8)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_model_that_answers_once(direction):
    model = model_of("gru", direction=direction)
    found = saliency(model, inputs(), output=0)
    assert found.step == T - 1
    np.testing.assert_allclose(found.norms, by_differences(model, inputs(), 0, 0), atol=1e-8)


def test_the_output_is_the_most_probable_by_default():
    model = model_of("tanh", n_y=5, steps="all")
    for step in (-1, -T, 2):
        found = saliency(model, inputs(), step)
        assert found.step == step % T
        assert found.output == model.predict(inputs())[step, 0]
        np.testing.assert_array_equal(
            found.norms, saliency(model, inputs(), step, found.output).norms
        )
    value = model_of("tanh", n_y=1, loss="mse")
    assert saliency(value, inputs()).output == 0


def test_steps_that_the_answer_did_not_see_are_zero():
    forward = saliency(model_of("lstm", steps="all"), inputs(), step=2).norms
    assert (forward[:3] > 0).all()
    assert (forward[3:] == 0).all()
    back = saliency(model_of("lstm", steps="all", direction="reverse"), inputs(), step=2).norms
    assert (back[:2] == 0).all()
    assert (back[2:] > 0).all()


def test_symbols_are_their_one_hot_rows():
    model, symbols = model_of("gru"), np.array([0, 2, 1, 1])
    rows = reference.one_hot(symbols, N_X)
    expected = saliency(model, rows).norms
    for x in (symbols, symbols[:, None], symbols.tolist(), rows[:, None]):
        np.testing.assert_array_equal(saliency(model, x).norms, expected)


def test_a_float32_model_keeps_tiny_gradients():
    model = crnn.RNN(1, 1, 1, loss="mse", rng=0)
    model.parameters["Waa"], model.parameters["Wax"], model.parameters["Wya"] = 1e-3, 1, 1
    norms = saliency(model, np.zeros((31, 1))).norms
    np.testing.assert_allclose(norms, float(np.float32(1e-3)) ** np.arange(30, -1, -1), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"step": 2}, "step: expected -1 with steps='last'"),
        ({}, {"step": -2}, "step: expected a whole number >= -1, got -2"),
        ({"steps": "all"}, {"step": 6}, "step: expected a whole number <= 5, got 6"),
        ({"steps": "all"}, {"step": -7}, "step: expected a whole number >= -6, got -7"),
        ({}, {"output": 2}, "output: expected a whole number <= 1, got 2"),
        ({"loss": "mse"}, {}, r"output: expected a number in 0\.\.1, which of the values"),
        ({}, {"x": np.zeros((3, 2, N_X))}, "x: expected one sequence"),
        ({}, {"x": "abc"}, "x: expected numbers or symbols, since the model's metadata"),
    ],
)
def test_bad_arguments_are_named(options, arguments, message):
    with pytest.raises(ValueError, match=message):
        saliency(model_of("tanh", **options), **{"x": inputs(), **arguments})


class TestShown:
    norms = np.array([0.0, 1.0, 0.5, 0.1])

    def test_digits_stand_below_their_tokens(self):
        assert Saliency(self.norms, 3, 0).text("abcd", colour=False) == "abcd\n0941"
        words = Saliency(self.norms, 3, 0).text(["a ", "bc ", "d", "e"], colour=False)
        assert words == "a bc de\n0099941"

    def test_long_texts_are_cut_into_lines(self):
        lines = Saliency(np.ones(100), 99, 0).text("x" * 100, colour=False).split("\n")
        assert lines == ["x" * 80, "9" * 80, "x" * 20, "9" * 20]

    def test_colours_change_where_the_level_does(self):
        text = Saliency(np.array([1.0, 1.0, 0.0]), 2, 0).text("abc", colour=True)
        assert text == "\x1b[97;48;2;8;48;107mab\x1b[30;48;2;255;255;255mc\x1b[0m"

    def test_colour_is_for_terminals_that_want_it(self, monkeypatch):
        found = Saliency(self.norms, 3, 0, tuple("abcd"))
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
        assert str(found) == "abcd\n0941"
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        assert "\x1b[" in str(found)
        monkeypatch.setenv("NO_COLOR", "1")
        assert str(found) == "abcd\n0941"

    def test_control_characters_do_not_reach_the_terminal(self):
        found = Saliency(self.norms, 3, 0)
        assert found.text("\x1b\n\x7f\x9b", colour=False) == "␛␊␡\ufffd\n0941"
        assert found.html("\x1b\n\x7f\u202e").count("\ufffd") == 1

    def test_html_is_escaped(self):
        html = Saliency(self.norms, 3, 0).html(["<b>", "&", '"', "x"])
        assert [*re.findall(r">([^<>]+)</span>", html)] == ["&lt;b&gt;", "&amp;", "&quot;", "x"]
        assert html.count("<div") == html.count("</div>") == 1

    def test_without_tokens_one_line_says_what_it_is(self):
        found = Saliency(self.norms, 3, 0)
        assert str(found) == f"Saliency({len(self.norms)} steps, for output 0 at step 3)"
        assert found._repr_html_() is None
        with pytest.raises(ValueError, match="tokens: expected what each step read"):
            found.text()

    def test_tokens_are_checked(self):
        found = Saliency(self.norms, 3, 0)
        with pytest.raises(ValueError, match="tokens: expected 4, one for each step, got 3"):
            found.text("abc")
        with pytest.raises(TypeError, match="tokens: expected strings"):
            found.html([1, 2, 3, 4])
        with pytest.raises(TypeError, match="colour: expected True or False"):
            found.text("abcd", colour="blue")

    def test_norms_of_zero_have_level_zero(self):
        assert Saliency(np.zeros(2), 1, 0).text("ab", colour=False) == "ab\n00"

    def test_norms_that_are_not_finite_leave_the_levels_of_the_others(self):
        norms = np.array([1.0, 2.0, np.inf, np.nan])
        assert Saliency(norms, 3, 0).text("abcd", colour=False) == "abcd\n4990"

    def test_a_character_that_the_model_does_not_know_is_named(self):
        model = model_of("gru")
        model.metadata["vocabulary"] = json.dumps("abc")
        with pytest.raises(ValueError, match="x: character 'z' is not among the 3"):
            saliency(model, "abz")

    def test_a_model_of_text_reads_and_shows_text(self):
        model = model_of("gru", steps="all", n_y=3)
        model.metadata["vocabulary"] = json.dumps("ab<")
        found = saliency(model, "ab<a")
        np.testing.assert_array_equal(found.norms, saliency(model, [0, 1, 2, 0]).norms)
        assert found.tokens == tuple("ab<a")
        assert "&lt;" in found._repr_html_()

    def test_a_vocabulary_of_something_else_is_not_used(self):
        model = model_of("gru")
        for metadata in ("[]", "3", "not JSON", "[" * 100_000, json.dumps("abcdef")):
            model.metadata["vocabulary"] = metadata
            assert saliency(model, [0, 1, 2]).tokens is None

    def test_texts_can_be_read_on_every_colour(self):
        """The contrast of the Web Content Accessibility Guidelines 2.2, at least 4.5."""
        for level, colour in enumerate(_coloured.SCALE):
            c = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
            linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
            luminance = linear @ [0.2126, 0.7152, 0.0722]
            text = 1.0 if level >= _coloured.WHITE_FROM else 0.0
            lighter, darker = max(luminance, text), min(luminance, text)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, colour
