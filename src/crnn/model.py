"""The model: recurrent layers and an output layer over one arena of parameters."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, overload

from crnn import files, streaming
from crnn._engine import validate
from crnn._network import initial
from crnn._network.answers import answers
from crnn._network.arena import Views
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.network import Network
from crnn._training.courses import Course, Examples, Stretch, checked_symbols, windows
from crnn._training.optim import SGD, Memory, Optimizer, chosen
from crnn._training.train import Descent, DivergenceError, History, Plan, train
from crnn.reference import Array, stack
from crnn.weights import from_keras, from_torch, to_keras, to_torch

#: The attributes that `RNN._build` makes.
_BUILT = ("_network", "_memory", "metadata")


class RNN:
    """A vanilla recurrent network: ``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)`` and an output layer.

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
    steps : {"last", "all"}, optional
        Answer once, from the last valid state (of each direction), or at every step.
    loss : {"cross_entropy", "mse"}, optional
        ``y_hat = softmax(Wya a<t> + by)`` and cross entropy with class numbers, or
        ``y_hat = Wya a<t> + by`` and the mean squared error with values.
    dtype : {"float32", "float64"}, optional
        Of parameters and results; inputs are converted to it.
    rng : int or numpy.random.Generator, optional
        Draws the initial parameters: orthogonal Waa, Glorot-uniform Wax and Wya, zero biases.
        The same seed gives the same bits.

    Attributes
    ----------
    metadata : dict of str to str
        Yours; it is saved with the model.

    Raises
    ------
    ValueError, TypeError
        Where an argument does not fit; the message names it.

    Examples
    --------
    >>> import crnn
    >>> model = crnn.RNN(3, 8, 2, rng=0)
    >>> {name: p.shape for name, p in model.parameters.items()}
    {'Waa': (8, 8), 'Wax': (8, 3), 'ba': (8,), 'Wya': (2, 8), 'by': (2,)}
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
        loss: str = "cross_entropy",
        dtype: Any = "float32",
        rng: Any = None,
    ) -> None:
        config = Config(n_x, n_a, n_y, num_layers, direction, activation, steps, loss, dtype)
        generator = validate.generator(rng)
        self._build(config)
        initial.initialise(config, self.parameters, generator)

    def _build(self, config: Config) -> None:
        self._network = Network(config)
        self._memory: tuple[Optimizer, Memory] | None = None
        self.metadata: dict[str, str] = {}

    @classmethod
    def _of(cls, config: Config, parameters: dict[str, Array], metadata: dict[str, str]) -> RNN:
        model = cls.__new__(cls)
        model._build(config)
        for name, value in parameters.items():
            model.parameters[name] = value
        model.metadata.update(metadata)
        return model

    def __getstate__(self) -> Any:
        """What a copy and a pickle keep besides configuration, parameters and metadata."""
        state = super().__getstate__()  # a dict, or a dict and a subclass's slots
        own, *slots = state if isinstance(state, tuple) else (state,)
        own = {name: value for name, value in own.items() if name not in _BUILT}
        return (own, *slots) if slots else own

    def __reduce__(self) -> tuple[Any, ...]:
        # The views must be views into one arena in a copy too, so a copy is built anew.
        parts = self.config, dict(self.parameters), self.metadata
        return self._of, parts, self.__getstate__()

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in asdict(self.config).items())
        return f"RNN({arguments})"

    @property
    def config(self) -> Config:
        """The constructor's arguments."""
        return self._network.config

    @property
    def parameters(self) -> Views:
        """Live views by name; assigning to a name copies numbers into its view."""
        return self._network.parameters

    @property
    def Wa(self) -> Array:
        """``[Waa | Wax]`` of a single layer, side by side: a copy, (n_a, n_a + n_x)."""
        if "Waa" not in self.parameters:
            raise AttributeError("Wa: expected a model of one layer and one direction")
        return stack(self.parameters["Waa"], self.parameters["Wax"])

    @overload
    def predict_proba(self, x: Array, lengths: Any = None) -> Array: ...
    @overload
    def predict_proba(self, x: Any, lengths: Any = None) -> Array | list[Array]: ...
    def predict_proba(self, x: Any, lengths: Any = None) -> Array | list[Array]:
        """The model's answers y_hat.

        Parameters
        ----------
        x : array (T, m, n_x), integers (T, m), or a list of (T_i, n_x) or (T_i,)
            The inputs: numbers of any dtype; integers (T, m) or (T_i,) stand for one-hot rows. A
            list or a tuple is m sequences, each with its own length (for `rnn_forward` a nested
            list is the array itself).
        lengths : integers (m,), optional
            Steps of each example where x is an array.

        Returns
        -------
        y_hat : array (m, n_y) or (T, m, n_y), or a list of (T_i, n_y)
            Class probabilities for cross entropy, values for mse; exactly 0 past an example's
            length. One answer an example with steps="last", one a step with steps="all", and
            then a list for a list.

        Raises
        ------
        ValueError, TypeError
            Where x or lengths do not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, steps="all", rng=0)
        >>> model.predict_proba(np.zeros((5, 4, 3))).shape
        (5, 4, 2)
        >>> [y_hat.shape for y_hat in model.predict_proba([[0, 1, 2], [1]])]  # two of symbols
        [(3, 2), (1, 2)]
        """
        return answers(self._network, Sequences(self.config, x, lengths=lengths))

    @overload
    def predict(self, x: Array, lengths: Any = None) -> Array: ...
    @overload
    def predict(self, x: Any, lengths: Any = None) -> Array | list[Array]: ...
    def predict(self, x: Any, lengths: Any = None) -> Array | list[Array]:
        """The most probable classes for cross entropy, values for mse.

        Parameters
        ----------
        x, lengths
            As for `predict_proba`.

        Returns
        -------
        y : array (m,) or (T, m), with a last axis n_y for mse, or a list of such
            Shaped as the targets of `fit`.

        Raises
        ------
        ValueError, TypeError
            Where x or lengths do not fit; ValueError too where an answer to be made a class is NaN.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> crnn.RNN(3, 8, 2, rng=0).predict(np.zeros((5, 4, 3)))
        array([0, 0, 0, 0])
        """
        return answers(self._network, Sequences(self.config, x, lengths=lengths), decide=True)

    def gradients(
        self, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None
    ) -> tuple[float, dict[str, Array]]:
        """The loss and its gradient with respect to every parameter.

        Parameters
        ----------
        x, lengths
            As for `predict_proba`.
        y : integers (m,) or (T, m); values (m, n_y) or (T, m, n_y); lists with a list x
            Class numbers for cross entropy (False and True are 0 and 1), values for mse. Past an
            example's length, and where the weight is 0, anything may stand.
        sample_weight : numbers (m,), optional
            Of at least 0, one an example; with steps="all" it holds at each of its steps, and
            weights shaped as class numbers are, one a step, are taken too.

        Returns
        -------
        loss : float
            The mean over the counted steps and examples (and, for mse, over n_y); with weights
            ``sum w loss / sum w``, so that examples of weight 0 are as good as left out.
        gradients : dict of str to array
            Of that mean, with the parameters' names and shapes.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 8, 2, rng=0)
        >>> loss, gradients = model.gradients(np.ones((5, 4, 3)), [0, 1, 0, 1])
        >>> gradients["Waa"].shape
        (8, 8)
        """
        sequences = Sequences(self.config, x, _given("y", y), lengths, sample_weight)
        arena = self._network.new_arena()
        loss = self._network.mean_gradients(sequences.batches(backward=True), arena)
        return loss, dict(arena.views)

    def evaluate(
        self, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None
    ) -> tuple[float, float]:
        """The mean loss and the metric.

        Parameters
        ----------
        x, y, lengths, sample_weight
            As for `gradients`.

        Returns
        -------
        loss : float
            The mean over the counted steps and examples (and, for mse, over n_y), weighted as for
            `gradients`; so is the metric.
        metric : float
            Accuracy for cross entropy, the mean absolute error for mse.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> loss, accuracy = crnn.RNN(3, 8, 2, rng=0).evaluate(np.ones((5, 4, 3)), [0, 1, 0, 1])
        >>> accuracy
        0.5
        """
        sequences = Sequences(self.config, x, _given("y", y), lengths, sample_weight)
        return self._network.evaluate(sequences.batches())

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        lengths: Any = None,
        sample_weight: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: Optimizer | str = SGD(0.1),  # noqa: B008 - frozen
        clip_norm: float | None = None,
        validation: Any = None,
        patience: int | None = None,
        progress: bool = True,
        rng: Any = None,
        callback: Callable[[History], object] | None = None,
    ) -> History:
        """Train by gradient descent on shuffled mini-batches, like lengths together.

        Ctrl-C ends training after the step under way. Calling again with the same optimizer
        object goes on with its momentum or moments; a new one starts afresh.

        Parameters
        ----------
        x, y, lengths, sample_weight
            As for `gradients`. Over all examples the weights are scaled to a mean of 1; a batch's
            loss is then its mean of ``w loss``, so its gradient is right on average. Examples that
            weigh nothing are left out before anything is drawn.
        epochs, batch_size : int, optional
        optimizer : SGD, Adam, "sgd" or "adam", optional
            The names stand for ``SGD(0.1)`` and ``Adam()``.
        clip_norm : float, optional
            Scale the gradient down to this global norm where it is larger.
        validation : (x, y), (x, y, lengths) or (x, y, lengths, sample_weight), optional
            Evaluated after each epoch.
        patience : int, optional
            Stop after this many epochs without a lower validation loss; the parameters of the
            best epoch are kept. Needs `validation`.
        progress : bool, optional
            Show a bar with loss and throughput on stderr.
        rng : int or numpy.random.Generator, optional
            Draws the order of the examples.
        callback : callable, optional
            Called with the History after each epoch; training ends where it returns True.

        Returns
        -------
        History
            Losses, metric, gradient norm and steps per second of each epoch.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; nothing is changed then.
        DivergenceError
            Where a loss, gradient or update is not finite; the parameters are those of the last
            good step.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((12, 200, 1)).astype("float32")
        >>> y = (x.sum(axis=0)[:, 0] > 0).astype(int)          # the sign of the sum
        >>> model = crnn.RNN(1, 16, 2, rng=0)
        >>> history = model.fit(x, y, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
        >>> history.metric[-1] > 0.9
        True
        """
        plan = Plan(epochs, chosen(optimizer), clip_norm, patience, progress, callback)
        batch_size = validate.count("batch_size", batch_size)
        generator = validate.generator(rng)
        sequences = Sequences(self.config, x, _given("y", y), lengths, sample_weight)
        held_out = None
        if validation is not None:
            if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3, 4):
                raise ValueError(
                    "validation: expected (x, y), (x, y, lengths) or (x, y, lengths, sample_weight)"
                )
            val_x, val_y, *val_options = validation
            _given("validation y", val_y)
            held_out = Sequences(self.config, val_x, val_y, *val_options, of="validation ")
        return self._train(Examples(sequences, batch_size, generator, held_out), plan)

    def fit_stream(
        self,
        symbols: Any,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        steps: int = 64,
        optimizer: Optimizer | str = SGD(0.1),  # noqa: B008 - frozen
        clip_norm: float | None = None,
        validation: Any = None,
        patience: int | None = None,
        progress: bool = True,
        callback: Callable[[History], object] | None = None,
    ) -> History:
        """Train to predict the next symbol of one long sequence, by truncated BPTT.

        The sequence is read as `batch_size` parallel rows, `steps` at a time; the state carries
        from window to window, gradients stop at a window's edge.

        Parameters
        ----------
        symbols : integers (N,)
            In ``0..n_x - 1``; N is more than `batch_size`. The model has steps="all",
            loss="cross_entropy", direction="forward" and n_x == n_y.
        steps : int, optional
            The window's length.
        validation : integers, optional
            A held-out sequence; its loss after each epoch is in nats per symbol.
        epochs, batch_size, optimizer, clip_norm, patience, progress, callback
            As for `fit`. There is nothing to draw: the order is the sequence's own.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As for `fit`.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> symbols = np.tile([0, 1, 2, 1], 200)
        >>> model = crnn.RNN(3, 16, 3, steps="all", rng=0)
        >>> adam = crnn.Adam(1e-2)
        >>> history = model.fit_stream(
        ...     symbols, batch_size=4, steps=16, optimizer=adam, progress=False
        ... )
        >>> history.metric[-1] > 0.9
        True
        """
        plan = Plan(epochs, chosen(optimizer), clip_norm, patience, progress, callback)
        batch_size = validate.count("batch_size", batch_size)
        steps = validate.count("steps", steps)
        symbols = checked_symbols(self.config, "symbols", symbols, batch_size)
        if validation is not None:
            validation = checked_symbols(self.config, "validation", validation, 1)
        return self._train(Stretch(symbols, batch_size, steps, validation), plan)

    def evaluate_stream(self, symbols: Any, batch_size: int = 32) -> tuple[float, float]:
        """Mean loss (nats per symbol) and accuracy of predicting a sequence's next symbol.

        The sequence is read as `batch_size` parallel rows (fewer where it is short), each from
        the zero state.

        Parameters
        ----------
        symbols : integers (N,)
            As for `fit_stream`; N is at least 2.
        batch_size : int, optional

        Returns
        -------
        loss, accuracy : float

        Raises
        ------
        ValueError, TypeError
            As for `fit_stream`.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(3, 16, 3, steps="all", rng=0)
        >>> loss, accuracy = model.evaluate_stream(np.tile([0, 1, 2, 1], 20))
        >>> 0 <= accuracy <= 1
        True
        """
        symbols = checked_symbols(self.config, "symbols", symbols, 1)
        m = min(validate.count("batch_size", batch_size), len(symbols) - 1)
        return self._network.evaluate(windows(symbols, m, 64), carry=True)

    def sample(self, n: int, prime: Any = None, temperature: float = 1.0, rng: Any = None) -> Array:
        """Draw n symbols, each from y_hat of the one before, which is fed back as input.

        Parameters
        ----------
        n : int
        prime : integers (k,), optional
            Read first. Without it the first symbol is drawn after an input of zeros.
        temperature : float, optional
            Logits are divided by it: below 1 is bolder, above 1 wilder, 0 takes the most
            probable symbol.
        rng : int or numpy.random.Generator, optional

        Returns
        -------
        symbols : integers (n,)
            Without the prime.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit, or the model has no symbols to feed back: it needs
            steps="all", cross entropy, direction="forward" and n_x == n_y; and where an answer has
            NaN.

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
            Where m is no whole number of at least 1, or the model does not read forward.

        Examples
        --------
        >>> import crnn
        >>> crnn.RNN(3, 8, 2, rng=0).stream(m=4).step([0, 2, 1, 0]).shape
        (4, 2)
        """
        return streaming.Stream(self.config, self.parameters, validate.count("m", m))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: parameters by name, configuration and metadata in its header.

        Written under a temporary name and renamed, so `path` never holds half a model.

        Parameters
        ----------
        path : path

        Raises
        ------
        TypeError
            Where metadata are not strings.
        OSError
            Where the file cannot be written; what stood at `path` stands there still.

        Examples
        --------
        >>> import crnn, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> crnn.RNN(2, 3, 4, rng=0).save(path)
        >>> path.exists()
        True
        """
        files.save(path, self.config, self.parameters, self.metadata)

    @classmethod
    def from_torch_state_dict(
        cls,
        state_dict: Any,
        *,
        activation: str = "tanh",
        steps: str = "last",
        loss: str = "cross_entropy",
        dtype: Any = None,
    ) -> RNN:
        """A model with the weights of torch's `nn.RNN` and an `nn.Linear` on top of it.

        ``Waa`` is weight_hh, ``Wax`` weight_ih, ``ba`` the sum of bias_ih and bias_hh, and
        ``Wya`` and ``by`` are the linear layer's; nothing is transposed.

        Parameters
        ----------
        state_dict : mapping of str to array
            The state dict of a module that holds both and nothing else, whatever their names and
            what stands before them. Layers and directions are told by the keys; a missing bias is
            zero. For two modules apart:
            ``torch.nn.ModuleDict({"rnn": rnn, "head": linear}).state_dict()``.
        activation, steps, loss : str, optional
            As for `RNN`: weights do not tell. The linear layer's numbers are logits for cross
            entropy.
        dtype : {"float32", "float64"}, optional
            That of the weights by default.

        Returns
        -------
        RNN
            With a copy of the weights.

        Raises
        ------
        ValueError, TypeError
            Where a key is missing or unknown, or a weight does not fit; the message names it.

        Notes
        -----
        ``steps="last"`` reads the final state of each direction, as ``h_n`` has them. A torch model
        that reads ``out[:, -1]`` (or ``out[-1]``) of a bidirectional RNN is another one: it sees
        the backward direction after a single step. Load that with ``steps="all"`` and take the
        last step of the answer, ``model.predict(x)[-1]``.

        A linear layer with one output under a sigmoid is refused with cross entropy: a softmax over
        one class is always 1. Its two classes become a softmax over two logits by a first row of
        zeros: ``head.weight`` is then ``np.vstack([np.zeros_like(w), w])``, and so is the bias.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> state_dict = {
        ...     "rnn.weight_ih_l0": np.ones((8, 3)),
        ...     "rnn.weight_hh_l0": np.eye(8),
        ...     "head.weight": np.ones((2, 8)),
        ... }
        >>> model = crnn.RNN.from_torch_state_dict(state_dict, activation="relu", loss="mse")
        >>> model.predict(np.ones((1, 1, 3)))
        array([[24., 24.]])
        """
        choices = {"activation": activation, "steps": steps, "loss": loss}
        return cls._of(*from_torch(state_dict, dtype, **choices), {})

    def to_torch_state_dict(
        self, *, rnn: str = "rnn", head: str = "head", ba: bool = True, by: bool = True
    ) -> dict[str, Array]:
        """The weights under torch's names: what `from_torch_state_dict` reads.

        Parameters
        ----------
        rnn, head : str, optional
            The names of the `nn.RNN` and of the `nn.Linear` in their module: "" for none.
        ba, by : bool, optional
            False leaves the bias out, for a module with bias=False; it must be zero.

        Returns
        -------
        state_dict : dict of str to array
            Copies. Of torch's two biases bias_ih is ``ba`` and bias_hh is zeros. torch loads
            tensors: ``{key: torch.from_numpy(a) for key, a in state_dict.items()}``.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit, or the model reads right to left alone, as no `nn.RNN`
            does.

        Examples
        --------
        >>> import crnn
        >>> list(crnn.RNN(3, 8, 2, rng=0).to_torch_state_dict(head="fc", ba=False))
        ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'fc.weight', 'fc.bias']
        """
        return to_torch(self.config, self.parameters, rnn, head, ba, by)

    @classmethod
    def from_keras_weights(
        cls,
        weights: Any,
        *,
        direction: str = "forward",
        activation: str = "tanh",
        steps: str = "last",
        loss: str = "cross_entropy",
        dtype: Any = None,
    ) -> RNN:
        """A model with the weights of Keras' `SimpleRNN` layers and a `Dense` on top of them.

        ``Wax`` is kernel, ``Waa`` recurrent_kernel and ``Wya`` the dense kernel, all transposed;
        ``ba`` and ``by`` are the biases.

        Parameters
        ----------
        weights : list of array
            What the Keras model's `get_weights` gives: for each layer kernel (n_in, n_a),
            recurrent_kernel (n_a, n_a) and bias (n_a,), where `Bidirectional` has those of its
            forward layer before those of its backward layer; at the end the dense kernel
            (n_a or 2 n_a, n_y) and bias (n_y,). A bias that is left out is zero.
        direction : {"forward", "reverse", "bidirectional"}, optional
            Bidirectional is `Bidirectional` with its default merge_mode="concat". Reverse is
            go_backwards=True in the lowest layer alone: Keras gives its steps in the order read,
            so layers above read on, and the steps of an answer come last first.
        activation, steps, loss : str, optional
            As for `RNN`: weights do not tell.
        dtype : {"float32", "float64"}, optional
            That of the weights by default.

        Returns
        -------
        RNN
            With a copy of the weights.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the message names it, as in "weights[2]".

        Notes
        -----
        ``steps="last"`` reads the final state of each direction, as `return_sequences=False` does.
        A model that reads the last step of a bidirectional layer with `return_sequences=True` is
        another one: load it with ``steps="all"`` and take the last step of the answer.

        ``Dense(1, "sigmoid")`` is refused with cross entropy: a softmax over one class is always 1.
        Its two classes become a softmax over two logits by a first column of zeros in its kernel
        and a first zero in its bias.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> weights = [np.ones((3, 8)), np.eye(8), np.zeros(8), np.ones((8, 2)), np.zeros(2)]
        >>> model = crnn.RNN.from_keras_weights(weights, activation="relu", loss="mse")
        >>> model.predict(np.ones((1, 1, 3)))
        array([[24., 24.]])
        """
        choices = {"activation": activation, "steps": steps, "loss": loss}
        return cls._of(*from_keras(weights, direction, dtype, **choices), {})

    def to_keras_weights(self, *, ba: bool = True, by: bool = True) -> list[Array]:
        """The weights as Keras lists them: what `from_keras_weights` reads.

        Parameters
        ----------
        ba, by : bool, optional
            False leaves the bias out, for a layer with use_bias=False; it must be zero.

        Returns
        -------
        weights : list of array
            Copies, for the Keras model's `set_weights`.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit.

        Examples
        --------
        >>> import crnn
        >>> [a.shape for a in crnn.RNN(3, 8, 2, rng=0).to_keras_weights()]
        [(3, 8), (8, 8), (8,), (8, 2), (2,)]
        """
        return to_keras(self.config, self.parameters, ba, by)

    def _train(self, course: Course, plan: Plan) -> History:
        if plan.patience is not None and course.held_out is None:
            raise ValueError("patience: expected None without validation data")
        if self._memory is None or self._memory[0] is not plan.optimizer:
            self._memory = plan.optimizer, plan.optimizer.start(self._network.arena.flat)
        try:
            return train(Descent(self._network, self._memory[1], plan), course, plan)
        except DivergenceError:
            self._memory = None
            raise


def load(path: str | os.PathLike[str]) -> RNN:
    """Read a model that `RNN.save` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    RNN
        With the saved configuration, parameters and metadata, bit for bit.

    Raises
    ------
    ValueError
        Where the file is truncated, foreign or damaged. Nothing in a file is ever executed.
    OSError
        Where it cannot be read.

    Examples
    --------
    >>> import crnn, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> crnn.RNN(2, 3, 4, rng=0).save(path)
    >>> crnn.load(path).config.n_a
    3
    """
    return RNN._of(*files.load(path))


def _given(name: str, value: Any) -> Any:
    if value is None:
        raise TypeError(f"{name}: expected targets, got None")
    return value
