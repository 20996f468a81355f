"""The README and the examples do what they say."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pages
import pytest

from crnn import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return pages.blocks(README, language)


def test_the_readme_has_no_block_that_is_not_executed():
    assert len(blocks("python")) + len(blocks("sh")) == README.count("\n```\n")


def test_python_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run_python(ROOT / "README.md")


def test_set_up_is_two_commands_of_one_line_each():
    """.ci/run executes both as they are written."""
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    set_up = [line for line in commands if line.startswith("python3 -m venv .venv && ")]
    assert set_up == commands[:2]
    assert set_up[0].endswith("crnn train")
    assert set_up[1].endswith("-m pytest")


def test_the_other_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--hidden", "4", "--batch", "512", "--steps", "512", "--epochs", "1", "--quiet"]
    assert cli.main(["train", *small]) == 0
    commands = [line for block in blocks("sh") for line in block.splitlines()][2:]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == ".venv/bin/crnn", "the set-up lines activate nothing"
        assert cli.main(arguments) == 0
    assert "every comparison holds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("example", "arguments", "figure", "lowest", "highest"),
    [
        ("text", ["--epochs", "1"], r"crnn (\S+)", 2.0, 3.3),
        ("digits", [], r"crnn (\S+)", 0.97, 1.0),
        ("sunspots", [], r"crnn (\S+)", 0.0, 25.0),
    ],
)
def test_examples_reach_their_figures(example, arguments, figure, lowest, highest):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{example}.py"), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert lowest <= float(re.search(figure, done.stdout)[1]) <= highest


def test_every_link_inside_the_project_leads_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
