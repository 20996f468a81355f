"""docs/check_site.py finds what is wrong with a built site; .ci/run builds the site and runs it."""

import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "check_site.py"))
GOOD = '<h1 id="top">crnn</h1> <a href="#top">up</a> <a href="https://example.org/none">out</a>'


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        ("", None),
        ('<a href="sub/other.html#there">', None),
        ('<a href="sub/none.html">', "index.html: sub/none.html: no such file"),
        ('<img src="none.png">', "index.html: none.png: no such file"),
        ('<a href="#nowhere">', "index.html: #nowhere: no such anchor"),
        ('<a href="sub/other.html#no">', "index.html: sub/other.html#no: no such anchor"),
    ],
)
def test_dead_links_are_found(tmp_path, added, fault):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.html").write_text('<p id="there"></p> <a href="../index.html">')
    (tmp_path / "index.html").write_text(GOOD + added)
    assert CHECK["faults"](tmp_path.resolve()) == ([] if fault is None else [fault])


def test_large_pages_are_found(tmp_path):
    (tmp_path / "index.html").write_text("x" * 1_000_001)
    (fault,) = CHECK["faults"](tmp_path)
    assert fault == "index.html: 1000001 bytes, expected at most 1000000"


def test_an_empty_folder_is_no_site(tmp_path):
    assert CHECK["faults"](tmp_path) == [f"{tmp_path}: no page there"]
