"""Run the code blocks of pages in Markdown: the README and docs/."""

import re


def blocks(text, language):
    """The fenced code blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def run_python(page):
    """Execute all Python blocks of a page in order; return the names that they define."""
    names = {"__name__": page.stem}
    for k, block in enumerate(blocks(page.read_text(encoding="utf-8"), "python")):
        exec(compile(block, f"{page.name}, block {k}", "exec"), names)
    return names
