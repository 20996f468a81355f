"""Saliency: how much each step of an input moved an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn import _axes
from crnn._engine import validate
from crnn._network import layers
from crnn._network.arena import Arena, Layout
from crnn._network.buffers import Buffers
from crnn._network.config import Config
from crnn._network.passes import Pass
from crnn._vocabulary import vocabulary_of
from crnn._words import counted
from crnn.inspect import _arguments, _coloured
from crnn.reference import Array


@dataclass(frozen=True, eq=False, repr=False)
class Saliency:
    """What `saliency` gives; printing it shows the tokens, coloured by their norms, if it has them.

    Attributes
    ----------
    norms : array (T,)
        The Euclidean norm of the gradient of the logit with respect to x<t>.
    step : int
        The step of the answer, counted from the start.
    output : int
        The answer's output whose logit it is.
    tokens : tuple of str, or None
        What each step read: the characters, where x has symbols and the model's metadata a
        vocabulary, as `crnn train` saves it.

    Examples
    --------
    >>> import crnn
    >>> model = crnn.RNN(3, 8, 3, steps="all", rng=0)
    >>> found = crnn.inspect.saliency(model, [0, 2, 1, 0], step=2)
    >>> found.norms[3]                                        # it came after the answer
    np.float64(0.0)
    >>> print(found.text("abca", colour=False))
    abca
    6690
    """

    norms: Array
    step: int
    output: int
    tokens: tuple[str, ...] | None = None

    def text(self, tokens: str | Sequence[str] | None = None, *, colour: bool | None = None) -> str:
        """The tokens for a terminal, darker the more they moved the answer.

        Parameters
        ----------
        tokens : str or sequence of str (T,), optional
            What each step read, such as the text itself; the attribute by default.
        colour : bool, optional
            Whether to colour them. Without colour, a digit below each token says how large its norm
            is, from 0 to 9 for the largest. By default colour is used if standard output is a
            terminal and the environment variable NO_COLOR is not set.

        Returns
        -------
        str
            Control characters are replaced by their pictures, so that a line stays a line.

        Raises
        ------
        ValueError
            If there are no tokens, or not T of them.
        TypeError
            If they are not strings.

        Examples
        --------
        >>> import crnn
        >>> model = crnn.RNN(3, 8, 3, steps="all", rng=0)
        >>> found = crnn.inspect.saliency(model, [0, 2, 1, 0], step=2)
        >>> print(found.text("abca", colour=False))
        abca
        6690
        """
        shown = self._shown(tokens)
        if _coloured.wanted() if colour is None else validate.flag("colour", colour):
            return _coloured.terminal(shown, self.norms)
        return _coloured.digits(shown, self.norms)

    def html(self, tokens: str | Sequence[str] | None = None) -> str:
        """The tokens as HTML, darker the more they moved the answer.

        Parameters
        ----------
        tokens : str or sequence of str (T,), optional
            As for `text`.

        Returns
        -------
        str
            One element ``<div>``, with everything in the tokens escaped. The norm of each is its
            title, which a browser shows under the pointer.

        Raises
        ------
        ValueError, TypeError
            As by `text`.

        Examples
        --------
        >>> import crnn
        >>> model = crnn.RNN(3, 8, 3, steps="all", rng=0)
        >>> element = crnn.inspect.saliency(model, [0, 2, 1, 0], step=2).html("a<b>")
        >>> element.startswith("<div"), "&lt;" in element
        (True, True)
        """
        return _coloured.html(self._shown(tokens), self.norms)

    def plot(
        self, ax: Any = None, *, tokens: str | Sequence[str] | None = None, log: bool = False
    ) -> Any:
        """Draw the norms against time.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        tokens : str or sequence of str (T,), optional
            As for `text`. Up to 60 of them are written below the axis.
        log : bool, optional
            Whether the norms have a logarithmic axis, which shows how they vanish; norms of 0 are
            left out.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ModuleNotFoundError
            If matplotlib is not installed.
        ValueError, TypeError
            As by `text`.

        Examples
        --------
        >>> import crnn
        >>> model = crnn.RNN(3, 8, 3, steps="all", rng=0)
        >>> found = crnn.inspect.saliency(model, [0, 2, 1, 0], step=2)
        >>> found.plot(tokens="abca").figure.savefig("saliency.png")  # doctest: +SKIP
        """
        shown = None if tokens is None and self.tokens is None else self._checked(tokens)
        ax = _axes.axes(ax, (6.4, 3.2))
        t = np.arange(len(self.norms))
        if validate.flag("log", log):
            ax.plot(t, _axes.positive(self.norms), ".-", color=_axes.BLUE)
            _axes.log_scale(ax, self.norms)
        elif len(t) <= 100:
            ax.bar(t, self.norms, width=0.8, color=_axes.BLUE)
        else:  # bars would be thinner than a dot
            ax.fill_between(t, self.norms, step="mid", color=_axes.BLUE)
        ax.axvline(self.step, color=_axes.VERMILION, linestyle="--", linewidth=1.2,
                   label=f"the answer, at step {self.step}")  # fmt: skip
        ax.set_xlim(-0.6, len(t) - 0.4)
        ax.set_ylabel(f"|d logit {self.output} / d x<t>|")
        ax.set_xlabel("step t")
        if shown is not None and len(shown) <= 60:
            escaped = [token if token.isprintable() else repr(token)[1:-1] for token in shown]
            ax.set_xticks(t, escaped, family="monospace", parse_math=False)
        _axes.legend(ax, "upper right")
        return ax

    def __repr__(self) -> str:
        steps = counted(len(self.norms), "step")
        return f"Saliency({steps}, for output {self.output} at step {self.step})"

    def __str__(self) -> str:
        return repr(self) if self.tokens is None else self.text()

    def _repr_html_(self) -> str | None:
        return None if self.tokens is None else self.html()

    def _shown(self, tokens: str | Sequence[str] | None) -> list[str]:
        """The tokens in printable characters."""
        return [_coloured.printable(token) for token in self._checked(tokens)]

    def _checked(self, tokens: str | Sequence[str] | None) -> Sequence[str]:
        """The tokens that were given, or else the attribute."""
        given = self.tokens if tokens is None else tokens
        if given is None:
            raise ValueError("tokens: expected what each step read, such as the text, got None")
        if not isinstance(given, Sequence):
            raise TypeError(f"tokens: expected a sequence of strings, got {type(given).__name__}")
        if len(given) != len(self.norms):
            raise ValueError(
                f"tokens: expected {len(self.norms)}, one for each step, got {len(given)}"
            )
        if not all(isinstance(token, str) for token in given):
            raise TypeError("tokens: expected strings")
        return given


def saliency(model: Any, x: Any, step: int = -1, output: int | None = None) -> Saliency:
    """How much each step of an input moved an answer: the norm of the logit's gradient.

    Parameters
    ----------
    model : RNN
    x : array (T, n_x) or (T, 1, n_x), or integers (T,) or (T, 1)
        One sequence; integers are symbols, and the gradient is then that of their one-hot rows. For
        a model whose metadata have a vocabulary x may also be a str.
    step : int, optional
        Whose answer: that after step 0..T-1, or from the end if it is negative. A model that
        answers once, with any ``steps`` but "all", has only the last.
    output : int, optional
        Which of the n_y logits. By default the largest for cross entropy, which is the predicted
        class, and the only one for the other losses.

    Returns
    -------
    Saliency
        With ``norms`` (T,), and methods that draw and print them.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    K. Simonyan, A. Vedaldi and A. Zisserman, "Deep inside convolutional networks: visualising image
    classification models and saliency maps", ICLR workshop 2014.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 1, 1, loss="mse", activation="relu", rng=0)
    >>> for name, value in {"Waa": 0.5, "Wax": 1, "Wya": 1}.items():
    ...     model.parameters[name] = value
    >>> crnn.inspect.saliency(model, np.ones((4, 1))).norms     # y_hat = sum of 0.5^(3-t) x<t>
    array([0.125, 0.25 , 0.5  , 1.   ])
    """
    config, parameters = _arguments.in_float64(model)
    vocabulary = vocabulary_of(model.metadata)
    if isinstance(x, str):
        x = _arguments.symbols_of(x, vocabulary)
    rows = _arguments.one_sequence(config, x)
    tokens = None
    if rows.dtype.kind == "i":
        if vocabulary is not None and len(vocabulary) == config.n_x:
            tokens = tuple(vocabulary.decode([symbol]) for symbol in rows[:, 0].tolist())
        rows = (rows[:, :, None] == np.arange(config.n_x)).astype(np.float64)  # (T, 1, n_x)
    T = len(rows)
    step = _checked_step(config, step, T)
    run = Pass(config, dict(parameters), Buffers(config.np_dtype))
    trace = layers.forward(run, rows, keep=True)
    row = step if config.every_step else 0
    output = _checked_output(config, output, trace.logits[row])
    dlogits = np.zeros_like(trace.logits)
    dlogits[row, output] = 1
    unused = Arena(Layout(config.shapes(), config.np_dtype)).views
    dx = layers.backward(trace, dlogits, unused, need_dx=True)
    assert dx is not None
    return Saliency(np.linalg.norm(dx[:, 0], axis=1), step, output, tokens)


def _checked_step(config: Config, step: Any, T: int) -> int:
    last = not config.every_step
    number = validate.count("step", step, least=-1 if last else -T, most=T - 1) % T
    if last and number < T - 1:
        raise ValueError(
            f"step: expected -1 with steps={config.steps!r}, where the model answers once, "
            f"got {number}"
        )
    return number


def _checked_output(config: Config, output: Any, logits: Array) -> int:
    if output is not None:
        return validate.count("output", output, least=0, most=config.n_y - 1)
    if not config.classifies and config.n_y > 1:
        raise ValueError(
            f"output: expected a number in 0..{config.n_y - 1}, which of the values, got None"
        )
    return int(logits.argmax())
