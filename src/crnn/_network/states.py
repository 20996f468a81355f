"""The states of every layer at every step, in the caller's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.flow import cells_of
from crnn._network.layers import Trace
from crnn._network.network import Network
from crnn._network.noise import seed_for_noise
from crnn.reference import Array


def layer_states(
    network: Network,
    sequences: Sequences,
    numbers: list[int],
    cells: bool,
    noise: np.random.Generator | None = None,
) -> list[Any]:
    """The states (T, m, width) of these layers, or lists of (T_i, width) for a list of sequences.

    With `cells`, pairs of a and c. Past an example's length they are 0.
    """
    config = network.config
    kinds = 2 if cells else 1
    whole: list[list[Array]] = []  # of each layer, a and perhaps c
    groups = sequences.groups(backward=cells)
    for chosen in groups:
        seed = seed_for_noise(noise)
        trace = network.forward(sequences.batch(chosen), keep=cells, noise=seed)
        found = [_of_layer(config, trace, layer, cells) for layer in numbers]
        if chosen is None:
            whole = found
            break
        if not whole:
            shape = (sequences.longest, sequences.m, config.width)
            whole = [[np.zeros(shape, config.np_dtype) for _ in range(kinds)] for _ in numbers]
        for into, arrays in zip(whole, found, strict=True):
            for array, values in zip(into, arrays, strict=True):
                array[: len(values), chosen] = values
    shaped = [[_shaped(sequences, array) for array in arrays] for arrays in whole]
    return [tuple(arrays) if cells else arrays[0] for arrays in shaped]


def _of_layer(config: Config, trace: Trace, layer: int, cells: bool) -> list[Array]:
    """a (T, m, width) of a layer, and with `cells` c, both directions side by side."""
    n = config.num_directions
    own = range(layer * n, (layer + 1) * n)
    found = [[trace.states[k].a for k in own]]
    if cells:
        found.append([cells_of(config, trace.inputs[k], trace.states[k]) for k in own])
    return [parts[0] if n == 1 else np.concatenate(parts, axis=2) for parts in found]


def _shaped(sequences: Sequences, whole: Array) -> Array | list[Array]:
    """The states in the form of x: of an array as long as x, or a list."""
    if sequences.listed:
        assert sequences.lengths is not None
        return [whole[:length, i].copy() for i, length in enumerate(sequences.lengths)]
    T = len(sequences.x)
    if len(whole) == T:
        return whole
    padded = np.zeros((T, *whole.shape[1:]), whole.dtype)
    padded[: len(whole)] = whole
    return padded


def chosen_layers(config: Config, layer: Any) -> list[int]:
    """The numbers of the layers asked for: all of them for None."""
    n = config.num_layers
    if layer is None:
        return list(range(n))
    return [validate.count("layer", layer, least=-n, most=n - 1) % n]


def checked_cells(config: Config, cells: Any) -> bool:
    """The argument `cells`."""
    if validate.flag("cells", cells) and "c" not in config.kind.states:
        raise ValueError(f"cells: expected False with cell={config.cell!r}, got True")
    return bool(cells)
