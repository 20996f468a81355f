"""Draw the pictures of speed in docs/ from the JSON files in bench/results; see bench/tables.py.

    python bench/tables.py            # draws those whose figures have changed

Every picture is an SVG without a background, in colours that can be read on white and on black. It
carries a digest of the figures it was drawn from, so that a check need not draw it again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from kept import LIBRARIES, report, title
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

GREY = "#808080"  # has a contrast of 3.9 on white, and of 4.7 on furo's black
COLOURS = {
    "fastest other": "#e07b39", "torch": "#4c8fd6", "jax": "#3da35d", "onnxruntime": "#b07cc6",
    "onednn": "#e07b39", "keras": "#d65f8e", "numpy": "#a8870a",
}  # fmt: skip
NAMES = {"fastest other": "fastest other library", **LIBRARIES}
#: Shapes of the picture in the README: one of each kind.
FEW = [
    "10x1x32x32", "100x1x32x32", "100x1x128x128", "100x1x512x512", "100x16x64x64", "1000x32x64x64",
    "100x32x128x128", "100x32x256x256", "50x64x512x512", "100x64x512x512",
]  # fmt: skip
STYLE = {
    "svg.hashsalt": "crnn", "svg.fonttype": "path", "font.size": 9, "text.color": GREY,
    "axes.edgecolor": GREY, "axes.labelcolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
}  # fmt: skip


def speed():
    """Dots (panel, shape, library, filled, ratio) of every cell on one thread.

    A filled dot is training, a hollow one forward alone.
    """
    dots = []
    for row in (*report("vanilla_avx512").rows, *report("gated_avx512").rows):
        name = _shape(row)
        if row.threads == 1 and name in FEW:
            for library, peer in (("fastest other", row.best), ("torch", "torch")):
                training = row.operation == "training"
                dots.append((title(row.case.cell), name, library, training, row.ratio(peer)))
    return dots


def speed_vanilla():
    """Dots of the vanilla cell beside each library at every shape: see `_beside_each`."""
    return _beside_each("vanilla_avx512")


def speed_peers():
    """Dots of GRU and LSTM beside each library: see `_beside_each`."""
    return _beside_each("gated_avx512")


def _beside_each(name):
    """Dots (panel, shape, library, filled, ratio): filled is one thread, hollow two."""
    return [
        (f"{title(row.case.cell)}, {row.operation}", _shape(row), library, row.threads == 1,
         row.ratio(library))
        for row in report(name).rows
        for library in row.theirs
    ]  # fmt: skip


def _shape(row):
    return row.case.name.split()[-1]


def _work(name):
    """The multiplications of a forward pass: the order of shapes on a picture."""
    T, m, n_x, n_a = map(int, name.split("x"))
    return T * m * n_a * (n_x + n_a)


@dataclass(frozen=True)
class Picture:
    """A file in docs/: where its dots come from, and how they are drawn."""

    dots: Callable
    kinds: tuple[str, str]  # what a filled dot and a hollow one are
    one_scale: bool  # for all panels


PICTURES = {
    "speed.svg": Picture(speed, ("training", "forward"), one_scale=True),
    "speed_vanilla.svg": Picture(speed_vanilla, ("1 thread", "2 threads"), one_scale=True),
    "speed_peers.svg": Picture(speed_peers, ("1 thread", "2 threads"), one_scale=False),
}


def digest(dots):
    """What a picture of these dots carries."""
    rounded = [(*dot[:-1], f"{dot[-1]:.3g}") for dot in dots]
    return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()[:16]


def is_current(path, dots):
    """Whether a picture exists and was drawn from these dots."""
    return path.exists() and f"figures {digest(dots)}" in path.read_text(encoding="utf-8")


def draw(path, dots, picture):
    """Draw dots on a logarithmic axis, a panel beside the other: right of 1 crnn is faster."""
    panels = list(dict.fromkeys(panel for panel, *_ in dots))
    shapes = sorted(dict.fromkeys(name for _, name, *_ in dots), key=_work)
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 1.35 + 0.25 * len(shapes)), layout="constrained")
        all_axes = figure.subplots(1, len(panels), sharex=picture.one_scale, sharey=True)
        for axes, title in zip(all_axes, panels, strict=True):
            for panel, shape, name, filled, times in dots:
                if panel == title:
                    colour = COLOURS[name]
                    axes.plot(times, shapes.index(shape), "o", markersize=5.5, color=colour,
                              markerfacecolor=colour if filled else "none")  # fmt: skip
            most = max(dot[-1] for dot in dots if picture.one_scale or dot[0] == title)
            _finish(axes, title, shapes, most)
        figure.supxlabel("time over crnn's: right of 1 crnn is faster, left of 1 the other library",
                         fontsize=9)  # fmt: skip
        figure.legend(**_legend(dots, picture.kinds), loc="outside upper center",
                      ncols=8, frameon=False)  # fmt: skip
        figure.savefig(path, transparent=True, metadata={
            "Date": None, "Creator": "bench/tables.py",
            "Description": f"figures {digest(dots)}"})  # fmt: skip


def _finish(axes, title, shapes, most):
    axes.axvline(1, color=GREY, linewidth=1.2)
    axes.set_title(title, fontsize=10)
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.7, 1.3 * most)
    axes.xaxis.set_major_locator(LogLocator(base=2 if most < 16 else 4))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(shapes)), [name.replace("x", ", ") for name in shapes])
    axes.set_ylim(len(shapes) - 0.5, -0.5)  # the first shape on top
    axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _legend(dots, kinds):
    libraries = [name for name in COLOURS if any(dot[2] == name for dot in dots)]
    names, marks = [NAMES[name] for name in libraries], {"marker": "o", "linestyle": "none"}
    handles = [Line2D([], [], color=COLOURS[name], **marks) for name in libraries]
    for face in (GREY, "none"):
        handles.append(Line2D([], [], color=GREY, markerfacecolor=face, **marks))
    return {"handles": handles, "labels": [*names, *kinds]}
