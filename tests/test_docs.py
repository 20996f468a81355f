"""The README and the examples do what they say."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest
from compilers import gcc_or_clang

import crnn
from crnn import cli, functional

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "crnn"
CSRC = PACKAGE / "_engine" / "csrc"
INSIDE, ADDING = ROOT / "docs" / "inside.md", ROOT / "docs" / "kernels.md"

#: Every page of the documentation, relative to ROOT.
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
]


#: The pages whose blocks are executed here. Others have a test beside those of what they describe.
EXECUTED = [
    "README.md", "docs/conventions.md", "docs/names.md", "docs/start.md", "docs/streaming.md",
]  # fmt: skip


def commands_of(page):
    """The lines of a page's shell blocks, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [line for block in pages.blocks(text, "sh") for line in block.splitlines()]


@pytest.mark.parametrize("page", EXECUTED)
def test_every_block_is_python_or_sh(page):
    """The other tests execute the blocks in these two languages."""
    text = (ROOT / page).read_text(encoding="utf-8")
    executed = pages.blocks(text, "python") + pages.blocks(text, "sh")
    assert len(executed) == text.count("\n```\n") > 0


@pytest.mark.parametrize("page", sorted({*EXECUTED} - {"docs/start.md"}))
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = crnn.get_num_threads()
    try:
        pages.run_python(ROOT / page)
    finally:
        crnn.set_num_threads(threads)  # docs/streaming.md sets it


def test_models_of_the_first_ten_minutes_are_good(tmp_path, monkeypatch):
    """The page has few asserts, which would stop a program with a file of the reader's."""
    monkeypatch.chdir(tmp_path)
    names = pages.run_python(ROOT / "docs" / "start.md")
    assert names["error"] < 0.8 * names["simple"]
    assert names["rnn"].score(names["x_test"], names["truth"]) > 0.9


def test_readme_fits_on_one_screen():
    lines = README.splitlines()
    assert len(lines) <= 85
    assert README.count("![") == 1


def test_readme_setup_is_two_one_line_commands():
    """.ci/run executes both as they are written."""
    commands = commands_of("README.md")
    set_up = [line for line in commands if line.startswith("python3 -m venv .venv && ")]
    assert set_up == commands[:2]
    assert set_up[0].endswith("crnn train")
    assert set_up[1].endswith("-m pytest")


#: Options that make `crnn train` quick.
SMALL = ["--hidden", "4", "--batch", "512", "--steps", "512", "--epochs", "1", "--quiet"]


def test_other_readme_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *SMALL]) == 0
    commands = commands_of("README.md")[2:]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == ".venv/bin/crnn", "the setup commands do not activate the environment"
        assert cli.main(arguments) == 0
    assert "every comparison holds" in capsys.readouterr().out


def test_commands_of_the_first_ten_minutes_run(tmp_path, monkeypatch, capsys):
    """With a text of one's own, and another one to measure the model on."""
    monkeypatch.chdir(tmp_path)
    words = "The cat sat on the mat. The dog sat on the log.\n" * 400
    (tmp_path / "book.txt").write_text(words, encoding="utf-8")
    (tmp_path / "other.txt").write_text(words[:480], encoding="utf-8")
    commands = [shlex.split(command) for command in commands_of("docs/start.md")]
    assert [command[:2] for command in commands] == [
        ["crnn", "train"], ["crnn", "sample"], ["crnn", "eval"],
    ]  # fmt: skip
    for _, name, *arguments in commands:
        small = ["--hidden", "16", "--batch", "8", "--quiet"] if name == "train" else []
        assert cli.main([name, *arguments, *small]) == 0
    assert "bits per character" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("example", "arguments", "figure", "lowest", "highest"),
    [
        ("text", ["--epochs", "1"], r"crnn (\S+)", 2.0, 3.3),
        ("digits", [], r"crnn (\S+)", 0.97, 1.0),
        ("sunspots", [], r"crnn (\S+)", 0.0, 25.0),
        ("forecasting", ["--networks", "1"], r"one network +(\S+) %", 0.0, 5.0),
        (
            "long_range",
            ["--tasks", "adding", "--steps", "20", "--kinds", "gru", "--seconds", "60"],
            r"adding +20 gru +(\d)/1",
            1,
            1,
        ),
        (
            "cures",
            ["--tables", "scales", "--steps", "5", "--seeds", "1", "--updates", "400"],
            r"input_std=0.005, output_gain=50 +(\d)/1",
            1,
            1,
        ),
    ],
)
def test_examples_reach_their_documented_figures(example, arguments, figure, lowest, highest):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{example}.py"), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert lowest <= float(re.search(figure, done.stdout)[1]) <= highest


@pytest.mark.parametrize("page", PAGES)
def test_prose_has_no_html(page):
    """The <t> of x<t> would be a tag, which no one sees, unless it is code."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$|^    .*?$", "", text, flags=re.M | re.S)
    text = re.sub(r"(`+).+?\1|\$[^$]+\$", "", text, flags=re.S)
    assert re.findall(r"<(?!https:)[A-Za-z/][^>]*>", text) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_to_project_files_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_page_is_in_the_contents_of_the_site():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = [
        line
        for tree in re.findall(r"^```{toctree}\n(.*?)^```$", index, flags=re.M | re.S)
        for line in tree.splitlines()
        if line and not line.startswith(":")
    ]
    assert "auto_gallery/index" in listed
    pages_of_the_site = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {name for name in listed if "/" not in name} == pages_of_the_site
    assert len(set(listed)) == len(listed)


def test_equations_link_to_the_lines_that_compute_them():
    page = ROOT / "docs" / "equations.md"
    text = page.read_text(encoding="utf-8")
    assert len(pages.LINK.findall(text)) > 40
    assert pages.renumbered(page) == text, "python tests/pages.py docs/equations.md mends it"


class TestReference:
    """docs/reference has every public name."""

    CONTENTS = ROOT / "docs" / "reference" / "index.rst"
    #: Modules and packages with public names; the options of the command line have a page.
    MODULES = (
        PACKAGE / "__init__.py",
        *(path for path in PACKAGE.glob("[a-z]*.py") if path.stem not in ("functional", "cli")),
        *(path for path in PACKAGE.glob("[a-z]*/__init__.py") if path.parent.name != "cli"),
        PACKAGE / "onnx" / "backend.py",
    )

    def listed(self):
        """The names that the tables of docs/reference list."""
        names = set()
        for page in set((ROOT / "docs" / "reference").glob("*.rst")) - {self.CONTENTS}:
            module = ""
            for line in page.read_text(encoding="utf-8").splitlines():
                if found := re.match(r"\.\. automodule:: (\S+)", line):
                    module = found[1] + "."
                elif found := re.match(r"   ([\w.]+)$|\.\. py:data:: (\w+)", line):
                    names.add(module + (found[1] or found[2]))
        return names

    def public(self, path):
        """The names in `__all__` of a module, read without importing it."""
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and statement.targets[0].id == "__all__":
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
                module = ".".join(part for part in parts if part != "__init__")
                return {f"{module}.{name}" for name in ast.literal_eval(statement.value)}
        return set()

    def test_its_tables_have_every_public_name_and_no_other(self):
        public = set().union(*map(self.public, self.MODULES))
        # Names of the top level that another module has too are listed once.
        states = {name for name in crnn.__all__ if name.endswith(("Gradients", "States"))}
        elsewhere = {f"crnn.functional.{name}" for name in functional.__all__}
        elsewhere |= {f"crnn.reference.{name}" for name in states} | {"crnn.torch.RNNCell"}
        elsewhere |= {"crnn.model.RNN", "crnn.model.load"}
        assert len(public) > 100
        assert public - elsewhere == self.listed()

    def test_every_page_is_in_its_contents(self):
        contents = self.CONTENTS.read_text(encoding="utf-8").split(":maxdepth: 2")[1]
        tables = {page.stem for page in self.CONTENTS.parent.glob("*.rst")} - {"index"}
        assert set(contents.split()) == tables


class TestInside:
    """docs/inside.md and docs/kernels.md agree with the code."""

    def test_lengths_are_as_drawn(self):
        pages.run_python(INSIDE)

    def test_c_example_agrees_with_the_python_example(self, tmp_path):
        states = pages.run_python(ADDING)["leaky"]  # (T, m, n_a)
        compiler = gcc_or_clang()
        if compiler is None or sys.platform == "win32":
            pytest.skip("no gcc or clang")
        (source,) = pages.blocks(ADDING.read_text(encoding="utf-8"), "c")
        (tmp_path / "leaky.c").write_text(source, encoding="utf-8")
        pool = [CSRC / "threads.c", CSRC / "order.c"]
        command = [compiler, "-std=c11", "-O1", "-I", CSRC, "-I", PACKAGE / "include", "-o",
                   tmp_path / "leaky", tmp_path / "leaky.c", *pool, "-lm", "-lpthread"]  # fmt: skip
        subprocess.run(command, check=True)
        out = subprocess.run([tmp_path / "leaky"], capture_output=True, text=True, check=True)
        printed = np.array(out.stdout.split(), float).reshape(states.shape)
        np.testing.assert_allclose(printed, states, rtol=1e-14)

    @pytest.mark.parametrize("page", [INSIDE, ADDING], ids=lambda page: page.stem)
    def test_names_it_mentions_are_in_the_code(self, page):
        text = page.read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        sources = [
            path.read_text(encoding="utf-8")
            for folder in (PACKAGE, ROOT / "tests")
            for suffix in ("py", "pyx", "h", "inc")
            for path in folder.rglob(f"*.{suffix}")
        ] + [path.read_text(encoding="utf-8") for path in CSRC.glob("*.c")]
        names = set(re.findall(r"\w+", "\n".join(sources)))
        mentioned = re.findall(r"`([A-Za-z_]\w*)`", prose)
        assert len(mentioned) > 40
        assert [name for name in mentioned if name not in names] == []

    @pytest.mark.parametrize("page", [INSIDE, ADDING], ids=lambda page: page.stem)
    def test_files_it_mentions_exist(self, page):
        text = re.sub(r"^```[cp].*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        text = re.sub(r"\]\([^)]*\)", "]", text)
        files = re.findall(r"[\w/]+\.(?:c|h|inc|py|pyx)\b", text)
        assert len(files) > 15
        places = (ROOT, PACKAGE, CSRC, PACKAGE / "include")
        missing = [name for name in files if not any((place / name).exists() for place in places)]
        assert [name for name in missing if "NAME" not in name] == []
