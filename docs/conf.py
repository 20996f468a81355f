"""The site: `python -m sphinx -W --keep-going -n docs docs/_build` writes it to docs/_build."""

import sys
from pathlib import Path

import crnn

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

from own_members import own_members

project = "crnn"
author = "The crnn developers"
project_copyright = author
version = release = crnn.__version__

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "repository_files",
    "shared_navigation",
    "source_links",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_argparse_cli",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
]

# Pages are Markdown; headings have the anchors that forges give them.
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery"]
smartquotes = False
highlight_language = "none"  # of indented blocks: commands and equations

#: Pages whose text is that of a file elsewhere in the repository.
repository_includes = {
    "benchmark": "bench/README.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
}

# The API reference. Docstrings say what types arguments have, so signatures do not.
autodoc_typehints = "none"
autosummary_context = {"own_members": own_members}
autosummary_generate_overwrite = True
templates_path = ["_templates"]
numpydoc_show_class_members = False  # the template of a class lists them
suppress_warnings = ["config.cache"]  # of autosummary_context, which holds a function
default_role = "py:obj"
# Backquotes also mark arguments and names of other libraries. Names of crnn must resolve.
nitpick_ignore_regex = [("py:.*", r"(?!crnn\.).*")]

# The scripts of docs/gallery are executed at every build; one that fails is an error.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

linkcheck_ignore = ["(?!https:)"]  # check_site.py checks links within the site

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"crnn {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
