"""The arguments of training about the file that it can be resumed from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from crnn._atomic import check_writable
from crnn._engine import validate

Every = str | int | timedelta


@dataclass(frozen=True)
class Checkpoint:
    """The arguments `checkpoint`, `every` and `resume`, checked."""

    path: str
    every: Every
    source: str | None  # the file to continue from; None begins a new training
    in_place: bool  # whether that file is this one
    seed: int | None  # the argument rng, if it is a number

    @classmethod
    def asked(cls, checkpoint: Any, every: Any, resume: Any, rng: Any) -> Checkpoint | None:
        """The request, or None without a file. Raises ValueError, TypeError, OSError."""
        every = _interval(every)
        if not isinstance(resume, (bool, str, os.PathLike)):
            raise TypeError(f"resume: expected True, False or a path, got {validate.shown(resume)}")
        if checkpoint is None:
            for name, value, default in (("every", every, "epoch"), ("resume", resume, True)):
                if value != default:
                    raise ValueError(
                        f"{name}: expected {default!r} without checkpoint, got {value!r}"
                    )
            return None
        try:
            check_writable(checkpoint)
        except (TypeError, ValueError) as error:
            raise type(error)(f"checkpoint: {str(error).removeprefix('path: ')}") from None
        except OSError as error:
            raise _named("checkpoint", error) from None
        path = os.fsdecode(checkpoint)
        source: str | None = None
        if not isinstance(resume, bool):
            source = os.fsdecode(resume)
            try:
                os.stat(source)
            except OSError as error:
                raise _named("resume", error) from None
        elif resume and os.path.exists(path):
            source = path
        found = source is not None and os.path.exists(path)
        in_place = found and os.path.samefile(str(source), path)
        seed = int(rng) if isinstance(rng, (int, np.integer)) else None
        return cls(path, every, source, in_place, seed)


def _named(argument: str, error: OSError) -> OSError:
    """The error with the argument's name."""
    return type(error)(error.errno, f"{argument}: {error.strerror}", error.filename)


def _interval(every: Any) -> Every:
    if isinstance(every, timedelta):
        if every <= timedelta(0):
            raise ValueError(f"every: expected a timedelta above 0, got {every}")
        return every
    if isinstance(every, str):
        if every != "epoch":
            raise ValueError(
                f"every: expected 'epoch', a number of steps or a timedelta, got {every!r}"
            )
        return every
    return validate.count("every", every)
