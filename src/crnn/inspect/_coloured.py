"""Tokens coloured by a number each: for a terminal, as HTML, or with digits below them.

The colours go from white to one dark blue, so that their order shows in grey and to colour-blind
people. Both texts, black on light and white on dark, have a contrast of at least 4.5, which the Web
Content Accessibility Guidelines ask for.
"""

from __future__ import annotations

import html as escaping
import os
import sys
import unicodedata
from collections.abc import Sequence

import numpy as np

from crnn.reference import Array

WIDTH = 80  # of a line with digits below it

#: From white to dark blue: the sequential scheme "Blues" of C. Brewer, https://colorbrewer2.org.
SCALE = (
    "#ffffff", "#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5",
    "#08519c", "#08306b",
)  # fmt: skip
WHITE_FROM = 7  # the first of them that needs white text

RESET = "\x1b[0m"


def printable(token: str) -> str:
    """The token with control characters replaced by their pictures (U+2400 and after)."""
    return "".join(_picture(c) if unicodedata.category(c)[0] == "C" else c for c in token)


def _picture(c: str) -> str:
    code = ord(c)
    if code < 32:
        return chr(0x2400 + code)
    return "\u2421" if code == 127 else "\ufffd"


def wanted() -> bool:
    """Whether standard output is a terminal that shows colours: see https://no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def levels(values: Array) -> Array:
    """Each value as a whole number from 0 to 9, in proportion to the largest finite one.

    Infinity is 9, and NaN 0.
    """
    largest = values.max(initial=0, where=np.isfinite(values))
    shares = values / (largest or 1.0)
    found: Array = np.nan_to_num(shares, nan=0, posinf=1).clip(0, 1)
    return (found * 9).round().astype(np.intp)


def terminal(tokens: Sequence[str], values: Array) -> str:
    """The tokens on coloured ground, for a terminal with 24-bit colours."""
    parts, before = [], None
    for token, level in zip(tokens, levels(values).tolist(), strict=True):
        if level != before:
            red, green, blue = bytes.fromhex(SCALE[level][1:])
            text = "97" if level >= WHITE_FROM else "30"
            parts.append(f"\x1b[{text};48;2;{red};{green};{blue}m")
            before = level
        parts.append(token)
    return "".join(parts) + RESET


def html(tokens: Sequence[str], values: Array) -> str:
    """The tokens on coloured ground as one <div>."""
    spans = [
        f'<span title="{value:.3g}" style="background:{SCALE[level]};'
        f'color:{"#ffffff" if level >= WHITE_FROM else "#000000"}">{escaping.escape(token)}</span>'
        for token, level, value in zip(tokens, levels(values), values, strict=True)
    ]
    style = "font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<div style="{style}">{"".join(spans)}</div>'


def digits(tokens: Sequence[str], values: Array) -> str:
    """The tokens in lines of WIDTH, each above a line of digits; a token's digit is its level."""
    lines, above, below = [], "", ""
    for token, level in zip(tokens, levels(values).tolist(), strict=True):
        if above and len(above) + len(token) > WIDTH:
            lines += [above, below]
            above, below = "", ""
        above += token
        below += str(level) * len(token)
    return "\n".join([*lines, above, below])
