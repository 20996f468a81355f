"""Check a built site: every link has a target, and no page is large.

    python docs/check_site.py docs/_build               # prints what is wrong; then the status is 1
    python docs/check_site.py docs/_build --external    # prints the links that leave the site

Whether other sites answer is not asked here, since that needs a network: `sphinx -b linkcheck` does
(CONTRIBUTING.md). Their addresses must be complete, and begin with https.
"""

import argparse
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGEST_PAGE = 1_000_000  # bytes
#: The name of a site: labels of letters, digits and hyphens, with a dot between.
HOST = re.compile(r"(?:[a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", flags=re.I)


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


def is_external(address: str) -> bool:
    """Whether an address has a scheme or a host, so that it is not of this site."""
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def external_fault(address: str) -> str | None:
    """What is wrong with an address outside the site, as far as it shows without a network."""
    parts = urlsplit(address)
    if parts.scheme in ("data", "mailto"):
        return None
    if parts.scheme != "https":
        return "expected an address that begins with https://"
    if any(character.isspace() for character in address):
        return "expected an address without spaces"
    if not HOST.fullmatch(parts.netloc):
        return "expected the name of a site after https://"
    return None


def read(site: Path) -> dict[Path, Page]:
    """Every page below `site`, by its path."""
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def external(pages: dict[Path, Page]) -> list[str]:
    """Every address that leaves the site, once, in order."""
    return sorted({a for page in pages.values() for a in page.addresses if is_external(a)})


def faults(site: Path, pages: dict[Path, Page]) -> list[str]:
    """What is wrong with the pages below `site`, one line each."""
    found = []
    if not pages:
        return [f"{site}: no page there"]
    for path, page in pages.items():
        name = path.relative_to(site)
        size = path.stat().st_size
        if size > LARGEST_PAGE:
            found.append(f"{name}: {size} bytes, expected at most {LARGEST_PAGE}")
        for address in page.addresses:
            if is_external(address):
                if fault := external_fault(address):
                    found.append(f"{name}: {address}: {fault}")
                continue
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file():
                found.append(f"{name}: {address}: no such file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{name}: {address}: no such anchor")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="the folder that Sphinx wrote")
    parser.add_argument("--external", action="store_true", help="print the links that leave it")
    asked = parser.parse_args()
    site = asked.site.resolve()
    pages = read(site)
    lines = external(pages) if asked.external else faults(site, pages)
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines) and not asked.external)
