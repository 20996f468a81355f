"""The site: `python -m sphinx -W --keep-going -n docs docs/_build` writes it to docs/_build."""

import sys
from pathlib import Path

import crnn

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "crnn"
author = "The crnn developers"
project_copyright = author
version = release = crnn.__version__

extensions = [
    "myst_parser",
    "repository_files",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]

# Pages are Markdown; headings have the anchors that forges give them.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
highlight_language = "none"  # of indented blocks: commands and equations

#: Pages whose text is that of a file elsewhere in the repository.
repository_includes = {
    "benchmark": "bench/README.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
}

html_theme = "furo"
html_title = f"crnn {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
