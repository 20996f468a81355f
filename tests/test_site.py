"""docs/check_site.py finds what is wrong with a built site; .ci/run builds the site and runs it."""

import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "check_site.py"))
GOOD = '<h1 id="top">crnn</h1> <a href="#top">up</a> <a href="https://example.org/none">out</a>'


def faults(site):
    return CHECK["faults"](site, CHECK["read"](site))


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        ("", None),
        ('<a href="sub/other.html#there">', None),
        ('<a href="sub/none.html">', "index.html: sub/none.html: no such file"),
        ('<img src="none.png">', "index.html: none.png: no such file"),
        ('<a href="#nowhere">', "index.html: #nowhere: no such anchor"),
        ('<a href="sub/other.html#no">', "index.html: sub/other.html#no: no such anchor"),
        ('<a href="mailto:a@example.org"><img src="data:image/png;base64,AA">', None),
        ('<a href="http://example.org">',
         "index.html: http://example.org: expected an address that begins with https://"),
        ('<script src="//example.org/a.js">',
         "index.html: //example.org/a.js: expected an address that begins with https://"),
        ('<a href="https://example.org/a b">',
         "index.html: https://example.org/a b: expected an address without spaces"),
        ('<a href="https://docs/start">',
         "index.html: https://docs/start: expected the name of a site after https://"),
        ('<a href="https:///start">',
         "index.html: https:///start: expected the name of a site after https://"),
    ],
)  # fmt: skip
def test_dead_links_are_found(tmp_path, added, fault):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.html").write_text('<p id="there"></p> <a href="../index.html">')
    (tmp_path / "index.html").write_text(GOOD + added)
    assert faults(tmp_path.resolve()) == ([] if fault is None else [fault])


def test_links_that_leave_the_site_are_listed_once(tmp_path):
    for name in ("a.html", "b.html"):
        (tmp_path / name).write_text(GOOD + '<a href="a.html">')
    assert CHECK["external"](CHECK["read"](tmp_path)) == ["https://example.org/none"]


def test_large_pages_are_found(tmp_path):
    (tmp_path / "index.html").write_text("x" * 1_000_001)
    (fault,) = faults(tmp_path)
    assert fault == "index.html: 1000001 bytes, expected at most 1000000"


def test_an_empty_folder_is_no_site(tmp_path):
    assert faults(tmp_path) == [f"{tmp_path}: no page there"]
