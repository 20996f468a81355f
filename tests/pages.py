"""Run the code blocks of pages in Markdown, the README and docs/, and check their links to code.

`python tests/pages.py PAGE` writes the line numbers of a page's links to code anew. A link without
a number is to a file whose lines often move; the site finds the line.
"""

import re
import sys
from pathlib import Path

#: A link whose text is code with spaces, to a file that has it: [`a = b`](path#L12).
LINK = re.compile(r"\[(`+) ?([^`\n]+ .+?) ?\1\]\(([^)#]+)(?:#L(\d+))?\)")


def blocks(text, language):
    """The fenced code blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def run_python(page):
    """Execute all Python blocks of a page in order; return the names that they define."""
    names = {"__name__": page.stem}
    for k, block in enumerate(blocks(page.read_text(encoding="utf-8"), "python")):
        exec(compile(block, f"{page.name}, block {k}", "exec"), names)
    return names


def renumbered(page):
    """The text of a page, each of its links to code at the line that has the code now."""

    def place(link):
        lines = (page.parent / link[3]).read_text(encoding="utf-8").splitlines()
        found = [number for number, line in enumerate(lines, 1) if link[2] in line]
        if not found:
            raise ValueError(f"{page.name}: {link[3]} no longer has {link[2]}")
        if link[4] is None:
            return link[0]
        nearest = min(found, key=lambda number: abs(number - int(link[4])))
        return link[0].replace(f"#L{link[4]})", f"#L{nearest})")

    return LINK.sub(place, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(renumbered(Path(name)), encoding="utf-8")
