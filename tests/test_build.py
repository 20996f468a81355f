"""setup.py's build of the extensions: the flags of the user, and a machine without a compiler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gives flags as Unix does")

#: Builds one C file with setup.py's own command, in the current folder.
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
int is_nan(double x) { return x != x; }
double sum(const double *x) { return ((x[0] + x[1]) - x[0]) - x[1]; }
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


@pytest.mark.parametrize("flags", ["", "-ffast-math", "-Ofast", "-funsafe-math-optimizations"])
def test_fast_math_is_turned_off_again(tmp_path, flags):
    (tmp_path / "probe.c").write_text(SOURCE)
    built = python(BUILD, tmp_path, CFLAGS=flags, LDFLAGS=flags)
    assert built.returncode == 0, built.stderr
    used = python(USE, tmp_path)
    assert used.returncode == 0, used.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="looks for a section of ELF files")
@pytest.mark.parametrize(("flags", "debug"), [("", False), ("-O1 -g", True)])
def test_debug_information_only_where_it_is_asked_for(tmp_path, flags, debug):
    """It would be four fifths of the package."""
    (tmp_path / "probe.c").write_text(SOURCE)
    built = python(BUILD, tmp_path, CFLAGS=flags)
    assert built.returncode == 0, built.stderr
    (library,) = tmp_path.glob("probe*.so")
    assert (b".debug_info" in library.read_bytes()) is debug


def test_a_missing_compiler_is_named_with_the_way_to_get_one(tmp_path):
    (tmp_path / "probe.c").write_text(SOURCE)
    built = python(BUILD, tmp_path, CC="no-such-cc")
    assert built.returncode != 0
    assert "there is no C compiler 'no-such-cc'. Install one" in built.stderr
