"""Models in safetensors files: parameters by name, the configuration in the header.

The header's metadata has one entry, "crnn": JSON with the format's number, the configuration and
the model's own metadata. A file is read as data and nothing in it is ever executed.

Versions of crnn read each other's files. A configuration without a field has the field's default,
and a field that 0.1.0 did not have is written only if its value is not the default. So an older
crnn reads every model that does not need the new field, and refuses the others by its name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

from crnn._engine.validate import shown
from crnn._network.config import Config
from crnn.reference import Array

FORMAT = 1
_DTYPES = {"float32": "F32", "float64": "F64"}
#: The fields of a configuration that are arrays by the names of weights, and their dtypes.
PATTERNS = {"masks": "BOOL", "signs": "I8"}


def save(
    path: str | os.PathLike[str],
    config: Config,
    parameters: Mapping[str, Array],
    metadata: Mapping[str, str],
) -> None:
    """Write a model's file completely or not at all: see `write`.

    Raises TypeError if metadata are not strings.
    """
    from safetensors.numpy import save as to_bytes

    entries = config.entries()
    tensors = dict(parameters)
    for field in PATTERNS:
        if field in entries:  # the header has their names, and tensors have the arrays
            tensors |= {f"{field}.{name}": a for name, a in entries[field].items()}
            entries[field] = list(entries[field])
    header = {"format": FORMAT, "config": entries, "metadata": _strings(metadata)}
    write(path, to_bytes(tensors, {"crnn": json.dumps(header)}))


def check_entries(values: Any) -> dict[str, Any]:
    """The fields of a configuration, some of which may be missing; raises ValueError."""
    if not isinstance(values, dict):
        raise ValueError("its configuration is not a mapping of names to values")
    unknown = values.keys() - {field.name for field in fields(Config)}
    if unknown:
        raise ValueError(f"its configuration has {_listed(unknown)}: it needs a newer crnn")
    return values


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a whole file under a temporary name beside `path`, then rename it.

    An existing file's permissions are kept. Raises OSError if `path` cannot be written, and leaves
    what is there unchanged.
    """
    with replaced(path) as file:
        file.write(content)


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file under a temporary name beside `path`, which takes its place at the end: see `write`.

    If anything fails, what is at `path` is left unchanged.
    """
    target, mode = _target(path)
    with _renamed_to(target, mode) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise what `save` would raise for this path, without changing what is there."""
    target, mode = _target(path)
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
    temporary, file = _new_file_beside(target)
    file.close()
    temporary.unlink()


def _strings(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata: expected a dict of strings, got {metadata!r}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata: expected strings by strings, got {key!r}: {value!r}")
    return dict(metadata)


def _spelled(path: Any) -> str:
    """A path as text, and never an integer: `open` would take it as a file descriptor."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"path: expected a path, got {shown(path)}") from None
    if "\0" in text:
        raise ValueError(f"path: expected no null character, got {shown(text)}")
    return text


def _target(path: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """The file that a path leads to, and its permissions if it exists."""
    target = Path(
        os.path.realpath(_spelled(path))
    )  # a symbolic link stays, and leads to the new file
    try:
        mode = _regular_mode(target, path)
    except FileNotFoundError:
        return target, None
    return target, stat.S_IMODE(mode)


def _regular_mode(file: str | Path, path: str | os.PathLike[str]) -> int:
    """A file's mode; OSError, with the path that the caller gave, if it is a device or a pipe.

    Those can neither be mapped into memory nor replaced, and opening a pipe waits for its writer.
    """
    mode = os.stat(file).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
    return mode


def _new_file_beside(target: Path) -> tuple[Path, BinaryIO]:
    """A new file, open for writing, with the permissions that the umask gives.

    (tempfile's would be 0600, and the umask cannot be read without setting it.)
    """
    temporary = target.with_name(f".crnn-{secrets.token_hex(8)}.tmp")
    try:
        return temporary, open(temporary, "xb")
    except OSError as error:
        # Report the name that the caller knows.
        raise type(error)(error.errno, error.strerror, str(target)) from None


@contextlib.contextmanager
def _renamed_to(target: Path, mode: int | None) -> Iterator[BinaryIO]:
    """A new file that replaces the target at the end, or is deleted if anything fails."""
    temporary, file = _new_file_beside(target)
    try:
        with file:
            if mode is not None:
                os.chmod(temporary, mode)
            yield file
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            # Such as "no space left": report the name that the caller knows.
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise


def load(path: str | os.PathLike[str]) -> tuple[Config, dict[str, Array], dict[str, str]]:
    """Configuration, parameters and metadata of a file that `save` wrote.

    Raises ValueError if the file is anything else, and OSError if it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = _spelled(path)
    _regular_mode(path, path)
    with open(path, "rb"):  # a file that may not be read raises Python's own error
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            header = _header(file.metadata())
            config, patterns = _config(header.get("config"))
            # Every tensor's size is checked before memory is allocated.
            names = list(file.keys())
            _check_tensors(config, patterns, {name: file.get_slice(name) for name in names})
            parameters = {name: file.get_tensor(name) for name in config.shapes()}
            read: dict[str, Any] = {
                field: {name: file.get_tensor(f"{field}.{name}") for name in named}
                for field, named in patterns.items()
            }
            config = replace(config, **read) if read else config
    except (
        SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
        OverflowError,
    ) as error:
        raise ValueError(f"{path}: not a model of crnn's, or damaged: {error}") from None
    return config, parameters, header.get("metadata", {})


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


def _config(values: Any) -> tuple[Config, dict[str, list[str]]]:
    """The configuration without its patterns, and the names of the weights that have some."""
    values = dict(check_entries(values))
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
