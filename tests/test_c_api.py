"""The C interface: through its capsule, and from a package outside, built on what is installed."""

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pages
import pytest
from c_problem import CallProblem
from c_record import (
    ALIGNMENT,
    API,
    DTYPE,
    LENGTH,
    NULL,
    OK,
    OPTION,
    SIZE,
    STATUSES,
    SYMBOL,
    VERSION,
    WORKSPACE,
    Call,
    NewerCall,
)
from compilers import gcc_or_clang, needs_compiler

import crnn
from crnn import check

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "c_api.md"

#: Bytes of the record in version 0.1.0, which ended before da_n.
FIRST_SIZE = Call.da_n.offset


class Problem(CallProblem):
    """A call of the vanilla cell."""

    def __init__(self, T=7, m=3, n_x=5, n_a=6, *, ba=True, a0=True, offset=0, **kind):
        self.problem = p = check.problem(T, m, n_x, n_a, **kind)
        lengths = p.options["lengths"]
        inputs = {**p.arguments, "da": p.da}
        for name, given in (("ba", ba), ("a0", a0)):
            if not given:
                p.arguments[name] = np.zeros_like(inputs.pop(name))
        shapes = {"a": (T, m, n_a), "dWaa": (n_a, n_a), "dWax": (n_a, n_x), "dba": (n_a,),
                  "da0": (m, n_a)}  # fmt: skip
        options = {"activation": p.options["activation"] == "relu", "reverse": p.options["reverse"]}
        super().__init__("rnn", (T, m, n_x, n_a), inputs, lengths, shapes, offset, **options)

    def expected(self):
        p = self.problem
        a = crnn.rnn_forward(**p.arguments, **p.options)
        return {"a": a, **check.backward_of(crnn.rnn_backward, p, a)._asdict()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_numbers_are_those_of_the_package(dtype, activation, table):
    for kind in check.KINDS:
        Problem(dtype=dtype, activation=activation, **kind).assert_as_in_python()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_may_be_absent_may_be_absent(dtype, table):
    Problem(dtype=dtype, ba=False, a0=False).assert_as_in_python()
    p = Problem(dtype=dtype)
    p.assert_as_in_python()
    wanted = {name: p.outputs[name].copy() for name in ("dWaa", "dWax")}
    for name in ("dba", "dx", "da0"):
        p.outputs[name][...] = np.nan
        setattr(p.call, name, None)
    p.run(backward=1)
    for name, value in wanted.items():
        np.testing.assert_array_equal(p.outputs[name], value)
    assert all(np.isnan(p.outputs[name]).all() for name in ("dba", "dx", "da0"))


@pytest.mark.parametrize("offset", [1, 4, 63])
def test_a_workspace_may_begin_anywhere(offset, table):
    Problem(dtype="float32", lengths=True, offset=offset).assert_as_in_python()


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_is_never_read(reverse, table):
    for integers in (False, True):
        p = Problem(lengths=True, reverse=reverse, integers=integers)
        padding = np.arange(7)[:, None] >= p.arrays["lengths"]
        assert padding.any()
        (p.arrays["symbols"] if integers else p.arrays["x"])[padding] = -1 if integers else np.nan
        p.arrays["da"][padding] = np.nan
        p.problem.arguments["x"][padding] = 0
        if not integers:  # the problem's x is the call's: put NaN where the call alone sees it
            x = p.arrays["x"].copy()
            x[padding] = np.nan
            p.call.x = x.ctypes.data
        p.assert_as_in_python()


def test_inputs_are_only_read():
    p = Problem(lengths=True)
    before = {name: array.copy() for name, array in p.inputs.items()}
    p.run(backward=0)
    p.run(backward=1)
    for name, array in p.inputs.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_record_of_an_older_version():
    """What its caller has never heard of counts as zero, whatever stands behind the record."""
    p = Problem()
    p.call.struct_size, p.call.da_n = FIRST_SIZE, 8
    p.assert_as_in_python()


def test_a_record_of_a_newer_version():
    """It is fine while it uses nothing that is unknown here, and refused otherwise."""
    p = Problem()
    newer = NewerCall()
    ctypes.memmove(ctypes.byref(newer), ctypes.byref(p.call), ctypes.sizeof(Call))
    newer.struct_size = ctypes.sizeof(NewerCall)
    p.call = newer
    p.assert_as_in_python()
    newer.more = 1
    assert API.rnn_forward(newer) == API.rnn_backward(newer) == VERSION
    assert API.rnn_workspace(newer, 0, ctypes.c_size_t()) == VERSION


@pytest.mark.parametrize("kind", [{}, {"lengths": True}, {"reverse": True}, {"integers": True}])
def test_the_gradient_of_the_last_step_alone(kind):
    """da_n in place of a da that is zero but for each example's last step read."""
    p = Problem(**kind)
    p.run(backward=0)
    da, lengths = p.problem.da, p.problem.options["lengths"]
    T, m, _ = da.shape
    last = np.zeros(m, int) if p.call.reverse else np.full(m, T) - 1
    if lengths is not None and not p.call.reverse:
        last = lengths - 1
    da_n = np.ascontiguousarray(da[last, np.arange(m)])
    da[...] = 0
    da[last, np.arange(m)] = da_n
    p.run(backward=1)
    dense = {name: p.outputs[name].copy() for name in p.outputs}
    p.call.da, p.call.da_n = None, da_n.ctypes.data
    p.run(backward=1)
    for name, output in p.outputs.items():
        np.testing.assert_array_equal(output, dense[name], err_msg=name)


class TestPacked:
    """Arrays without padding: offsets say where each step begins."""

    def packed(self, lengths=(5, 5, 2, 1), offsets=(0, 4, 7, 9, 11)):
        p = Problem(5, 4)
        self.kept = np.array(lengths, np.intp), np.array(offsets, np.intp)
        p.call.lengths, p.call.offsets = (array.ctypes.data for array in self.kept)
        return p

    def test_the_bits_of_rnn_forward(self):
        p = self.packed()
        p.run(backward=0)
        x = p.arrays["x"].reshape(-1, 5)[:13]
        weights = [p.arrays[name] for name in ("Waa", "Wax", "ba", "a0")]
        a = crnn.rnn_forward(x, *weights, lengths=[5, 5, 2, 1], activation="tanh")
        np.testing.assert_array_equal(p.outputs["a"].reshape(-1, 6)[:13], a)
        assert np.isnan(p.outputs["a"].reshape(-1, 6)[13:]).all()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"lengths": (4, 4, 2, 1)},
            {"lengths": (5, 2, 5, 1)},
            {"offsets": (1, 4, 7, 9, 11)},
            {"offsets": (0, 4, 7, 9, 10)},
        ],
    )
    def test_offsets_that_do_not_fit(self, wrong):
        p = self.packed(**wrong)
        assert p.refused() == p.refused(backward=1) == LENGTH


class TestRefused:
    @pytest.mark.parametrize(
        ("field", "value", "status"),
        [
            ("struct_size", 0, VERSION),
            ("struct_size", FIRST_SIZE - 1, VERSION),
            ("struct_size", 2**40, VERSION),
            ("dtype", 0, DTYPE),
            ("dtype", 3, DTYPE),
            ("activation", 2, OPTION),
            ("reverse", 2, OPTION),
            ("threads", -1, OPTION),
            *[(size, value, SIZE) for size in ("T", "m", "n_x", "n_a") for value in (0, -1)],
            *[(size, 2**31, SIZE) for size in ("m", "n_x", "n_a")],
            ("T", 2**62, SIZE),
            ("n_a", 2**31 - 1, SIZE),
        ],
    )
    def test_by_both_and_by_the_query(self, field, value, status):
        p = Problem()
        setattr(p.call, field, value)
        assert p.refused() == p.refused(backward=1) == status
        if status != OPTION:  # the workspace depends on no option
            bytes_ = ctypes.c_size_t(17)
            assert API.rnn_workspace(p.call, 0, bytes_) == status
            assert bytes_.value == 17

    @pytest.mark.parametrize("name", ["x", "Waa", "Wax", "a", "workspace"])
    def test_absent(self, name):
        p = Problem()
        setattr(p.call, name, None)
        assert p.refused() == p.refused(backward=1) == NULL

    @pytest.mark.parametrize("name", ["da", "dWaa", "dWax"])
    def test_absent_from_backward(self, name):
        p = Problem()
        setattr(p.call, name, None)
        assert p.refused(backward=1) == NULL

    def test_no_record_and_no_place_for_the_answer(self):
        assert API.rnn_forward(None) == API.rnn_backward(None) == NULL
        assert API.rnn_workspace(None, 0, ctypes.c_size_t()) == NULL
        assert API.rnn_workspace(Problem().call, 0, None) == NULL

    def test_both_kinds_of_input(self):
        p, symbols = Problem(), np.zeros((7, 3), np.intp)
        p.call.symbols = symbols.ctypes.data
        assert p.refused() == p.refused(backward=1) == OPTION

    def test_gradients_of_symbols(self):
        p, dx = Problem(integers=True), np.zeros((7, 3, 5))
        p.call.dx = dx.ctypes.data
        assert p.refused(backward=1) == OPTION

    @pytest.mark.parametrize("wrong", [0, -1, 8])
    def test_lengths(self, wrong):
        p = Problem(lengths=True)
        p.arrays["lengths"][1] = wrong
        assert p.refused() == p.refused(backward=1) == LENGTH

    @pytest.mark.parametrize("wrong", [-1, 5])
    def test_symbols(self, wrong):
        p = Problem(integers=True)
        p.arrays["symbols"][6, 2] = wrong
        assert p.refused() == p.refused(backward=1) == SYMBOL

    @pytest.mark.parametrize("name", ["x", "Waa", "Wax", "a0", "a"])
    def test_misaligned(self, name):
        p = Problem()
        setattr(p.call, name, p.arrays[name].ctypes.data + 4)
        assert p.refused() == p.refused(backward=1) == ALIGNMENT

    @pytest.mark.parametrize("name", ["da", "dWaa", "dWax", "dba", "dx", "da0"])
    def test_misaligned_in_backward(self, name):
        p = Problem()
        setattr(p.call, name, p.arrays[name].ctypes.data + 4)
        assert p.refused(backward=1) == ALIGNMENT

    def test_misaligned_ba_and_integers(self):
        p = Problem(lengths=True, integers=True)
        for name in ("ba", "symbols", "lengths"):
            setattr(p.call, name, p.arrays[name].ctypes.data + 4)
            assert p.refused() == ALIGNMENT
            setattr(p.call, name, p.arrays[name].ctypes.data)

    @pytest.mark.parametrize("kind", [{}, {"lengths": True}, {"integers": True}])
    def test_a_workspace_one_byte_too_small(self, kind):
        p, bytes_ = Problem(**kind), ctypes.c_size_t()
        for backward in (0, 1):
            assert API.rnn_workspace(p.call, backward, bytes_) == OK
            p.call.workspace_bytes = bytes_.value - 1
            assert p.refused(backward) == WORKSPACE


def test_every_status_has_words_of_its_own():
    words = [API.status_message(status) for status in STATUSES]
    assert len(set(words)) == len(STATUSES)
    assert API.status_message(len(STATUSES)) == API.status_message(-1) == b"not a status of crnn"


def test_several_threads_call_at_a_time():
    """More than there are processors, some with the pool and some without it."""
    problems = [Problem(50, 8, 16, 64, dtype="float32", seed=k) for k in range(6)]

    def both(p):
        for threads in (1, 2, 0):
            p.call.threads = threads
            p.run(backward=0)
            p.run(backward=1)

    with ThreadPoolExecutor(len(problems)) as pool:
        list(pool.map(both, problems))
    for p in problems:
        p.assert_as_in_python()


def test_denormals_are_as_before_in_the_calling_thread():
    p, tiny = Problem(50, 8, 16, 64, dtype="float32"), np.float32(1e-40)
    p.run(backward=0)
    p.run(backward=1)
    assert tiny * np.float32(0.5) > 0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with crnn as its wheel has it.

    That is where it was installed; for a checkout, what the wheel would hold, with the extensions
    that are built already.
    """
    package = Path(crnn.__file__).parent
    if package != ROOT / "src" / "crnn":
        return package.parent
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build",
         "--build-base", folder / "build", "build_py", "--build-lib", folder],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    for extension in package.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
        shutil.copy(extension, folder / "crnn" / extension.relative_to(package))
    return folder


@needs_compiler
@pytest.mark.skipif(find_spec("Cython") is None, reason="no Cython")
@pytest.mark.skipif(find_spec("setuptools") is None, reason="no setuptools")
def test_an_outside_package_is_built_against_what_is_installed(site, tmp_path):
    """The page's files, built and run with nothing but the installed package in sight."""
    text = PAGE.read_text(encoding="utf-8")
    (states,), (plain,) = pages.blocks(text, "cython"), pages.blocks(text, "c")
    setup, use = pages.blocks(text, "python")
    files = {"states.pyx": states, "plain.c": plain, "setup.py": setup, "use.py": use}
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    if sys.platform != "win32":
        environment["CFLAGS"] = "-O0"  # what is built is called twice
    for command in (["setup.py", "-q", "build_ext", "--inplace"], ["use.py"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_header_compiles_alone_without_a_warning(language):
    compiler = gcc_or_clang()
    if compiler is None or sys.platform == "win32":
        pytest.skip("no gcc or clang")
    flags = ["-std=c++11" if language == "c++" else "-std=c99", "-pedantic", "-Wall", "-Wextra",
             "-Werror", "-fsyntax-only", "-I", crnn.get_include()]  # fmt: skip
    done = subprocess.run(
        [compiler, "-x", language, *flags, "-"],
        input="#include <crnn.h>\nint f(void);\nint f(void) { return crnn_rnn_new().T == 0; }\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
