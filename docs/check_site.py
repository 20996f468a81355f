"""Check a built site: every link inside it has a target, and no page is large.

`python docs/check_site.py docs/_build` prints what is wrong; the exit status is 1 if anything is.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGEST_PAGE = 1_000_000  # bytes


class Page(HTMLParser):
    """The addresses that a page refers to and the anchors that it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what one tag refers to and defines."""
        values = dict(attrs)
        self.addresses += [values[key] for key in ("href", "src") if values.get(key)]
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}


def faults(site: Path) -> list[str]:
    """What is wrong with the pages below `site`, one line each."""
    found = []
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site}: no page there"]
    for path, page in pages.items():
        name = path.relative_to(site)
        size = path.stat().st_size
        if size > LARGEST_PAGE:
            found.append(f"{name}: {size} bytes, expected at most {LARGEST_PAGE}")
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file():
                found.append(f"{name}: {address}: no such file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{name}: {address}: no such anchor")
    return found


if __name__ == "__main__":
    lines = faults(Path(sys.argv[1]).resolve())
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
