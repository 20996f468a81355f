"""What options accept: parsers of their values, whose errors say what was expected."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from crnn._engine.validate import LARGEST
from crnn._network.initial import MOST_SCALE


def _whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """A parser of whole numbers in least..most."""

    def read(text: str) -> int:
        try:
            n = int(text)
        except ValueError:
            n = least - 1
        if not least <= n <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number in {least}..{most}, got {text!r}"
            )
        return n

    return read


def _number(what: str, accepts: Callable[[float], bool]) -> Callable[[str], float]:
    """A parser of finite numbers that `accepts` is true for."""

    def read(text: str) -> float:
        try:
            x = float(text)
        except ValueError:
            x = math.nan
        if not (math.isfinite(x) and accepts(x)):
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return x

    return read


def _listed(read: Callable[[str], int]) -> Callable[[str], list[int]]:
    """A parser of several numbers with commas between them."""
    return lambda text: [read(part) for part in text.split(",")]


def named(text: str) -> str:
    """Parse the name of a file.

    In other programs "-" is standard input or output. A model needs a file that can be read at any
    position and replaced as a whole.
    """
    if text in ("", "-"):
        hint = " (./- is a file of that name)" if text else ""
        raise argparse.ArgumentTypeError(f"expected the name of a file, got {text!r}{hint}")
    return text


COUNT = _whole(1)
COUNT_OR_0 = _whole(0)
SEED = _whole(0, 2**64 - 1)
ABOVE_0 = _number("a finite number > 0", lambda x: x > 0)
NOT_BELOW_0 = _number("a finite number >= 0", lambda x: x >= 0)
SHARE = _number("a share in (0, 1)", lambda x: 0 < x < 1)
LEAK = _number("a number in (0, 1]", lambda x: 0 < x <= 1)
LENGTHS = _listed(COUNT)
SCALE = _number(f"a number > 0 and < {MOST_SCALE:g}", lambda x: 0 < x < MOST_SCALE)
DECAY = _number("a number in [0, 1)", lambda x: 0 <= x < 1)
