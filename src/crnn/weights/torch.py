"""The weights of torch's `nn.RNN`, `nn.GRU` or `nn.LSTM` and `nn.Linear`: a state dict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config, Recurrence
from crnn.reference import Array
from crnn.weights.gates import cell_of, merged, recurrent_bias
from crnn.weights.reading import (
    Named,
    check_initial_state,
    check_left_out,
    dtype_of,
    listed,
    matrix,
    read_floats,
)

# torch's keys, after the names of the modules around: "module.rnn.weight_hh_l0".
_OF_RNN = re.compile(r"((?:.*\.)?)(weight|bias)_(?:ih|hh)_l([0-9]+)(_reverse)?")
_OF_LINEAR = re.compile(r"((?:.*\.)?)(weight|bias)")

_OF_TORCH = {"weight_ih": "Wax", "weight_hh": "Waa"}


def from_torch(state_dict: Any, dtype: Any, **choices: Any) -> tuple[Config, Named]:
    """Configuration and parameters of a recurrent module and an `nn.Linear`, with any prefixes.

    Parameters
    ----------
    state_dict : mapping of str to array or tensor
        Of a module that has one of nn.RNN, nn.GRU and nn.LSTM, one nn.Linear, and nothing else.
    dtype : {"float32", "float64"} or None
        Of the parameters; None for that of the weights.
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
        If the entries are not those of such modules, or an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.weights import from_torch
    >>> state_dict = {"rnn.weight_ih_l0": np.ones((3, 2)), "rnn.weight_hh_l0": np.ones((3, 3)),
    ...               "head.weight": np.ones((1, 3))}
    >>> config, parameters = from_torch(state_dict, None, loss="mse")
    >>> config.n_x, config.n_a, config.n_y, sorted(parameters)      # biases may be missing
    (2, 3, 1, ['Waa', 'Wax', 'Wya'])
    """
    keys = _torch_keys(state_dict)
    recurrent = [match.groups() for match in map(_OF_RNN.fullmatch, keys) if match]
    linear = [match.groups() for match in map(_OF_LINEAR.fullmatch, keys) if match]
    rnn, head = _prefix_of("nn.RNN, nn.GRU or nn.LSTM", recurrent), _prefix_of("nn.Linear", linear)
    layers = len({layer for _, _, layer, _ in recurrent})  # counted: a number may be anything
    both = any(back for *_, back in recurrent)
    biased = any(kind == "bias" for _, kind, *_ in recurrent)
    _demand_keys(keys, _keys_of_rnn(rnn, layers, both, biased), head)
    given = {key: validate.plain(_entry(key), state_dict[key]) for key in keys}

    Wax, Waa, Wya = (
        matrix(_entry(key), given[key])
        for key in (f"{rnn}weight_ih_l0", f"{rnn}weight_hh_l0", f"{head}weight")
    )
    direction = "bidirectional" if both else "forward"
    config = Config(
        Wax.shape[1], Waa.shape[1], len(Wya), layers, direction,
        dtype=dtype_of(given.values(), dtype), cell=cell_of(*Waa.shape), **choices,
    )  # fmt: skip
    shapes = config.shapes()

    def read(key: str, name: str) -> Array:
        return read_floats(_entry(key), given[key], name, shapes[name])

    parameters: Named = {}
    for recurrence in config.recurrences():
        key = _torch_keys_of(rnn, recurrence)
        for kind, name in _OF_TORCH.items():
            name += recurrence.suffix
            parameters[name] = read(key(kind), name)
        if biased:
            ba = "ba" + recurrence.suffix
            b_ih, b_hh = (read(key(kind), ba) for kind in ("bias_ih", "bias_hh"))
            parameters |= recurrence.named(merged(config.kind, b_ih, b_hh, np.float64))
    parameters["Wya"] = read(f"{head}weight", "Wya")
    if f"{head}bias" in given:
        parameters["by"] = read(f"{head}bias", "by")
    return config, parameters


def to_torch(config: Config, parameters: Named, rnn: Any, head: Any, ba: Any, by: Any) -> Named:
    """A state dict of arrays. torch's first bias is ba and its second is zero.

    Parameters
    ----------
    config : Config
    parameters : dict of str to array
    rnn, head : str
        The names of the recurrent module and of the nn.Linear within the module around them.
    ba, by : bool
        Whether the recurrent module and the nn.Linear have biases.

    Returns
    -------
    state_dict : dict of str to array

    Raises
    ------
    ValueError
        If torch has no such module, or a bias that is to be left out is not zero.

    Examples
    --------
    >>> import crnn
    >>> from crnn.weights import to_torch
    >>> model = crnn.RNN(2, 3, 1, loss="mse", rng=0)
    >>> list(to_torch(model.config, model.parameters, "rnn", "head", ba=False, by=False))
    ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'head.weight']
    """
    if config.direction == "reverse":
        raise ValueError(
            "to_torch_state_dict: expected a model with direction 'forward' or 'bidirectional', "
            "got 'reverse': no module of torch reads right to left alone"
        )
    if config.cell == "leaky":
        raise ValueError(
            "to_torch_state_dict: expected a model with cell 'vanilla', 'gru' or 'lstm', got "
            "'leaky', which torch does not have"
        )
    check_initial_state("to_torch_state_dict", config, "torch's")
    rnn, head = _prefix("rnn", rnn), _prefix("head", head)
    check_left_out(parameters, ba=ba, by=by)
    state: Named = {}
    for recurrence in config.recurrences():
        key, own = _torch_keys_of(rnn, recurrence), recurrence.of(parameters)
        for kind, name in _OF_TORCH.items():
            state[key(kind)] = own[name].copy()
        if ba:
            state[key("bias_ih")] = own["ba"].copy()
            state[key("bias_hh")] = recurrent_bias(own)
    state[f"{head}weight"] = parameters["Wya"].copy()
    if by:
        state[f"{head}bias"] = parameters["by"].copy()
    return state


def _torch_keys(state_dict: Any) -> list[str]:
    """The keys, all of them a recurrent module's or an nn.Linear's."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict: expected a mapping of names to arrays, got {type(state_dict).__name__}"
        )
    keys = list(state_dict)
    foreign = [
        key
        for key in keys
        if not isinstance(key, str) or not (_OF_RNN.fullmatch(key) or _OF_LINEAR.fullmatch(key))
    ]
    if foreign:
        raise ValueError(
            "state_dict: expected the weights of an nn.RNN, nn.GRU or nn.LSTM and of an nn.Linear "
            "alone, "
            f"got the unknown {listed(foreign)}"
        )
    return keys


def _prefix_of(what: str, matches: list[Any]) -> str:
    """The prefix, with its dot, of the one module that the keys belong to."""
    prefixes: list[str] = sorted({prefix for prefix, *_ in matches})
    if len(prefixes) != 1:
        came = f"those of {listed(prefixes)}" if prefixes else "none"
        raise ValueError(f"state_dict: expected the weights of one {what}, got {came}")
    return prefixes[0]


def _keys_of_rnn(rnn: str, layers: int, both: bool, biased: bool) -> list[str]:
    return [
        f"{rnn}{kind}_{half}_l{layer}{back}"
        for layer in range(layers)
        for back in (("", "_reverse") if both else ("",))
        for kind in (("weight", "bias") if biased else ("weight",))
        for half in ("ih", "hh")
    ]


def _demand_keys(keys: list[str], of_rnn: list[str], head: str) -> None:
    needed = [*of_rnn, f"{head}weight"]
    missing = [key for key in needed if key not in keys]
    unknown = [key for key in keys if key not in (*needed, f"{head}bias")]
    faults = {"missing": missing, "unknown": unknown}
    if missing or unknown:
        told = "; ".join(f"{fault} {listed(those)}" for fault, those in faults.items() if those)
        raise ValueError(f"state_dict: expected every key of both modules: {told}")


def _prefix(name: str, module: Any) -> str:
    """What the keys of a submodule begin with."""
    if not isinstance(module, str):
        raise TypeError(f"{name}: expected a str, got {validate.shown(module)}")
    return f"{module}." if module else ""


def _torch_keys_of(rnn: str, recurrence: Recurrence) -> Callable[[str], str]:
    """Gives the key of a kind of weight ("weight_hh") of this recurrence."""
    back = "_reverse" if recurrence.reverse else ""
    return lambda kind: f"{rnn}{kind}_l{recurrence.layer}{back}"


def _entry(key: str) -> str:
    return f"state_dict[{key!r}]"
