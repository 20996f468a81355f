"""libcrnn, built by CMake as a user builds it, and its stepper for ctypes."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import crnn

ROOT = Path(__file__).parent.parent
FIRST_FIELDS = ("dtype", "cell", "activation", "equation", "link")
SIZES = ("n_x", "n_a", "n_y", "num_layers")
ARRAYS = ("Waa", "Wax", "ba", "baa", "a0", "c0")
DTYPES = {"float32": 1, "float64": 2}
CELLS = ("vanilla", "leaky", "gru", "lstm")


def run(*command, **options):
    """What a command prints. It must end with success, and within a time that only a hang takes."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_tools(*tools):
    """The reason to skip, or an empty string."""
    if sys.platform == "win32":
        return "drives compilers as Unix does"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"no {' and no '.join(missing)}" if missing else ""


def need(*tools):
    if reason := without_tools(*tools):
        pytest.skip(reason)


def installed(folder):
    """Build libcrnn in a folder and install it there; returns the prefix."""
    prefix, build = folder / "prefix", folder / "build"
    flags = ("-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_C_FLAGS_RELEASE=-O1")  # half the time of -O3
    run("cmake", "-S", crnn.get_source(), "-B", build, *flags)
    run("cmake", "--build", build, "-j", "2")
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix


class Weights(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *((name, ctypes.c_int) for name in FIRST_FIELDS),
        *((name, ctypes.c_ssize_t) for name in SIZES),
        *((name, ctypes.POINTER(ctypes.c_void_p)) for name in ARRAYS),
        *((name, ctypes.c_void_p) for name in ("Wya", "by", "leak")),
    ]


class Sizes(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *((name, ctypes.c_int) for name in ("dtype", "cell", "link")),
        *((name, ctypes.c_ssize_t) for name in ("m", *SIZES)),
        ("state_bytes", ctypes.c_size_t),
    ]


def load(prefix):
    library = ctypes.CDLL(str(prefix / "lib" / "libcrnn.so"))
    library.crnn_stepper_create.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p]
    library.crnn_stepper_create_from_memory.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_void_p]  # fmt: skip
    library.crnn_stepper_create_from_file.argtypes = [
        ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_void_p]  # fmt: skip
    for name in ("step", "step_symbols", "get_sizes"):
        getattr(library, f"crnn_stepper_{name}").argtypes = [ctypes.c_void_p] * (
            2 if name == "get_sizes" else 3
        )
    for name in ("get_state", "set_state"):
        getattr(library, f"crnn_stepper_{name}").argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]  # fmt: skip
    library.crnn_stepper_reset.argtypes = [ctypes.c_void_p]
    library.crnn_stepper_reset_row.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
    library.crnn_stepper_destroy.argtypes = [ctypes.c_void_p]
    library.crnn_version.restype = library.crnn_kernels_name.restype = ctypes.c_char_p
    library.crnn_status_message.restype = ctypes.c_char_p
    return library


class Stepper:
    """A stepper of the library, which fails the test on any status but CRNN_OK."""

    def __init__(self, library, model, create, *arguments):
        self.library, self.model, handle = library, model, ctypes.c_void_p()
        function = getattr(library, f"crnn_stepper_{create}")
        self.status = function(*arguments, ctypes.byref(handle))
        self.handle = handle

    def call(self, name, *arguments):
        status = getattr(self.library, f"crnn_stepper_{name}")(self.handle, *arguments)
        assert status == 0, self.library.crnn_status_message(status)

    def step(self, x, m):
        y = np.empty((m, self.model.config.n_y), self.model.config.np_dtype)
        name = "step_symbols" if x.dtype == np.intp else "step"
        self.call(name, x.ctypes.data, y.ctypes.data)
        return y

    @property
    def sizes(self):
        sizes = Sizes(struct_size=ctypes.sizeof(Sizes))
        self.call("get_sizes", ctypes.byref(sizes))
        return sizes

    def state(self):
        state = np.empty(self.sizes.state_bytes, "u1")
        self.call("get_state", state.ctypes.data, len(state))
        return state.view(self.model.config.np_dtype)

    def close(self):
        self.library.crnn_stepper_destroy(self.handle)
