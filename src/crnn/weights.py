"""A model's parameters to and from the weights of other libraries, which are not imported.

torch's `nn.RNN` and `nn.Linear` have the same matrices under their own names, and two biases that
are added. Keras' `SimpleRNN` and `Dense` have them transposed, in a list. Neither says which
activation or loss they are used with, or whether there is an answer at every step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import DIRECTIONS, Config, Recurrence
from crnn.reference import Array

Named = dict[str, Array]

# torch's keys, after the names of the modules around: "module.rnn.weight_hh_l0".
_OF_RNN = re.compile(r"((?:.*\.)?)(weight|bias)_(?:ih|hh)_l([0-9]+)(_reverse)?")
_OF_LINEAR = re.compile(r"((?:.*\.)?)(weight|bias)")

_OF_TORCH = {"weight_ih": "Wax", "weight_hh": "Waa"}
_IN_KERAS_ORDER = ("Wax", "Waa", "ba")


def from_torch(state_dict: Any, dtype: Any, **choices: str) -> tuple[Config, Named]:
    """Configuration and parameters of an `nn.RNN` and an `nn.Linear`, with any prefixes."""
    keys = _torch_keys(state_dict)
    recurrent = [match.groups() for match in map(_OF_RNN.fullmatch, keys) if match]
    linear = [match.groups() for match in map(_OF_LINEAR.fullmatch, keys) if match]
    rnn, head = _prefix_of("nn.RNN", recurrent), _prefix_of("nn.Linear", linear)
    layers = len({layer for _, _, layer, _ in recurrent})  # counted: a number may be anything
    both = any(back for *_, back in recurrent)
    biased = any(kind == "bias" for _, kind, *_ in recurrent)
    _demand_keys(keys, _keys_of_rnn(rnn, layers, both, biased), head)
    given = {key: validate.plain(_entry(key), state_dict[key]) for key in keys}

    Wax, Waa, Wya = (
        _matrix(_entry(key), given[key])
        for key in (f"{rnn}weight_ih_l0", f"{rnn}weight_hh_l0", f"{head}weight")
    )
    direction = "bidirectional" if both else "forward"
    config = Config(
        Wax.shape[1], Waa.shape[1], len(Wya), layers, direction,
        dtype=_dtype(given.values(), dtype), **choices,
    )  # fmt: skip
    shapes = config.shapes()

    def read(key: str, name: str) -> Array:
        return _read(_entry(key), given[key], name, shapes[name])

    parameters: Named = {}
    for recurrence in config.recurrences():
        key = _torch_keys_of(rnn, recurrence)
        for kind, name in _OF_TORCH.items():
            name += recurrence.suffix
            parameters[name] = read(key(kind), name)
        if biased:
            ba = "ba" + recurrence.suffix
            halves = (read(key(kind), ba) for kind in ("bias_ih", "bias_hh"))
            parameters[ba] = np.add(*halves, dtype=np.float64)  # rounded once
    parameters["Wya"] = read(f"{head}weight", "Wya")
    if f"{head}bias" in given:
        parameters["by"] = read(f"{head}bias", "by")
    return config, parameters


def to_torch(config: Config, parameters: Named, rnn: Any, head: Any, ba: Any, by: Any) -> Named:
    """A state dict of arrays. torch's first bias is ba and its second is zero."""
    if config.direction == "reverse":
        raise ValueError(
            "to_torch_state_dict: expected a model with direction 'forward' or 'bidirectional', "
            "got 'reverse': no nn.RNN reads right to left alone"
        )
    rnn, head = _prefix("rnn", rnn), _prefix("head", head)
    _check_left_out(parameters, ba=ba, by=by)
    state: Named = {}
    for recurrence in config.recurrences():
        key, own = _torch_keys_of(rnn, recurrence), recurrence.of(parameters)
        for kind, name in _OF_TORCH.items():
            state[key(kind)] = own[name].copy()
        if ba:
            state[key("bias_ih")] = own["ba"].copy()
            state[key("bias_hh")] = np.zeros_like(own["ba"])
    state[f"{head}weight"] = parameters["Wya"].copy()
    if by:
        state[f"{head}bias"] = parameters["by"].copy()
    return state


def from_keras(weights: Any, direction: Any, dtype: Any, **choices: str) -> tuple[Config, Named]:
    """Configuration and parameters of `SimpleRNN` layers and a `Dense`, as `get_weights` lists."""
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
        _matrix(f"weights[{i}]", given[i]) for i in (cells[0].start, cells[0].start + 1, head.start)
    )
    config = Config(
        kernel.shape[0], recurrent_kernel.shape[0], dense.shape[1],
        len(cells) // directions, direction, dtype=_dtype(given, dtype), **choices,
    )  # fmt: skip
    shapes = config.shapes()
    parameters: Named = {}

    def read(place: slice, *names: str) -> None:
        places = range(place.start, place.stop)
        for i, name in zip(places, names, strict=False):  # the bias may be left out
            parameters[name] = _read(f"weights[{i}]", given[i], name, shapes[name][::-1]).T

    for recurrence, place in zip(config.recurrences(), cells, strict=True):
        read(place, *(name + recurrence.suffix for name in _IN_KERAS_ORDER))
    read(head, "Wya", "by")
    return config, parameters


def to_keras(config: Config, parameters: Named, ba: Any, by: Any) -> list[Array]:
    """The list that `set_weights` takes."""
    _check_left_out(parameters, ba=ba, by=by)
    names = [
        name + recurrence.suffix
        for recurrence in config.recurrences()
        for name in _IN_KERAS_ORDER
        if ba or name != "ba"
    ]
    names += ("Wya", "by") if by else ("Wya",)
    return [parameters[name].T.copy() for name in names]


def _torch_keys(state_dict: Any) -> list[str]:
    """The keys, all of them an nn.RNN's or an nn.Linear's."""
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
            "state_dict: expected the weights of an nn.RNN and of an nn.Linear alone, "
            f"got the unknown {_these(foreign)}"
        )
    return keys


def _prefix_of(what: str, matches: list[Any]) -> str:
    """The prefix, with its dot, of the one module that the keys belong to."""
    prefixes: list[str] = sorted({prefix for prefix, *_ in matches})
    if len(prefixes) != 1:
        came = f"those of {_these(prefixes)}" if prefixes else "none"
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
        told = "; ".join(f"{fault} {_these(those)}" for fault, those in faults.items() if those)
        raise ValueError(f"state_dict: expected every key of an nn.RNN and an nn.Linear: {told}")


def _keras_layout(given: list[Array]) -> list[slice]:
    """The positions of each recurrence's arrays, and last those of the Dense layer."""
    # Matrices and biases by their number of axes: 221 a recurrence and 21 at the end, or 22 and 2.
    axes = "".join(str(a.ndim) if a.ndim in (1, 2) else "?" for a in given)
    if not re.fullmatch("(221?)+21?", axes):
        raise ValueError(
            "weights: expected kernel, recurrent_kernel and perhaps bias of each recurrence, then "
            "kernel and perhaps bias of a Dense layer, "
            f"got arrays of shapes {', '.join(str(a.shape) for a in given)}"
        )
    return [slice(*match.span()) for match in re.finditer("221?|21?", axes)]


def _matrix(what: str, a: Array) -> Array:
    if a.ndim != 2 or not a.size:
        raise ValueError(f"{what}: expected a matrix of numbers, got {validate.described(a)}")
    return a


def _read(what: str, a: Array, name: str, shape: tuple[int, ...]) -> Array:
    if a.dtype.kind != "f" or a.shape != shape:
        error = ValueError if a.dtype.kind == "f" else TypeError
        raise error(
            f"{what}: expected floats of shape {shape}, for {name}, got {validate.described(a)}"
        )
    return a


def _dtype(given: Iterable[Array], dtype: Any) -> Any:
    """The requested dtype, or the one that all weights have."""
    if dtype is not None:
        return dtype
    names = sorted({a.dtype.name for a in given})
    if names not in (["float32"], ["float64"]):
        raise TypeError(
            f"dtype: expected float32 or float64 to be asked for, the weights are {_these(names)}"
        )
    return names[0]


def _check_left_out(parameters: Named, **kept: Any) -> None:
    """A bias may be left out only if it is zero."""
    for bias, keep in kept.items():
        if not validate.flag(bias, keep):
            for name, value in parameters.items():
                if name.startswith(bias) and value.any():
                    raise ValueError(f"{bias}: expected True, since {name} is not zero, got False")


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


def _these(keys: list[Any]) -> str:
    return ", ".join(map(repr, keys))
