"""Links from pages to files of the repository that are not pages, such as `../src/crnn/model.py`.

On a forge such a link opens the file. In the site it opens a page `files/PATH` with the text of the
file, with `#L12` at line 12, as on a forge; for a folder, a list of its files. A link whose text is
a line of code goes to that line. Pages that include a file of the repository
(`repository_includes` in conf.py) keep the links of that file: they are relative to its folder, and
a link to the file opens the page.
"""

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

#: Pygments' name of the language of each suffix; other files are shown without colours.
LANGUAGES = {
    ".c": "c", ".cff": "yaml", ".cpp": "cpp", ".h": "c", ".inc": "c", ".json": "json",
    ".md": "markdown", ".pxd": "cython", ".py": "python", ".pyx": "cython", ".toml": "toml",
}  # fmt: skip


def link_to_file(env: BuildEnvironment, path: str, anchor: str) -> addnodes.pending_xref:
    """A link from the page that is being read to a file, whose page is thereby wanted."""
    env.metadata[env.docname].setdefault("repository_files", []).append(path)
    return addnodes.pending_xref(
        "", refdomain="", reftype="repository", reftarget=path, anchor=anchor
    )


class RepositoryLinks(SphinxTransform):
    """Point the links that leave the folder of the pages, or of an included file, at the site."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Replace each such link of the document."""
        for link in list(self.document.findall(_is_link_to_a_file)):
            path, _, anchor = unquote(link["reftarget"]).partition("#")
            if link.get("refdomain") == "doc" and Path(path).is_absolute():
                # A page elsewhere in the repository, of which MyST has dropped the suffix.
                path = os.path.relpath(f"{path}.md", self._folder())
                anchor = link.get("reftargetid") or ""
            target = self._in_repository(path)
            if target is not None:
                link.replace_self(self._reference(target, anchor, link))

    def _folder(self) -> Path:
        """The folder that the links of the document are relative to."""
        source = self.config.repository_includes.get(self.env.docname)
        pages = Path(self.app.srcdir)
        return pages if source is None else (pages.parent / source).parent

    def _in_repository(self, path: str) -> str | None:
        """The path from the root of the repository, or None for another page or no file."""
        root = Path(self.app.srcdir).parent
        source = self.config.repository_includes.get(self.env.docname)
        target = Path(os.path.normpath(self._folder() / path.lstrip("/")))
        if source is None and target.is_relative_to(self.app.srcdir):
            return None
        if not target.exists() or not target.is_relative_to(root):
            return None
        return target.relative_to(root).as_posix()

    def _line_of(self, target: str, link: nodes.Element) -> str:
        """The anchor of the first line that has the text of a link, if that is a line of code."""
        path, code = Path(self.app.srcdir).parent / target, link.astext()
        if " " in code and any(link.findall(nodes.literal)) and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            return next((f"L{k}" for k, line in enumerate(lines, 1) if code in line), "")
        return ""

    def _reference(self, target: str, anchor: str, link: nodes.Element) -> nodes.Element:
        docname = self._page_of(target)
        if docname is not None:
            reference = addnodes.pending_xref(
                "", refdomain="doc", reftype="myst", reftarget=docname, reftargetid=anchor or None
            )
        else:
            reference = link_to_file(self.env, target, anchor or self._line_of(target, link))
        reference["refdoc"], reference["refexplicit"] = self.env.docname, True
        reference += link.children
        return reference

    def _page_of(self, target: str) -> str | None:
        """The page that shows a file of the repository as its own text."""
        for docname, source in self.config.repository_includes.items():
            if source == target:
                return str(docname)
        page = PurePosixPath(target)
        if page.suffix == ".md" and page.is_relative_to("docs"):
            return str(page.relative_to("docs").with_suffix(""))
        return None


def _is_link_to_a_file(node: nodes.Node) -> bool:
    kinds = (addnodes.download_reference, addnodes.pending_xref)
    return isinstance(node, kinds) and node.get("reftype") == "myst"


def keep_line_anchors(app: Sphinx, docname: str, source: list[str]) -> None:
    """Hide the `#` of a link to a line from MyST, which drops what follows it in a file's name."""
    source[0] = re.sub(r"(\]\([^()\s#:]+)#(L\d+\))", r"\1%23\2", source[0])


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Turn a link to a file into one to its page."""
    if node["reftype"] != "repository":
        return None
    uri = app.builder.get_relative_uri(node["refdoc"], f"files/{node['reftarget']}")
    if node["anchor"]:
        uri += "#" + node["anchor"].replace("L", "L-", 1)  # what Pygments calls line 12 is L-12
    return nodes.reference("", "", content, internal=True, refuri=uri)


def pages_of_files(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield a page for each file that is linked to, and for those in a folder that is."""
    root = Path(app.srcdir).parent
    linked = (meta.get("repository_files", ()) for meta in app.env.metadata.values())
    todo, done = [name for names in linked for name in names], set()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        if (root / name).is_dir():
            inside = [f"{name}/{path.name}" for path in _files(root / name)]
            body = _list(app, name, inside)
            todo += inside
        else:
            body = _highlighted(app, root / name)
        context = {"title": name, "body": f"<h1>{html.escape(name)}</h1>\n{body}"}
        yield f"files/{name}", context, "page.html"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__pycache")))


def _list(app: Sphinx, folder: str, names: list[str]) -> str:
    uri = app.builder.get_relative_uri
    links = (
        f'<li><a href="{uri(f"files/{folder}", f"files/{name}")}">'
        f"<code>{html.escape(PurePosixPath(name).name)}</code></a></li>"
        for name in names
    )
    return "<ul>\n" + "\n".join(links) + "\n</ul>"


def _highlighted(app: Sphinx, path: Path) -> str:
    return str(
        app.builder.highlighter.highlight_block(
            path.read_text(encoding="utf-8"),
            LANGUAGES.get(path.suffix, "text"),
            linenos="inline",
            lineanchors="L",
        )
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and the pages."""
    app.add_config_value("repository_includes", {}, "env")
    app.add_transform(RepositoryLinks)
    app.connect("source-read", keep_line_anchors)
    app.connect("missing-reference", resolve)
    app.connect("html-collect-pages", pages_of_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
