"""The package: what importing it loads and requires, its public names and documentation."""

import doctest
import importlib
import importlib.metadata
import inspect
import os
import pickle
import pkgutil
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import crnn
from crnn import benchmark, check, files, model, reference, tasks, text, weights
from crnn._engine import config, kernels


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)


def test_import_does_not_load_optional_libraries():
    heavy = ["torch", "jax", "onnx", "sklearn", "matplotlib", "pandas", "tqdm", "safetensors"]
    done = python(f"import sys, crnn; print([m for m in {heavy} if m in sys.modules])")
    assert done.stdout == "[]\n"


def test_a_missing_extension_is_an_import_error_with_build_instructions(tmp_path):
    package = Path(crnn.__file__).parent
    copy = tmp_path / "crnn"
    sources = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(package, copy, ignore=sources)
    done = python("import crnn", cwd=tmp_path)
    assert done.returncode != 0
    assert "ImportError: crnn's compiled extension is missing or does not load" in done.stderr
    assert "python -m pip install ." in done.stderr


def test_the_citation_has_the_version():
    root = Path(__file__).parent.parent
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {crnn.__version__}\n" in citation
    page = (root / "docs" / "cite.md").read_text(encoding="utf-8")
    assert f"version = {{{crnn.__version__}}}" in page


def test_version_equals_the_metadata():
    assert crnn.__version__ == importlib.metadata.version("crnn")


def test_import_works_without_installed_metadata():
    """As in a frozen program, or if the package is vendored into another project."""
    code = """
import importlib.metadata

def none(name):
    raise importlib.metadata.PackageNotFoundError(name)

importlib.metadata.version = importlib.metadata.distribution = none
import crnn
print(crnn.__version__)
"""
    assert python(code).stdout == f"{crnn.__version__}\n"


EXTRAS = ["jax", "onnx", "sklearn", "torch"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_library_error_names_the_extra(extra):
    code = f"""
import sys
class Missing:
    def find_spec(name, *_):
        if name == {extra!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing)
try:
    import crnn.{extra}
except ModuleNotFoundError as error:
    print(error.name, error, sep=": ")
"""
    name, message = python(code).stdout.strip().split(": ", 1)
    assert name == extra
    assert message.endswith(f'python -m pip install "crnn[{extra}]"')


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("inside", ["import nothing_of_that_name", "raise ImportError('broken')"])
def test_an_error_inside_an_installed_library_is_not_masked(tmp_path, extra, inside):
    (tmp_path / f"{extra}.py").write_text(inside)
    done = python(f"import crnn.{extra}", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert "crnn[" not in done.stderr
    assert "nothing_of_that_name" in done.stderr or "ImportError: broken" in done.stderr


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has the GIL"
)
def test_import_leaves_the_gil_disabled():
    done = python(
        "import crnn, crnn._engine.lyapunov, crnn._engine.probe, crnn._engine.xla, sys; "
        "print(sys._is_gil_enabled())"
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_all_is_sorted_and_unique():
    assert crnn.__all__ == sorted(
        crnn.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert len(set(crnn.__all__)) == len(crnn.__all__)


#: Names of crnn 0.1.0 whose modules have moved.
MOVED = [
    "config.Config", "config.DIRECTIONS", "data.Batch", "data.Sequences", "data.windows",
    "initial.orthogonal", "layers.forward", "losses.LOSSES", "network.Network",
    "optim.Optimizer", "optim.SGD", "optim.clip_by_norm", "train.DivergenceError", "train.History",
]  # fmt: skip


@pytest.mark.parametrize("path", MOVED)
def test_import_paths_of_0_1_0_still_work(path):
    module, name = path.split(".")
    for line in (
        f"from crnn.{module} import {name}",
        f"import crnn.{module}; crnn.{module}.{name}",
        f"from crnn import {module}; {module}.{name}",
    ):
        exec(line, {})


def test_pickles_of_0_1_0_can_be_loaded():
    config, adam = crnn.RNN(2, 3, 4, rng=0).config, crnn.Adam(1e-2)
    # Protocol 2 stores the names of modules as plain text.
    pickled = pickle.dumps((config, adam), protocol=2)
    for new, old in ((b"crnn._network.config", b"crnn.config"), (b"crnn._training", b"crnn")):
        assert new in pickled
        pickled = pickled.replace(new, old)
    assert pickle.loads(pickled) == (config, adam)


def test_dir_lists_public_names_only():
    done = python("import crnn, crnn.cli; print(*dir(crnn))")
    assert set(done.stdout.split()) == {
        *crnn.__all__, "__version__", "benchmark", "check", "cli", "data", "files", "functional",
        "inspect", "model", "reference", "schedules", "streaming", "tasks", "text", "weights",
    }  # fmt: skip


#: Classes whose public methods users call or write.
OWNERS = (
    crnn.RNN, crnn.Stream, crnn.Loss, crnn.Penalty, model.Config, crnn.data.Backtest,
    crnn.data.Scaling, crnn.inspect.FixedPoints, crnn.inspect.GradientFlow, crnn.inspect.Saliency,
    benchmark.Case, benchmark.Report, tasks.Task, tasks.Digits, tasks.Recipe, tasks.Result,
    text.ByteVocabulary, text.Vocabulary, text.WordVocabulary,
)  # fmt: skip


def public():
    """Yield all public classes and functions, and the public methods of OWNERS."""
    for module in (crnn, benchmark, check, crnn.data, files, model, tasks, weights):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isroutine(value) or inspect.isclass(value):
                yield f"{module.__name__}.{name}", value
    for module in (reference, text, crnn.inspect, crnn.schedules):
        for name, value in vars(module).items():
            if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith(
                module.__name__
            ):
                yield f"{module.__name__}.{name}", value
    for owner in OWNERS:
        for name in dir(owner):
            if not name.startswith("_") and callable(getattr(owner, name)):
                yield f"{owner.__name__}.{name}", getattr(owner, name)


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example_that_runs(name):
    value = PUBLIC[name]
    (example,) = doctest.DocTestFinder(recurse=False).find(value, name)
    tried = doctest.DocTestRunner().run(example)
    assert tried.attempted > 0
    assert tried.failed == 0


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isroutine(PUBLIC[name])])
def test_every_argument_and_result_is_documented(name):
    signature = inspect.signature(PUBLIC[name])
    sections = re.split(r"\n *(\w+)\n *-{3,}\n", inspect.cleandoc(PUBLIC[name].__doc__))
    sections = dict(zip(sections[1::2], sections[2::2], strict=True))
    for argument in set(signature.parameters) - {"self"}:
        documented = rf"^(\w+, |\*\*)*{argument}\b"
        assert re.search(documented, sections["Parameters"], flags=re.M), argument
    gives = not sections.keys().isdisjoint({"Returns", "Yields"})
    assert gives == (signature.return_annotation != "None")


#: Modules that need an optional library: tests/adapters runs their examples.
ADAPTERS = ("jax", "onnx", "sklearn", "torch")


def own_modules():
    """Yield the names of all modules that need no optional library."""
    for module in pkgutil.walk_packages(crnn.__path__, "crnn.", onerror=lambda _: None):
        parts = module.name.split(".")
        if parts[1] not in ("__main__", *ADAPTERS) and "peers" not in parts:
            yield module.name


@pytest.mark.parametrize("name", list(own_modules()))
def test_docstring_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


class TestThreads:
    def test_set_num_threads(self):
        before = crnn.get_num_threads()
        crnn.set_num_threads(1)
        assert crnn.get_num_threads() == 1
        crnn.set_num_threads(before)
        assert crnn.get_num_threads() == before

    def test_invalid_numbers_are_refused(self):
        with pytest.raises(ValueError, match="n: expected a whole number >= 1, got 0"):
            crnn.set_num_threads(0)
        with pytest.raises(TypeError, match=r"n: expected a whole number, got 1\.5"):
            crnn.set_num_threads(1.5)

    def test_an_unknown_blas_is_an_error(self, monkeypatch, capsys):
        monkeypatch.setattr(config, "_CONTROLS", {"Nobody's": [("no_get", "no_set")]})
        with pytest.raises(RuntimeError, match="no known way to set its number of threads"):
            crnn.set_num_threads(2)
        assert crnn.get_num_threads() == 1
        crnn.show_config()
        assert "BLAS     unknown to crnn" in capsys.readouterr().out


def test_show_config_lists_versions_kernels_and_blas(capsys):
    crnn.show_config()
    out = capsys.readouterr().out
    assert f"crnn     {crnn.__version__}" in out
    assert f"threads  {crnn.get_num_threads()}" in out
    chosen = f"kernels  {kernels.select(os.environ.get('CRNN_SIMD') or None)}\n"
    for word in ("Python", "numpy", "scipy", chosen, "BLAS"):
        assert word in out
