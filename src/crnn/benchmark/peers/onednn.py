"""oneDNN's recurrent primitives, through a C++ binding that is built on request."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from crnn import check
from crnn.benchmark.cases import Case
from crnn.benchmark.clock import fastest
from crnn.benchmark.peers.protocol import AnyGradients, Peer, Prepared
from crnn.reference import Array, Gradients, GRUGradients, LSTMGradients

SOURCE = Path(__file__).parents[1] / "onednn.cpp"
RUNTIME, HEADERS = "onednn-cpu-gomp", "onednn-devel-cpu-gomp"
NUMBERS = {"vanilla": 0, "gru": 2, "lstm": 3}  # in onednn.cpp
VERSION = "2023.2.0"  # its oneDNN is 3.2, the last that these packages have


class OneDnn(Peer):
    """The primitives, created once. Inference uses the fastest of their weight layouts.

    They are vanilla_rnn, lbr_gru (the reset gate after the product, as in crnn) and lstm.
    """

    name = "onednn"
    cells = tuple(NUMBERS)

    @classmethod
    def missing(cls) -> str | None:
        """The package that is missing, or that the binding has not been built."""
        for package in (RUNTIME, HEADERS):
            try:
                metadata.version(package)
            except metadata.PackageNotFoundError:
                return f"not installed: {package}=={VERSION}"
        if not binding().exists():
            return "its binding is not built: run with --build-onednn (needs g++)"
        return None

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """oneDNN takes all threads that OpenMP has."""
        return {"OMP_NUM_THREADS": str(threads)}

    def start(self, threads: int) -> None:
        """Load the binding."""
        self._library = library = ctypes.CDLL(str(binding()))
        library.crnn_onednn_error.restype = ctypes.c_char_p
        library.crnn_onednn_new.restype = ctypes.c_void_p
        library.crnn_onednn_layouts.argtypes = [ctypes.c_void_p]
        library.crnn_onednn_free.argtypes = [ctypes.c_void_p]
        library.crnn_onednn_train.argtypes = [ctypes.c_void_p]
        library.crnn_onednn_infer.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.crnn_onednn_results.argtypes = [ctypes.c_void_p, ctypes.c_void_p]

    def version(self) -> str:
        """The version of the library's package."""
        return metadata.version(RUNTIME)

    def prepare(self, case: Case) -> Prepared:
        """Create the primitives, and find the layout of the fastest inference."""
        if case.dtype != "float32":
            why = "oneDNN's recurrent primitives have float32 only"
            return Prepared(None, np.asarray, reasons={"forward": why, "training": why})
        rnn = _Rnn(self._library, case)
        layout = fastest([partial(rnn.infer, k) for k in range(rnn.layouts)])

        def forward() -> Any:
            rnn.infer(layout)
            return rnn

        def training() -> Any:
            rnn.train()
            return rnn

        return Prepared(forward, _Rnn.states, training, _Rnn.gradients)


class _Rnn:
    """A crnn_onednn of onednn.cpp, which owns copies of its input."""

    def __init__(self, library: Any, case: Case) -> None:
        self._library, self._case = library, case
        arrays = _inputs(case)
        pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        sizes = case.T, case.m, case.n_x, case.n_a
        self._handle = ctypes.c_void_p(
            library.crnn_onednn_new(NUMBERS[case.cell], *sizes, pointers)
        )
        if not self._handle:
            raise RuntimeError(library.crnn_onednn_error().decode())
        self.layouts: int = library.crnn_onednn_layouts(self._handle)

    def infer(self, layout: int) -> None:
        self._library.crnn_onednn_infer(self._handle, layout)

    def train(self) -> None:
        self._library.crnn_onednn_train(self._handle)

    def _results(self) -> list[Array]:
        """The arrays a, dWaa', dWax', dba, dx, da0 and, of an LSTM, dc0."""
        T, m, n_x, n_a = self._case.T, self._case.m, self._case.n_x, self._case.n_a
        units = self._case.gates * n_a
        biases = units + n_a if self._case.cell == "gru" else units
        shapes = [(T, m, n_a), (n_a, units), (n_x, units), (biases,), (T, m, n_x), (m, n_a)]
        if self._case.cell == "lstm":
            shapes.append((m, n_a))
        pointers = (ctypes.POINTER(ctypes.c_float) * len(shapes))()
        self._library.crnn_onednn_results(self._handle, pointers)
        return [
            np.ctypeslib.as_array(pointer, shape)
            for pointer, shape in zip(pointers, shapes, strict=True)
        ]

    def states(self) -> Array:
        return self._results()[0]

    def gradients(self) -> AnyGradients:
        _, dWaa, dWax, dba, dx, da0, *dc0 = self._results()
        if self._case.cell == "lstm":
            return LSTMGradients(dWaa.T, dWax.T, dba, dx, da0, dc0[0])
        if self._case.cell == "gru":
            n_a = self._case.n_a
            dWaa, dWax, units = (_other_order(d, n_a) for d in (dWaa.T, dWax.T, dba[: 3 * n_a]))
            return GRUGradients(dWaa, dWax, units, dba[3 * n_a :], dx, da0)
        return Gradients(dWaa.T, dWax.T, dba, dx, da0)

    def __del__(self) -> None:
        self._library.crnn_onednn_free(self._handle)


def _inputs(case: Case) -> list[Array]:
    """Waa, Wax, ba, x, a0, da and, of an LSTM, c0 and dc_n, as the binding reads them."""
    p = case.problem()
    if isinstance(p, check.Problem):
        return [*(p.arguments[name] for name in ("Waa", "Wax", "ba", "x", "a0")), p.da]
    Waa, Wax, ba = (p.arguments[name] for name in ("Waa", "Wax", "ba"))
    others = [p.arguments["x"], p.initial["a0"], p.da]
    if case.cell == "lstm":
        return [Waa, Wax, ba, *others, p.initial["c0"], p.dc_n]
    Waa, Wax, ba = (_other_order(w, case.n_a) for w in (Waa, Wax, ba))
    return [Waa, Wax, np.concatenate([ba, p.arguments["baa"]]), *others]


def _other_order(w: Array, n_a: int) -> Array:
    """The rows of a GRU's gates r, z, n in the order z, r, n, which is oneDNN's, or back."""
    return np.concatenate([w[n_a : 2 * n_a], w[:n_a], w[2 * n_a :]])


def binding() -> Path:
    """The path of the built binding: in the user's cache, with a hash of what it depends on."""
    told = os.environ.get("XDG_CACHE_HOME")
    cache = Path(told) if told else Path.home() / ".cache"
    what = SOURCE.read_bytes() + sys.prefix.encode() + VERSION.encode()
    return cache / "crnn" / f"onednn-{hashlib.sha256(what).hexdigest()[:16]}.so"


def build() -> Path:
    """Compile the binding against the installed packages. Raises RuntimeError if that fails."""
    header = _installed(HEADERS, "oneapi/dnnl/dnnl.hpp")
    library = _installed(RUNTIME, "libdnnl.so")
    made = binding()
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        new = Path(folder) / made.name
        command = [
            os.environ.get("CXX", "g++"), "-std=c++17", "-O2", "-shared", "-fPIC", str(SOURCE),
            f"-I{header.parents[2]}", str(library), f"-Wl,-rpath,{library.parent}", "-o", str(new),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except OSError as error:
            raise RuntimeError(f"--build-onednn: {command[0]} does not run: {error}") from None
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"--build-onednn: {error.stderr.strip()}") from None
        new.replace(made)
    return made


def _installed(package: str, name: str) -> Path:
    """A file of an installed package."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise RuntimeError(
            f"--build-onednn: python -m pip install {RUNTIME}=={VERSION} {HEADERS}=={VERSION}"
        ) from None
    for file in files:
        if str(file).endswith(name):
            return Path(str(file.locate())).resolve()
    raise RuntimeError(f"--build-onednn: {package} has no {name}")
