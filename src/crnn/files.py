"""Models in safetensors files: parameters by name, the configuration in the header.

The header's metadata has one entry, "crnn": JSON with the format's number, the configuration and
the model's own metadata. A file is read as data and nothing in it is ever executed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from crnn.config import Config
from crnn.reference import Array

FORMAT = 1
_DTYPES = {"float32": "F32", "float64": "F64"}


def save(
    path: str | os.PathLike[str],
    config: Config,
    parameters: Mapping[str, Array],
    metadata: Mapping[str, str],
) -> None:
    """Write the whole file under a temporary name beside `path`, then rename it."""
    from safetensors.numpy import save as to_bytes

    header = {"format": FORMAT, "config": asdict(config), "metadata": dict(metadata)}
    content = to_bytes(dict(parameters), {"crnn": json.dumps(header)})
    target = Path(os.path.realpath(path))  # a link stays a link, to the new file
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def load(path: str | os.PathLike[str]) -> tuple[Config, dict[str, Array], dict[str, str]]:
    """Configuration, parameters and metadata of a file that `save` wrote.

    Raises ValueError where the file is anything else, and OSError where it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # a missing file or a folder is Python's own error
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            header = _header(file.metadata())
            config = _config(header["config"])
            # Every tensor's size is checked before any memory is taken.
            names = list(file.keys())
            _check_tensors(config, {name: file.get_slice(name) for name in names})
            parameters = {name: file.get_tensor(name) for name in config.shapes()}
    except (
        SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
        OverflowError,
    ) as error:
        raise ValueError(f"{os.fspath(path)}: not a model of crnn's, or damaged: {error}") from None
    return config, parameters, header["metadata"]


def _header(metadata: dict[str, str] | None) -> dict[str, Any]:
    header = json.loads((metadata or {}).get("crnn", "null"))
    if not isinstance(header, dict):
        raise ValueError("its header has no 'crnn' entry")
    if header.get("format") != FORMAT:
        raise ValueError(f"format {header.get('format')!r}, and this version reads {FORMAT}")
    own = header.get("metadata")
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        raise ValueError("its metadata are not strings")
    return header


def _config(values: Any) -> Config:
    names = [field.name for field in fields(Config)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise ValueError(f"its configuration does not have the entries {', '.join(names)}")
    return Config(**values)


def _check_tensors(config: Config, tensors: dict[str, Any]) -> None:
    # Counted first: shapes() of a hostile num_layers would take for ever.
    if len(tensors) != config.num_parameter_arrays or set(tensors) != set(config.shapes()):
        raise ValueError("its tensors are not those of its configuration")
    for name, shape in config.shapes().items():
        tensor = tensors[name]
        if tuple(tensor.get_shape()) != shape or tensor.get_dtype() != _DTYPES[config.dtype]:
            raise ValueError(
                f"{name}: expected {config.dtype} of shape {shape}, "
                f"got {tensor.get_dtype()} of shape {tuple(tensor.get_shape())}"
            )
