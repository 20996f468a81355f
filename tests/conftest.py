"""Fixtures: every kernel table that can run here, the command line, plans of memory; Ctrl-C."""

import os
import signal

import libcrnn
import pytest
from cli_runs import SMALL, runner

from crnn._engine import kernels
from crnn._network import network as networks
from crnn._network.costs import Costs
from crnn._network.memory import _planned

# A shell without job control starts background jobs (`sh -c 'python -m pytest &'`) with SIGINT
# ignored, and their children inherit that. The tests of Ctrl-C need the default handler.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _in_use():
    """Select the kernels that were chosen at import again; return their name."""
    return kernels.select(os.environ.get("CRNN_SIMD") or None)


def _usable():
    """Names of the tables that can run here; the one in use comes first."""
    usable = [_in_use()]
    for name in ("avx512", "avx2", "neon", "portable", "blas"):
        if name not in usable:
            try:
                usable.append(kernels.select(name))
            except ValueError:
                continue
    _in_use()
    return usable


TABLES = _usable()


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """Where libcrnn is installed, built once for all tests."""
    libcrnn.need("cmake", "cc", "c++", "nm")
    return libcrnn.installed(tmp_path_factory.mktemp("libcrnn"))


@pytest.fixture
def select():
    """A function that selects the kernels with a given name until the test ends."""
    yield kernels.select
    _in_use()


@pytest.fixture(params=TABLES)
def table(request, select):
    """The test runs once on each table."""
    return select(request.param)


@pytest.fixture
def tables():
    """Names of all tables, for a test that switches between them by itself."""
    return TABLES


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """A function that runs a command line: see `runner`."""
    return runner(capsys, tmp_path, monkeypatch)


@pytest.fixture
def trained(run):
    """The file of a small model that `crnn train` wrote."""
    assert run("train", "--text", "words.txt", *SMALL)[0] == 0
    return "model.safetensors"


@pytest.fixture
def planned(monkeypatch):
    """Sets the plan of all passes: segments of at most so many steps, and so many levels."""

    def set_plan(most, levels):
        def plan(model, steps, m, _, lengths, symbols, penalty):
            found = _planned(Costs(model, steps, m, lengths, symbols, penalty), most, levels)
            assert len(found.begins) > 1
            return found

        monkeypatch.setattr(networks, "plan", plan)

    return set_plan
