"""The model: recurrent layers and an output layer.

Its methods are here and in the classes that it inherits from: answers and gradients, training from
examples, training from streams, and the exchange of weights with other libraries.
"""

from __future__ import annotations

import os
from typing import Any

from crnn import files, streaming
from crnn._engine import validate
from crnn._forecasting.forecasting import Forecasting
from crnn._network import initial
from crnn._network.config import Config
from crnn._network.constraints import constrain_initial
from crnn._network.losses import plain
from crnn._network.reading import Reading
from crnn._network.scoring import Scoring
from crnn._training.from_batches import FromBatches
from crnn._training.from_examples import FromExamples
from crnn._training.from_streams import FromStreams
from crnn.reference import Array
from crnn.weights.convertible import Convertible

__all__ = ["RNN", "Config", "load"]


class RNN(Forecasting, Scoring, Reading, FromExamples, FromBatches, FromStreams, Convertible):
    """A recurrent network: layers of one kind of cell, and an output layer.

    The vanilla cell is ``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)``. The equations of the others are
    those of `leaky_forward`, `gru_forward` and `lstm_forward`.

    Parameters
    ----------
    n_x, n_a, n_y : int
        Inputs, hidden units and outputs.
    num_layers : int, optional
        Recurrent layers, each reading the states of the one below.
    direction : {"forward", "reverse", "bidirectional"}, optional
        How each layer reads time. Bidirectional layers put both states side by side, forward
        first.
    activation : {"tanh", "relu"}, optional
        Of a vanilla or leaky cell.
    steps : {"last", "mean", "max", "pooled", "all"}, optional
        Answer once, from the last valid state (of each direction), from the mean of the states over
        the valid steps, from their largest values, unit by unit, or from these three side by side
        ("pooled"; Wya is then (n_y, 3 n_a) or (n_y, 6 n_a): last, mean, max, and in each forward
        first); or at every step ("all"). The gradient of a maximum goes to the first step that has
        it. Layers with equation="current" give their rates.
    loss : str, Huber, Quantiles or callable, optional
        What y_hat is, and what training makes small; see docs/losses.md. "cross_entropy": ``y_hat =
        softmax(Wya a<t> + by)`` with class numbers. "binary_cross_entropy": probabilities of one
        label or many, ``1 / (1 + exp(-(Wya a<t> + by)))``. "mse", "mae" and "huber", or `Huber`
        with another delta: ``y_hat = Wya a<t> + by`` with values. "quantiles", or `Quantiles` with
        other levels: n_y outputs are the quantiles of each series. "gaussian_nll": means and
        standard deviations. A callable or `Loss`: your own.
    dtype : {"float32", "float64"}, optional
        The dtype of parameters and results; inputs are converted to it.
    cell : {"vanilla", "leaky", "gru", "lstm"}, optional
        What each unit computes. Weights of a GRU or LSTM are stacked by gate, as PyTorch's are.
    leak : float, or array (n_a,)
        Of a leaky cell, in (0, 1]: ``dt / tau``, the time step in units of the time constant, for
        all units or one for each. It comes from Euler's rule for ``tau da/dt = -a + f(z)``: with
        steps of dt = 20 ms and a time constant of tau = 100 ms, leak is 0.2.
    noise : float, optional
        The standard deviation of what training adds to z in a leaky cell, at each step. `fit` and
        `fit_stream` draw it, and so do answers that are asked for with ``noise=True``; all others,
        and `gradients`, are without. With equation="current", noise of the standard deviation
        sigma in the states of continuous time, as in Song, Yang and Wang (2016), is
        ``noise = sigma sqrt(2 / leak)``.
    equation : {"rate", "current"}, optional
        Of a leaky cell. With "current", the layer above reads the rates f(v), not the states v.
    masks : dict of str to array of 0 and 1, optional
        Which entries of a weight exist, under its name in `parameters` and in a shape that
        broadcasts to the weight's. The others are 0 and stay 0, and so are their gradients.
    signs : dict of str to array of -1, 0 and 1, optional
        The signs that the entries of a weight keep; 0 leaves an entry free. Numbers (n_a,) for Waa
        or Wya are those of the units that the weights come from: Dale's law. After each step of
        training, weights of the wrong sign become 0. See docs/neuroscience.md.
    initial_state : {"zeros", "trained"}, optional
        Where each sequence begins: at 0, or at states that are parameters, one for all examples and
        0 before training: "a0" (n_a,) of each layer and direction, and "c0" of an LSTM. With
        equation="current", a0 is v<0>.
    dropout : float, optional
        The share of units, in [0, 1), whose outputs the layer above does not see in a step of
        training; the others are scaled by ``1 / (1 - dropout)``. Drawn for each step, example and
        unit, and by `fit`, `fit_stream` and `train_on_batch` only (Zaremba et al. 2014).
    init : {"orthogonal", "identity", "np", "uniform", "pytorch", "keras"} or Init, optional
        How the initial parameters are drawn. "orthogonal": orthogonal Waa and Glorot-uniform Wax,
        each gate a matrix of its own, Glorot-uniform Wya and zero biases. The others, and scales
        for each kind of weight, are those of `Init`.
    forget_bias : float, optional
        The initial bias of an LSTM's forget gate: 1 by default, except with init="pytorch", which
        draws it like the other biases.
    rng : int or numpy.random.Generator, optional
        Draws the initial parameters. The same seed gives the same bits.

    Attributes
    ----------
    metadata : dict of str to str
        For your own use; it is saved with the model.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Examples
    --------
    >>> import crnn
    >>> model = crnn.RNN(3, 8, 2, rng=0)
    >>> {name: p.shape for name, p in model.parameters.items()}
    {'Waa': (8, 8), 'Wax': (8, 3), 'ba': (8,), 'Wya': (2, 8), 'by': (2,)}
    >>> crnn.RNN(3, 8, 2, cell="lstm", rng=0).parameters["Waa"].shape     # gates i, f, g, o
    (32, 8)
    """

    def __init__(
        self,
        n_x: int,
        n_a: int,
        n_y: int,
        *,
        num_layers: int = 1,
        direction: str = "forward",
        activation: str = "tanh",
        steps: str = "last",
        loss: Any = "cross_entropy",
        dtype: Any = "float32",
        cell: str = "vanilla",
        leak: Any = None,
        noise: float = 0.0,
        equation: str = "rate",
        masks: Any = None,
        signs: Any = None,
        initial_state: str = "zeros",
        dropout: float = 0.0,
        init: initial.Init | str = "orthogonal",
        forget_bias: float | None = None,
        rng: Any = None,
    ) -> None:
        config = Config(
            n_x, n_a, n_y, num_layers, direction, activation, steps, loss, dtype,
            cell, leak, noise, equation, masks, signs, initial_state, dropout,
        )  # fmt: skip
        generator = validate.generator(rng)
        self._build(config)
        initial.initialise(config, self.parameters, generator, init, forget_bias)
        constrain_initial(config, self.parameters)

    def sample(self, n: int, prime: Any = None, temperature: float = 1.0, rng: Any = None) -> Array:
        """Draw n symbols, each from y_hat of the one before, which is fed back as input.

        Parameters
        ----------
        n : int
        prime : integers (k,), optional
            Read first. Without it the first symbol is drawn after an input of zeros.
        temperature : float, optional
            Logits are divided by it: below 1 favours probable symbols, above 1 makes the choice
            more even, and 0 takes the most probable symbol.
        rng : int or numpy.random.Generator, optional

        Returns
        -------
        symbols : integers (n,)
            Without the prime.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, an answer has NaN, or the model has no symbols to feed
            back: it needs steps="all", cross entropy, direction="forward" and n_x == n_y.

        Examples
        --------
        >>> import crnn
        >>> crnn.RNN(3, 8, 3, steps="all", rng=0).sample(5, prime=[0, 1], rng=0).shape
        (5,)
        """
        return streaming.sample(self.config, self.parameters, n, prime, temperature, rng)

    def stream(self, m: int = 1) -> streaming.Stream:
        """Start reading m sequences one step at a time, with the state kept.

        Parameters
        ----------
        m : int, optional

        Returns
        -------
        Stream

        Raises
        ------
        ValueError, TypeError
            If m is not a whole number of at least 1, or the model does not read forward.

        Examples
        --------
        >>> import crnn
        >>> crnn.RNN(3, 8, 2, rng=0).stream(m=4).step([0, 2, 1, 0]).shape
        (4, 2)
        """
        return streaming.Stream(self.config, self.parameters, validate.count("m", m))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: parameters by name, configuration and metadata in its header.

        It is written under a temporary name and renamed, so `path` never has half a model.

        Parameters
        ----------
        path : path

        Raises
        ------
        TypeError
            If metadata are not strings.
        OSError
            If the file cannot be written; what is at `path` is left unchanged.

        Examples
        --------
        >>> import crnn, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> crnn.RNN(2, 3, 4, rng=0).save(path)
        >>> path.exists()
        True
        """
        files.save(path, self.config, self.parameters, self.metadata)


def load(path: str | os.PathLike[str], *, loss: Any = None) -> RNN:
    """Read a model that `RNN.save` wrote.

    Parameters
    ----------
    path : path
    loss : callable, optional
        The loss of a model that has one of its own: a file has only the name of its class or
        function, and nothing in a file is ever executed.

    Returns
    -------
    RNN
        With the saved configuration, parameters and metadata, bit for bit.

    Raises
    ------
    ValueError
        If the file is truncated, foreign or damaged, or the model has a loss of its own and `loss`
        is not given, or the other way round.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import crnn, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> crnn.RNN(2, 3, 4, rng=0).save(path)
    >>> crnn.load(path).config.n_a
    3
    """
    config, parameters, metadata = files.load(path, loss)
    if loss is not None and config.loss != plain(loss):
        raise ValueError(f"loss: expected None, because the model has {config.loss!r}")
    return RNN._of(config, parameters, metadata)
