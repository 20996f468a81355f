"""The weights of Keras' `SimpleRNN`, `GRU` or `LSTM` and `Dense`: a list of transposed arrays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import DIRECTIONS, Config
from crnn.reference import Array
from crnn.weights.gates import KERAS, cell_of, merged, recurrent_bias, reordered, restored
from crnn.weights.reading import (
    Named,
    check_initial_state,
    check_left_out,
    dtype_of,
    matrix,
    read_floats,
)


def from_keras(
    weights: Any, direction: Any, reset_after: Any, dtype: Any, **choices: Any
) -> tuple[Config, Named]:
    """Configuration and parameters of recurrent layers and a `Dense`, as `get_weights` lists.

    Parameters
    ----------
    weights : list of arrays
        Kernel (n_x, gates n_a), recurrent kernel (n_a, gates n_a) and bias of every layer, and of
        both directions of a bidirectional one; then kernel (n_a, n_y) and bias of the `Dense`.
        Biases may be missing.
    direction, reset_after, dtype
        As for `crnn.RNN.from_keras_weights`.
    **choices
        Fields of `crnn.model.Config` that weights do not tell: activation, loss, steps.

    Returns
    -------
    config : Config
    parameters : dict of str to array
        By crnn's names.

    Raises
    ------
    ValueError, TypeError
        If the arrays are not those of such layers, or an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.weights import from_keras
    >>> arrays = [np.ones((2, 3)), np.ones((3, 3)), np.zeros(3), np.ones((3, 1)), np.zeros(1)]
    >>> config, parameters = from_keras(arrays, "forward", None, None, loss="mse")
    >>> config.n_x, config.n_a, config.n_y, sorted(parameters)
    (2, 3, 1, ['Waa', 'Wax', 'Wya', 'ba', 'by'])
    """
    validate.choice("direction", direction, DIRECTIONS)
    if not isinstance(weights, (list, tuple)):
        raise TypeError(f"weights: expected a list of arrays, got {type(weights).__name__}")
    given = [validate.plain(f"weights[{i}]", value) for i, value in enumerate(weights)]
    *cells, head = _keras_layout(given)
    directions = 2 if direction == "bidirectional" else 1
    if len(cells) % directions:
        raise ValueError(
            "weights: expected two recurrences a layer for direction 'bidirectional', "
            f"got {len(cells)} in all"
        )
    kernel, recurrent_kernel, dense = (
        matrix(f"weights[{i}]", given[i]) for i in (cells[0].start, cells[0].start + 1, head.start)
    )
    n_a, rows = recurrent_kernel.shape
    config = Config(
        kernel.shape[0], n_a, dense.shape[1],
        len(cells) // directions, direction, dtype=dtype_of(given, dtype),
        cell=cell_of(rows, n_a), **choices,
    )  # fmt: skip
    if config.cell == "gru":
        _require_reset_after(reset_after, given, cells, rows)
    elif reset_after is not None:
        raise ValueError(
            f"reset_after: expected None for the weights of a cell {config.cell!r}, since only a "
            f"GRU has it, got {validate.shown(reset_after)}"
        )
    shapes, order = config.shapes(), _order(config)
    parameters: Named = {}

    def read(i: int, name: str, shape: tuple[int, ...]) -> Array:
        return read_floats(f"weights[{i}]", given[i], name, shape).T

    for recurrence, place in zip(config.recurrences(), cells, strict=True):
        own: Named = {}
        for i, name in zip(range(place.start, place.stop), ("Wax", "Waa", "ba"), strict=False):
            named = name + recurrence.suffix
            shape = shapes[named][::-1]
            if name == "ba" and config.cell == "gru":
                halves = read(i, named, (2, *shape)).T
                b_input, b_recurrent = (restored(half, order) for half in halves)
                own |= merged(config.kind, b_input, b_recurrent, np.float64)
            else:
                own[name] = restored(read(i, named, shape), order)
        parameters |= recurrence.named(own)
    for i, name in zip(range(head.start, head.stop), ("Wya", "by"), strict=False):
        parameters[name] = read(i, name, shapes[name][::-1])
    return config, parameters


def to_keras(config: Config, parameters: Named, ba: Any, by: Any) -> list[Array]:
    """The list that `set_weights` takes.

    Parameters
    ----------
    config : Config
    parameters : dict of str to array
    ba, by : bool
        Whether the layers and the `Dense` have biases.

    Returns
    -------
    weights : list of arrays
        In the order of `from_keras`.

    Raises
    ------
    ValueError
        If Keras has no such layers, or a bias that is to be left out is not zero.

    Examples
    --------
    >>> import crnn
    >>> from crnn.weights import to_keras
    >>> model = crnn.RNN(2, 3, 1, loss="mse", rng=0)
    >>> [w.shape for w in to_keras(model.config, model.parameters, ba=True, by=True)]
    [(2, 3), (3, 3), (3,), (3, 1), (1,)]
    """
    if config.cell == "leaky":
        raise ValueError(
            "to_keras_weights: expected a model with cell 'vanilla', 'gru' or 'lstm', got 'leaky', "
            "which Keras does not have"
        )
    check_initial_state("to_keras_weights", config, "Keras'")
    check_left_out(parameters, ba=ba, by=by)
    weights: list[Array] = []
    order = _order(config)
    for recurrence in config.recurrences():
        own = recurrence.of(parameters)
        weights += [reordered(own[name], order).T.copy() for name in ("Wax", "Waa")]
        if ba:
            biases = [reordered(half, order) for half in (own["ba"], recurrent_bias(own))]
            weights.append(np.stack(biases) if config.cell == "gru" else biases[0])
    weights.append(parameters["Wya"].T.copy())
    if by:
        weights.append(parameters["by"].copy())
    return weights


def _order(config: Config) -> tuple[int, ...]:
    return KERAS.get(config.cell, (0,))


def _require_reset_after(said: Any, given: list[Array], cells: list[slice], rows: int) -> None:
    """Refuse a GRU with reset_after=False, whose equation is another one.

    Its bias has one row, that of reset_after=True has two, and without biases nothing shows it.
    """
    for place in cells:
        i = place.start + 2
        if i < place.stop and given[i].shape == (rows,):
            raise ValueError(
                f"weights[{i}]: expected a bias of shape {(2, rows)}, of a GRU with "
                f"reset_after=True, got shape {(rows,)}: crnn has no equation for reset_after=False"
            )
    if said is None and all(place.stop - place.start == 2 for place in cells):
        raise ValueError(
            "reset_after: expected True for a GRU without biases, whose weights do not show it, "
            "got None"
        )
    if said is not None and not validate.flag("reset_after", said):
        raise ValueError("reset_after: expected True, got False, for which crnn has no equation")


def _keras_layout(given: list[Array]) -> list[slice]:
    """The positions of each recurrence's arrays, and last those of the Dense layer."""
    # Matrices and biases by their number of axes: 221 a recurrence and 21 at the end, or 22 and 2.
    axes = "".join(str(a.ndim) if a.ndim in (1, 2) else "?" for a in given)
    for codes in (_with_gru_biases(given, axes), axes):
        if re.fullmatch("(221?)+21?", codes):
            return [slice(*match.span()) for match in re.finditer("221?|21?", codes)]
    raise ValueError(
        "weights: expected kernel, recurrent_kernel and perhaps bias of each recurrence, then "
        "kernel and perhaps bias of a Dense layer, "
        f"got arrays of shapes {', '.join(str(a.shape) for a in given)}"
    )


def _with_gru_biases(given: list[Array], axes: str) -> str:
    """The numbers of axes, with 1 for the biases (2, 3 n_a) of GRU layers.

    With two units a kernel may have that shape too, and is then taken for a bias if it can be one.
    """
    codes, i = [*axes], 2
    while i < len(given) - 1:
        n_a, rows = given[i - 1].shape if given[i - 1].ndim == 2 else (0, 1)
        is_bias = rows == 3 * n_a and given[i].shape == (2, rows) and given[i + 1].ndim == 2
        if is_bias:
            codes[i] = "1"
        i += 3 if codes[i] == "1" else 2
    return "".join(codes)
