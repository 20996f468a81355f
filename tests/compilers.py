"""Whether this machine has a C compiler: the one way in which tests ask.

A wheel is tested on machines that have none. Tests that compile are then skipped by name.
"""

import os
import shutil
import sysconfig

import pytest


def of_python():
    """The path of the compiler that builds extensions of this Python, or None."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cl").split()[0]
    return shutil.which(command)


def gcc_or_clang():
    """The path of one of the two, or None."""
    return shutil.which("gcc") or shutil.which("clang")


needs_compiler = pytest.mark.skipif(of_python() is None, reason="no C compiler")
