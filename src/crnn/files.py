"""Models in safetensors files: parameters by name, the configuration in the header.

The header's metadata has one entry, "crnn": JSON with the format's number, the configuration and
the model's own metadata. A file is read as data and nothing in it is ever executed.

Versions of crnn read each other's files. A configuration without a field has the field's default,
and a field that 0.1.0 did not have is written only if its value is not the default. So an older
crnn reads every model that does not need the new field, and refuses the others by its name.

A file can hold the state of a training too: the header's entry "training", and tensors whose names
begin with "training.". `load` reads the model of such a file and skips the rest. Versions of crnn
that do not know the entry refuse the file, because of its additional tensors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any, NamedTuple

from crnn._atomic import check_writable, regular_mode, spelled, write
from crnn._engine.validate import shown
from crnn._network.config import Config
from crnn._network.losses import UnknownLossError
from crnn._words import one_line
from crnn.reference import Array

__all__ = [
    "FORMAT", "PATTERNS", "Training", "check_entries", "check_writable", "load", "load_training",
    "save", "write",
]  # fmt: skip

FORMAT = 1
_DTYPES = {"float32": "F32", "float64": "F64"}
#: The fields of a configuration that are arrays by the names of weights, and their dtypes.
PATTERNS = {"masks": "BOOL", "signs": "I8"}
#: The names of tensors that belong to the state of a training begin with this.
TRAINING = "training."


class Training(NamedTuple):
    """The state of a training as a file holds it.

    Attributes
    ----------
    entry : dict
        Of the header: what JSON can hold.
    tensors : dict of str to array
        By their names in the file without "training.".

    Examples
    --------
    >>> from crnn.files import Training
    >>> Training({"steps": 3}, {}).entry
    {'steps': 3}
    """

    entry: dict[str, Any]
    tensors: dict[str, Array]


def save(
    path: str | os.PathLike[str],
    config: Config,
    parameters: Mapping[str, Array],
    metadata: Mapping[str, str],
    training: Training | None = None,
) -> None:
    """Write a model, and perhaps the state of its training, completely or not at all: see `write`.

    Parameters
    ----------
    path : path
    config : Config
    parameters : dict of str to array
        Of the shapes and dtype that the configuration says.
    metadata : dict of str to str
    training : Training, optional

    Raises
    ------
    TypeError
        If metadata are not strings.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile, crnn
    >>> model = crnn.RNN(2, 3, 4, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     crnn.files.save(path, model.config, model.parameters, {"by": "hand"})
    ...     crnn.load(path).metadata
    {'by': 'hand'}
    """
    from safetensors.numpy import save as to_bytes

    entries = config.entries()
    tensors = dict(parameters)
    for field in PATTERNS:
        if field in entries:  # the header has their names, and tensors have the arrays
            tensors |= {f"{field}.{name}": a for name, a in entries[field].items()}
            entries[field] = list(entries[field])
    header: dict[str, Any] = {
        "format": FORMAT,
        "config": entries,
        "metadata": _strings(metadata),
    }
    if training is not None:
        header["training"] = training.entry
        tensors |= {TRAINING + name: a for name, a in training.tensors.items()}
    write(path, to_bytes(tensors, {"crnn": json.dumps(header)}))


def check_entries(values: Any) -> dict[str, Any]:
    """The fields of a configuration as a file has them, some of which may be missing.

    Parameters
    ----------
    values : anything that JSON can hold

    Returns
    -------
    dict
        The same.

    Raises
    ------
    ValueError
        If it is not a mapping, or has a field that this version does not know.

    Examples
    --------
    >>> from crnn.files import check_entries
    >>> check_entries({"n_x": 2, "gates": 5})
    Traceback (most recent call last):
        ...
    ValueError: its configuration has 'gates': it needs a newer crnn
    """
    if not isinstance(values, dict):
        raise ValueError("its configuration is not a mapping of names to values")
    unknown = values.keys() - {field.name for field in fields(Config)}
    if unknown:
        raise ValueError(f"its configuration has {_listed(unknown)}: it needs a newer crnn")
    return values


def _strings(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata: expected a dict of strings, got {metadata!r}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata: expected strings by strings, got {key!r}: {value!r}")
    return dict(metadata)


def load(
    path: str | os.PathLike[str], loss: Any = None
) -> tuple[Config, dict[str, Array], dict[str, str]]:
    """Configuration, parameters and metadata of a file that `save` wrote.

    Parameters
    ----------
    path : path
    loss : object or callable, optional
        That of a model with a loss of the user's, of which a file has only the name; other models
        have their own.

    Returns
    -------
    config : Config
    parameters : dict of str to array
    metadata : dict of str to str

    Raises
    ------
    ValueError
        If the file is not a model, or damaged.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import os, tempfile, crnn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     crnn.RNN(2, 3, 4, rng=0).save(path)
    ...     config, parameters, metadata = crnn.files.load(path)
    >>> config.n_a, parameters["Waa"].shape
    (3, (3, 3))
    """
    return _read(path, loss, with_training=False)[:3]


def load_training(
    path: str | os.PathLike[str], loss: Any = None
) -> tuple[Config, dict[str, Array], dict[str, str], Training | None]:
    """What `load` returns, and the state of the training if the file has one.

    Parameters
    ----------
    path, loss
        As for `load`.

    Returns
    -------
    config, parameters, metadata
        As of `load`.
    training : Training or None

    Raises
    ------
    ValueError, OSError
        As by `load`.

    Examples
    --------
    >>> import os, tempfile, numpy as np, crnn
    >>> model, x, y = crnn.RNN(2, 3, 4, rng=0), np.ones((5, 8, 2)), np.zeros(8, dtype=int)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "training.safetensors")
    ...     _ = model.fit(x, y, epochs=2, checkpoint=path, progress=False, rng=0)
    ...     training = crnn.files.load_training(path)[3]
    >>> sorted(training.entry)
    ['arguments', 'state', 'version']
    """
    return _read(path, loss, with_training=True)


def _read(
    path: Any, loss: Any, with_training: bool
) -> tuple[Config, dict[str, Array], dict[str, str], Training | None]:
    from safetensors import SafetensorError, safe_open

    path = spelled(path)
    regular_mode(path, path)
    with open(path, "rb"):  # a file that may not be read raises Python's own error
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            header = _header(file.metadata())
            config, patterns = _config(header.get("config"), loss)
            names, training = list(file.keys()), None
            if "training" in header:
                own = [name for name in names if name.startswith(TRAINING)]
                names = [name for name in names if not name.startswith(TRAINING)]
                if with_training:
                    of = {name.removeprefix(TRAINING): file.get_tensor(name) for name in own}
                    training = Training(header["training"], of)
            # Every tensor's size is checked before memory is allocated.
            _check_tensors(config, patterns, {name: file.get_slice(name) for name in names})
            parameters = {name: file.get_tensor(name) for name in config.shapes()}
            read: dict[str, Any] = {
                field: {name: file.get_tensor(f"{field}.{name}") for name in named}
                for field, named in patterns.items()
            }
            config = replace(config, **read) if read else config
    except UnknownLossError as error:
        raise ValueError(f"{path}: {one_line(error)}") from None
    except (
        SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
        OverflowError,
    ) as error:
        raise ValueError(f"{path}: not a model of crnn's, or damaged: {one_line(error)}") from None
    return config, parameters, header.get("metadata", {}), training


def _header(metadata: dict[str, str] | None) -> dict[str, Any]:
    header = json.loads((metadata or {}).get("crnn", "null"))
    if not isinstance(header, dict):
        raise ValueError("its header has no 'crnn' entry")
    number = header.get("format")
    if type(number) is not int or number != FORMAT:  # True and 1.0 are equal to 1
        raise ValueError(f"format {number!r}, and this version reads {FORMAT}")
    own = header.get("metadata", {})
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        raise ValueError("its metadata are not strings")
    return header


def _config(values: Any, loss: Any) -> tuple[Config, dict[str, list[str]]]:
    """The configuration without its patterns, and the names of the weights that have some."""
    values = dict(check_entries(values))
    entry = values.get("loss", Config.loss)
    if not isinstance(entry, (str, dict)):
        raise ValueError(f"loss: expected a name, got {shown(entry)}")
    if loss is not None and isinstance(entry, dict) and set(entry) == {"own"}:
        values["loss"] = loss
    patterns = {field: values.pop(field, None) for field in PATTERNS}
    patterns = {field: names for field, names in patterns.items() if names is not None}
    for field, names in patterns.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{field}: expected a list of names, got {shown(names)}")
    missing = [f.name for f in fields(Config) if f.default is MISSING and f.name not in values]
    if missing:
        raise ValueError(f"its configuration lacks {_listed(missing)}")
    dtype = values.get("dtype", Config.dtype)
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
    return Config(**values), patterns


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


def _check_tensors(config: Config, patterns: dict[str, list[str]], tensors: dict[str, Any]) -> None:
    # The count is compared first: shapes() of a huge num_layers would take very long.
    extra = {f"{field}.{name}": field for field, names in patterns.items() for name in names}
    if len(tensors) != config.num_parameter_arrays + len(extra):
        raise ValueError("its tensors are not those of its configuration")
    shapes = config.shapes()
    wanted = {name: (config.dtype, _DTYPES[config.dtype], shape) for name, shape in shapes.items()}
    for name, field in extra.items():
        shape = shapes.get(name.removeprefix(f"{field}."), ())
        wanted[name] = (PATTERNS[field], PATTERNS[field], shape)
    if set(tensors) != set(wanted):
        raise ValueError("its tensors are not those of its configuration")
    for name, (shown_as, dtype, shape) in wanted.items():
        tensor = tensors[name]
        if tuple(tensor.get_shape()) != shape or tensor.get_dtype() != dtype:
            raise ValueError(
                f"{name}: expected {shown_as} of shape {shape}, "
                f"got {tensor.get_dtype()} of shape {tuple(tensor.get_shape())}"
            )
