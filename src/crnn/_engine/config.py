"""The run-time configuration: the kernels chosen at import, scipy's BLAS, and the threads."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy
from scipy.linalg import cython_blas

from crnn._engine import kernels, validate

#: Thread controls of the BLAS libraries that scipy is built with: (get, set) by name.
_CONTROLS = {
    "OpenBLAS": [
        ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
        ("openblas_get_num_threads", "openblas_set_num_threads"),
    ],
    "MKL": [("MKL_Get_Max_Threads", "MKL_Set_Num_Threads")],
    "BLIS": [("bli_thread_get_num_threads", "bli_thread_set_num_threads")],
}


@functools.cache
def _blas() -> ctypes.CDLL:
    return ctypes.CDLL(cython_blas.__file__)


def _blas_threads() -> tuple[str, Callable[[], int], Callable[[int], Any]] | None:
    """The BLAS that scipy.linalg.cython_blas is linked to, and its thread controls.

    A symbol is looked up in the module's own handle, which reaches the libraries it depends on.
    """
    library = _blas()
    for name, pairs in _CONTROLS.items():
        for get, set_ in pairs:
            if hasattr(library, get) and hasattr(library, set_):
                return name, getattr(library, get), getattr(library, set_)
    return None


_simd = ""


def set_up() -> None:
    """Choose the kernels that CRNN_SIMD names, or the best for this CPU. Called once, at import."""
    global _simd
    controls = _blas_threads()
    if controls is not None:
        address = ctypes.cast(cast(Any, controls[1]), ctypes.c_void_p).value
        kernels.limit_threads(address or 0)
    asked = os.environ.get("CRNN_SIMD") or None
    try:
        _simd = kernels.select(asked)
    except ValueError as error:
        raise ImportError(f"CRNN_SIMD: {error}") from None


def simd() -> str:
    """The name of the kernels in use."""
    return _simd


def set_num_threads(n: int) -> None:
    """Set the number of threads that crnn uses at most.

    It is the number of threads of scipy's BLAS. So this also sets the number for every other user
    of that library in the process, and threadpoolctl and OPENBLAS_NUM_THREADS set the same number.

    Parameters
    ----------
    n : int
        At least 1. A BLAS may have a maximum of its own, which it then uses (64 for the OpenBLAS
        in scipy's wheels).

    Raises
    ------
    TypeError, ValueError
        If n is not a whole number of at least 1.
    RuntimeError
        If scipy was built with a BLAS whose threads cannot be set.

    Examples
    --------
    >>> import crnn
    >>> before = crnn.get_num_threads()
    >>> crnn.set_num_threads(1)
    >>> crnn.get_num_threads()
    1
    >>> crnn.set_num_threads(before)
    """
    n = validate.count("n", n)
    controls = _blas_threads()
    if controls is None:
        raise RuntimeError("scipy's BLAS has no known way to set its number of threads")
    controls[2](n)


def get_num_threads() -> int:
    """The number of threads that crnn uses at most.

    Returns
    -------
    n : int
        The number of scipy's BLAS; 1 if that BLAS has no known way to read it.

    Examples
    --------
    >>> import crnn
    >>> crnn.get_num_threads() >= 1
    True
    """
    controls = _blas_threads()
    return 1 if controls is None else controls[1]()


def get_include() -> str:
    """The folder of ``crnn.h``, the C interface, for a compiler's include path.

    Returns
    -------
    path : str
        An absolute path. ``cimport crnn`` needs it too, when the generated C is compiled.

    Examples
    --------
    >>> import crnn, os
    >>> sorted(os.listdir(crnn.get_include()))
    ['crnn.h', 'crnn_stepper.h']
    """
    return str(Path(__file__).resolve().parents[1] / "include")


def get_source() -> str:
    """The folder with which CMake builds libcrnn, the C library without Python: see docs/embed.md.

    Returns
    -------
    path : str
        An absolute path, of the ``CMakeLists.txt``.

    Examples
    --------
    >>> import crnn, os
    >>> os.path.exists(os.path.join(crnn.get_source(), "CMakeLists.txt"))
    True
    """
    return str(Path(__file__).resolve().parents[1] / "capi")


def show_config() -> None:
    """Print the versions, the kernels in use, the BLAS and the number of threads.

    Examples
    --------
    >>> import crnn
    >>> crnn.show_config()  # doctest: +ELLIPSIS
    crnn     ...
    Python   ...
    numpy    ...
    scipy    ...
    kernels  ...
    BLAS     ...
    threads  ...
    """
    from crnn import __version__

    controls = _blas_threads()
    blas = "unknown to crnn (threads cannot be set)" if controls is None else controls[0]
    print(f"crnn     {__version__}")
    print(f"Python   {platform.python_version()} on {platform.platform()}")
    print(f"numpy    {np.__version__}")
    print(f"scipy    {scipy.__version__}")
    print(f"kernels  {_simd}")
    print(f"BLAS     {blas}")
    print(f"threads  {get_num_threads()}")
