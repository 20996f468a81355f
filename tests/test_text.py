"""Text: its page."""

from pathlib import Path

import pages


def test_the_page_on_text_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run_python(Path(__file__).parent.parent / "docs" / "text.md")
