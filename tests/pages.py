"""Pages in Markdown: the README and docs/. What they show is executed."""

import re


def blocks(text, language):
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def run_python(page):
    """Execute every Python block of a page, one after the other; give the names they leave."""
    names = {"__name__": page.stem}
    for k, block in enumerate(blocks(page.read_text(encoding="utf-8"), "python")):
        exec(compile(block, f"{page.name}, block {k}", "exec"), names)
    return names
