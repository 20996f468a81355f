"""Mathematics as MathML, which browsers show without a script and without a network.

docutils writes it when the site is built, so a formula that it cannot read is a warning there. A
font for mathematics has brackets and sums of several sizes. Some systems have none, so the site
carries the characters that formulas use of STIX Two Math, which the package ziamath contains.
"""

from importlib.resources import files
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from fontTools import subset
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

#: The font, in the folder of static files; site.css names it.
FONT = "_static/math.woff"
#: Blocks of Unicode: ASCII, Greek, punctuation, arrows, operators, brackets and italic letters.
CHARACTERS = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x300, 0x338), (0x391, 0x3F5), (0x2010, 0x2044), (0x210E, 0x210F),
    (0x2190, 0x2194), (0x2200, 0x22FF), (0x2308, 0x230B), (0x27E8, 0x27E9), (0x1D434, 0x1D467),
    (0x1D6E2, 0x1D71B),
]  # fmt: skip


def write(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula within a line, or one that stands alone."""
    alone = isinstance(node, nodes.math_block)
    try:
        formula = tex2mathml(node.astext(), as_block=alone)
    except MathError as error:
        logger.warning("formula that docutils cannot read: %s", error, location=node)
        formula = translator.encode(node.astext())
    tag = "div" if alone else "span"
    translator.body.append(f'<{tag} class="math">{formula}</{tag}>')
    raise nodes.SkipNode


def write_font(app: Sphinx, error: Exception | None) -> None:
    """Write the part of the font that the formulas need."""
    path = Path(app.outdir) / FONT
    if error is not None or app.builder.format != "html" or path.exists():
        return
    options = subset.Options(flavor="woff", layout_features=["*"])
    whole = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"
    font = subset.load_font(str(whole), options)
    part = subset.Subsetter(options)
    part.populate(unicodes=[code for first, last in CHARACTERS for code in range(first, last + 1)])
    part.subset(font)
    subset.save_font(font, str(path), options)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which `html_math_renderer` of conf.py chooses."""
    app.add_html_math_renderer("mathml", (write, None), (write, None))
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
