"""A link from each function, class and method of the API reference to its line in the source."""

import importlib
import inspect
from pathlib import Path

from docutils import nodes
from repository_files import link_to_file
from sphinx import addnodes
from sphinx.application import Sphinx


def add_links(app: Sphinx, document: nodes.document) -> None:
    """Append the link to each signature whose source is a Python file of the repository."""
    root = Path(app.srcdir).parent
    for signature in document.findall(addnodes.desc_signature):
        if not signature.get("module"):
            continue
        place = _place(signature["module"], signature["fullname"])
        if place is None or not place[0].is_relative_to(root / "src"):
            continue
        text = nodes.inline("", "[source]", classes=["viewcode-link"])
        path = place[0].relative_to(root).as_posix()
        link = link_to_file(app.env, path, f"L{place[1]}")
        link["refdoc"] = app.env.docname
        signature += link
        link += text


def _place(module: str, name: str) -> tuple[Path, int] | None:
    """The file and the line of an object, or None for data and for compiled code."""
    value = importlib.import_module(module)
    for part in name.split("."):
        value = inspect.getattr_static(value, part)
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, (classmethod, staticmethod)):
        value = value.__func__
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        return None
    return Path(inspect.getsourcefile(value)).resolve(), inspect.getsourcelines(value)[1]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the links."""
    app.connect("doctree-read", add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
