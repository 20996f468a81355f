"""One table of contents for all source files, and one for all leaves of the API reference.

The theme writes the whole table into the margin of every page, with the current one marked. For
some hundred pages that took half of the build. In these folders it is written once, without a mark.
"""

import re
from pathlib import PurePosixPath
from typing import Any

from sphinx.application import Sphinx

FOLDERS = ("files/", "reference/generated/")


def share(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Replace the function that makes a page's table of contents by one that keeps the result."""
    if not page.startswith(FOLDERS) or "toctree" not in context:
        return
    make = context["toctree"]

    def toctree(**options: Any) -> str:
        key = (PurePosixPath(page).parent, *sorted(options.items()))
        if key not in app.shared_navigation:
            app.shared_navigation[key] = _without_mark(make(**options))
        return str(app.shared_navigation[key])

    context["toctree"] = toctree


def _without_mark(html: str) -> str:
    return re.sub(r'class="([^"]*)"', lambda found: found[0].replace("current", ""), html)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the function, before that of the theme."""
    app.shared_navigation = {}
    app.connect("html-page-context", share, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
