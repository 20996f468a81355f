"""bench/tables.py: the tables of the pages and the pictures agree with the files of results."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import kept  # noqa: E402
import pictures  # noqa: E402
import speed_tables  # noqa: E402
import tables  # noqa: E402

PAGES = {page: page.read_text(encoding="utf-8") for page in tables.pages()}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the pages and the results, which a test may change."""
    drawn = [f"docs/{name}" for name in pictures.PICTURES]
    for name in ("README.md", "bench/README.md", "docs/speed.md", *drawn):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "bench" / "results", tmp_path / "bench" / "results")
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "RESULTS", tmp_path / "bench" / "results")
    forget()
    yield tmp_path
    forget()


def forget():
    kept.results.cache_clear()
    kept.report.cache_clear()


def test_tables_and_pictures_are_those_of_the_results(capsys):
    assert tables.main(check=True) == 0, capsys.readouterr().out


def test_every_table_is_on_a_page():
    there = {match[2] for text in PAGES.values() for match in tables.BLOCK.finditer(text)}
    assert there == tables.tables().keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_markers_come_in_pairs(page):
    """Otherwise a table would reach to the end of the next one."""
    text = PAGES[page]
    blocks = [match[0] for match in tables.BLOCK.finditer(text)]
    assert len(blocks) == text.count("<!-- table: ") == text.count("<!-- end -->")
    assert all(block.count("<!-- table: ") == 1 for block in blocks)


def test_a_changed_figure_makes_table_and_picture_stale(project, capsys):
    assert tables.main(check=True) == 0
    path = project / "bench" / "results" / "vanilla_avx512.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for cell in whole["cells"]:
        if (cell["peer"], cell["threads"], cell["case"]["T"]) == ("crnn", 1, 10):
            cell["rounds"] = [2 * seconds for seconds in cell["rounds"]]
    path.write_text(json.dumps(whole), encoding="utf-8")
    forget()
    before = (project / "docs" / "speed.md").read_bytes()
    assert tables.main(check=True) == 1
    stale = capsys.readouterr().out.splitlines()
    assert sorted(stale) == [
        "stale: README.md", "stale: docs/speed.md", "stale: docs/speed.svg",
        "stale: docs/speed_vanilla.svg",
    ]  # fmt: skip
    assert (project / "docs" / "speed.md").read_bytes() == before, "a check writes nothing"
    assert tables.main(check=False) == 0
    assert tables.main(check=True) == 0


def test_a_table_that_is_edited_by_hand_is_stale(project, capsys):
    page = project / "docs" / "speed.md"
    page.write_text(page.read_text("utf-8").replace("0.0023", "0.0001"), encoding="utf-8")
    assert tables.main(check=True) == 1
    assert capsys.readouterr().out == "stale: docs/speed.md\n"


def test_an_unknown_table_is_an_error():
    with pytest.raises(KeyError, match="of_contents"):
        tables.filled("<!-- table: of_contents -->\n<!-- end -->")


@pytest.mark.parametrize("path", sorted(kept.RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_results_say_where_when_and_how_they_were_measured(path):
    whole = kept.results(path.stem)
    assert {"cpu", "simd", "date", "command"} <= whole["machine"].keys()
    assert isinstance(whole["versions"], dict)


def test_ratios_below_1_are_in_bold():
    assert [kept.ratio(value) for value in (0.994, 0.996, 1.234, 2.34, 51.2)] == [
        "**0.99**", "1.00", "1.23", "2.3", "51",
    ]  # fmt: skip


def test_what_was_kept_without_rounds_is_in_bold_below_1_too(monkeypatch):
    row = {"cell": "gru", "threads": 1, "mean": 1.2, "least": 0.98, "most": 1.5}
    whole = {"machine": {"simd": "avx2"}, "shapes": 8, "means": [row, row | {"least": 1.03}]}
    monkeypatch.setattr(speed_tables, "results", lambda name: whole)
    assert speed_tables._means_of_list("any", "gru", 1)[:6] == [
        "GRU", "AVX2", 8, 1, "1.2 (**0.98** to 1.5)", "1.2 (1.03 to 1.5)",
    ]  # fmt: skip


def test_pictures_have_no_background():
    """They are shown on light pages and dark ones."""
    for name in pictures.PICTURES:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        patch = text[text.index('id="patch_1"') :].split("</g>")[0]
        assert "fill: none" in patch
