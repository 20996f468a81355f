"""What a training is, as a dict of names and values: two runs with the same continue each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.losses.base import Objective
from crnn._network.losses.own import Own
from crnn._training.iterable import Batches
from crnn._training.plan import Plan
from crnn._training.ranks import Ranks
from crnn._training.series import Series
from crnn.reference import Array

#: Larger arrays are not read completely: BLOCKS blocks of BLOCK bytes, evenly spread, are.
MOST_BYTES, BLOCKS, BLOCK = 1 << 24, 256, 1 << 16

#: Fields of a Plan that may change when a training goes on.
_FREE = {"epochs", "progress", "callback", "rng", "memory", "checkpoint", "ranks"}
#: The kinds of data, in words.
_KINDS = {
    "Examples": "examples", "Batches": "an iterable of batches", "Grouped": "groups of batches",
    "LongSequence": "symbols alone", "LongSeries": "numbers, or symbols with y, resets or mask",
}  # fmt: skip
_ARGUMENTS = {"weights": "sample_weight", "_start": "a0"}


class OtherTraining(ValueError):
    """A file has the state of another training than the one that was asked for."""

    def __init__(self, path: str, argument: str, expected: object, got: object) -> None:
        expected, got = _shown(expected), _shown(got)
        super().__init__(
            f"{argument}: expected {expected}, as in the training that {path} has, got {got}; "
            "resume=False begins a new one"
        )
        self.path, self.argument, self.expected, self.got = path, argument, expected, got


def fingerprint(data: Any, plan: Plan, loss: Objective) -> dict[str, Any]:
    """Names of arguments, with values that JSON can hold; arrays are represented by a digest.

    Fields of the plan that have their defaults are left out, so that files remain readable when
    `fit` has more arguments.
    """
    found: dict[str, Any] = {"data": type(data).__name__}
    for field in fields(plan):
        value = getattr(plan, field.name)
        if field.name not in _FREE and (field.default is MISSING or value != field.default):
            found[field.name] = _plain(value)
    if isinstance(loss, Own):  # of which the configuration in a file has no more either
        found["loss"] = loss.entry()["own"]
    if not plan.ranks.alone:
        found["shards"] = plan.ranks.shards
    if plan.checkpoint is not None and plan.checkpoint.seed is not None:
        found["rng"] = plan.checkpoint.seed
    return found | dict(_of_data(data, ""))


def require_same(path: str, saved: Any, here: dict[str, Any]) -> None:
    """Raise OtherTraining if two fingerprints are not the same."""
    if not isinstance(saved, dict):
        raise ValueError(f"{path}: the training in this file is damaged: it has no arguments")
    defaults = {f.name: _plain(f.default) for f in fields(Plan) if f.default is not MISSING}
    then, now = defaults | saved, defaults | here
    if "rng" not in saved or "rng" not in here:  # a generator, or None: the file has its state
        then.pop("rng", None)
        now.pop("rng", None)
    for name in [*now, *(then.keys() - now.keys())]:
        before, after = then.get(name), now.get(name)
        if before == after:
            continue
        if name == "data":
            before, after = (_KINDS.get(str(kind), kind) for kind in (before, after))
        if name.startswith("validation ") and None in (before, after):  # one has none at all
            name = "validation"
            before, after = ("none" if a is None else "some" for a in (before, after))
        raise OtherTraining(path, name, before, after)


def require_same_model(path: str, saved: Config, here: Config) -> None:
    """Raise OtherTraining if two models do not have the same configuration."""
    for field in fields(Config):
        then, now = getattr(saved, field.name), getattr(here, field.name)
        if then != now:
            raise OtherTraining(path, field.name, _plain(then), _plain(now))


def _of_data(data: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    """The names of arguments, and what represents their values."""
    if isinstance(data, Sequences):
        for name in ("x", "y", "lengths", "weights", "_start"):
            yield prefix + _ARGUMENTS.get(name, name), _plain(getattr(data, name))
    elif isinstance(data, Batches):
        yield "x", _plain(data.iterable) if isinstance(data.iterable, list) else "an iterable"
        yield "class_weight", _plain(data.class_weight)
        if data.held_out is not None:
            yield from _of_data(data.held_out, "validation ")
    elif isinstance(data, Series):
        yield f"{prefix}batch_size, or the rows of symbols", data.m
        for name in ("symbols", "y", "resets"):
            yield prefix + name, _plain(getattr(data, name))
        masks = [_plain(a) for a in (data.weights, data.seen)]  # depends on resets too
        yield f"{prefix}mask", None if masks == [None, None] else f"{masks[0]}, {masks[1]}"
    elif is_dataclass(data):
        for field in fields(data):
            value = getattr(data, field.name)
            inner = prefix + "validation " if field.name == "held_out" else prefix
            if isinstance(value, (Sequences, Batches)) or is_dataclass(value):
                yield from _of_data(value, inner)
            elif not isinstance(value, (np.random.Generator, Ranks)):
                yield (inner.strip() if inner != prefix else prefix + field.name), _plain(value)


def _plain(value: Any) -> Any:
    """What JSON can hold of a value, the same for the same value in another process."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray):
        return _digest([value])
    if isinstance(value, (list, tuple)) and not all(type(v) in (int, float, str) for v in value):
        return _digest(_arrays_in(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _arrays_in(value: Any) -> list[Any]:
    """Every array in nested lists and tuples."""
    if isinstance(value, (list, tuple)):
        return [a for item in value for a in _arrays_in(item)]
    return [value]


def _digest(arrays: list[Any]) -> str:
    """A digest of arrays: of their dtypes, shapes and contents."""
    sum_ = blake2b(digest_size=16)
    for item in arrays:
        a = np.asarray(item)
        if a.dtype.kind == "O":
            a = np.asarray(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(item)))
        sum_.update(f"{a.dtype.str}{a.shape}".encode())
        for block in _blocks(a):
            sum_.update(block)
    kind = f"{a.dtype} {a.shape}" if len(arrays) == 1 else f"list of {len(arrays)}"
    return f"{kind} with digest {sum_.hexdigest()}"


def _blocks(a: Array) -> Iterable[Any]:
    """The bytes of an array, or blocks of them if it is large."""
    flat = np.ascontiguousarray(a).reshape(-1).view(np.uint8)
    if flat.size <= MOST_BYTES:
        return [flat.data]
    starts = np.linspace(0, flat.size - BLOCK, BLOCKS).astype(np.intp)
    return [flat[i : i + BLOCK].data for i in starts]


def _shown(value: object) -> str:
    """A value in one line: a file may have anything in its place."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 100 else f"{text[:100]}..."
