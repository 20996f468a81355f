"""Building the extensions with setup.py: the user's flags, and a missing compiler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from compilers import needs_compiler

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses Unix compiler flags")

#: Builds one C file in the current folder with the build_ext command of setup.py.
BUILD = f"""
import os, runpy, sys
import Cython.Build, setuptools
commands = []
Cython.Build.cythonize = lambda *arguments, **options: []
setuptools.setup = lambda **options: commands.append(options["cmdclass"]["build_ext"])
here = os.getcwd()
os.chdir({str(ROOT)!r})
runpy.run_path("setup.py")
os.chdir(here)
command = commands[0](setuptools.Distribution({{
    "name": "probe", "ext_modules": [setuptools.Extension("probe", ["probe.c"])]
}}))
command.inplace = True
command.ensure_finalized()
command.run()
"""

SOURCE = """
#include <Python.h>
Py_EXPORTED_SYMBOL int is_nan(double x) { return x != x; }
Py_EXPORTED_SYMBOL double sum(const double *x) { return ((x[0] + x[1]) - x[0]) - x[1]; }
PyMODINIT_FUNC PyInit_probe(void) { return NULL; }
"""

USE = """
import ctypes, glob, math
import numpy as np
library = ctypes.CDLL(glob.glob("./probe*.so")[0])
library.is_nan.argtypes = [ctypes.c_double]
library.sum.restype = ctypes.c_double
assert library.is_nan(math.nan) == 1
assert library.sum((ctypes.c_double * 2)(1.0, 1e-30)) == -1e-30, "the sum was reordered"
assert (np.full(4, 1e-40, np.float32) * 1 > 0).all(), "denormals are flushed in the whole process"
"""


def python(code, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True,
    )  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("flags", ["", "-ffast-math", "-Ofast", "-funsafe-math-optimizations"])
def test_fast_math_flags_are_overridden(tmp_path, flags):
    (tmp_path / "probe.c").write_text(SOURCE)
    built = python(BUILD, tmp_path, CFLAGS=flags, LDFLAGS=flags)
    assert built.returncode == 0, built.stderr
    used = python(USE, tmp_path)
    assert used.returncode == 0, used.stderr


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="looks for a section of ELF files")
@pytest.mark.parametrize(("flags", "debug"), [("", False), ("-O1 -g", True)])
def test_debug_information_is_included_only_on_request(tmp_path, flags, debug):
    """With debug information the package would be five times as large."""
    (tmp_path / "probe.c").write_text(SOURCE)
    built = python(BUILD, tmp_path, CFLAGS=flags)
    assert built.returncode == 0, built.stderr
    (library,) = tmp_path.glob("probe*.so")
    assert (b".debug_info" in library.read_bytes()) is debug


def test_a_missing_compiler_is_reported_with_how_to_install_one(tmp_path):
    (tmp_path / "probe.c").write_text(SOURCE)
    built = python(BUILD, tmp_path, CC="no-such-cc")
    assert built.returncode != 0
    assert "there is no C compiler 'no-such-cc'. Install one" in built.stderr
