"""Programs in C and C++ that link libcrnn: docs/embed.md, the examples, and what a step calls.

They run under gcc's sanitizers and, where there is valgrind, under valgrind.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest
from libcrnn import ROOT, need, run

import crnn

PAGE = ROOT / "docs" / "embed.md"
EXAMPLES = ROOT / "examples" / "c"
CHECK = ROOT / "tests" / "c" / "stepper" / "check_stepper.c"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
SANITIZERS = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COUNTED = ("malloc", "calloc", "realloc", "free", "pthread_mutex_lock", "pthread_create", "fopen")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    crnn.RNN(1, 40, 1, cell="lstm", num_layers=2, loss="mse", rng=0).save(path)
    return path


def linked(prefix):
    return f"-I{prefix}/include", prefix / "lib" / "libcrnn.a", "-lm", "-lpthread"


def test_the_page_from_training_to_a_program(prefix, tmp_path, monkeypatch):
    """Its commands as they are written, but for the library, which is built already."""
    text = PAGE.read_text(encoding="utf-8")
    (program,), (cmake,) = pages.blocks(text, "c"), pages.blocks(text, "cmake")
    (train, compare), (build, use) = pages.blocks(text, "python"), pages.blocks(text, "sh")
    assert "crnn.get_source()" in build
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(train, "embed.md: train", "exec"), names)
    (tmp_path / "wave.c").write_text(program)
    (tmp_path / "CMakeLists.txt").write_text(cmake)
    (tmp_path / "libcrnn").symlink_to(prefix)
    run("sh", "-e", "-c", use)
    exec(compile(compare, "embed.md: compare", "exec"), names)
    continued = np.sin(0.2 * np.arange(101, 106))
    np.testing.assert_allclose(np.loadtxt("continued.txt"), continued, atol=0.1)


def test_pkg_config(prefix, model, tmp_path):
    need("pkg-config")
    found = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "crnn", env=found).split()
    program = tmp_path / "sine"
    run("cc", EXAMPLES / "sine.c", *flags, "-lm", "-o", program)
    path = {**os.environ, "LD_LIBRARY_PATH": str(prefix / "lib")}
    assert len(run(program, model, "7", env=path).splitlines()) == 7


@pytest.mark.parametrize("folder", ["lib", "/opt/somewhere/lib"])
def test_pkg_config_finds_the_library_from_where_its_file_is(folder, tmp_path):
    """So an installed library may be moved; also where the folder's name is absolute."""
    need("pkg-config", "cmake")
    run("cmake", "-S", crnn.get_source(), "-B", tmp_path, f"-DCMAKE_INSTALL_LIBDIR={folder}",
        "-DCMAKE_INSTALL_PREFIX=/usr/local")  # fmt: skip
    found = {**os.environ, "PKG_CONFIG_PATH": str(tmp_path)}
    away = {"lib": "../../include", "/opt/somewhere/lib": "../../../../usr/local/include"}[folder]
    for name, place in (("libdir", ".."), ("includedir", away)):
        value = run("pkg-config", f"--variable={name}", "crnn", env=found).strip()
        assert value == f"{tmp_path}/{place}"


@pytest.fixture(scope="module")
def examples(prefix, tmp_path_factory):
    """The folder of the examples that their CMakeLists.txt builds."""
    folder = tmp_path_factory.mktemp("examples")
    run("cmake", "-S", EXAMPLES, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder)
    return folder


def test_examples_do_what_they_say(examples, model):
    assert run(examples / "voices", model) == "right\n"
    stream = crnn.load(model).stream()
    for t in range(100):
        y = stream.step(np.sin(0.2 * np.full((1, 1), t, "float32")))
    printed = [float(line) for line in run(examples / "sine", model, "3").splitlines()]
    np.testing.assert_allclose(printed[0], y.item(), atol=1e-4)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """The objects of libcrnn under the sanitizers. -O0, and one table of kernels: to be quick."""
    need("gcc", "g++")
    folder = tmp_path_factory.mktemp("sanitized")
    package = ROOT / "src" / "crnn"
    kernels = package / "_engine" / "csrc"
    sources = [*sorted((package / "capi").glob("*.c")),
               *(kernels / f"{name}.c" for name in ("order", "portable", "threads"))]  # fmt: skip
    includes = [f"-I{package / name}" for name in ("capi", "include", "_engine/csrc")]
    objects = []
    for source in [*sources, ROOT / "tests" / "c" / "only_portable.c"]:
        objects.append(folder / f"{source.stem}.o")
        run("gcc", "-std=c11", "-O0", *SANITIZERS, "-Wall", "-Wextra", "-Werror", *includes, "-c",
            source, "-o", objects[-1])  # fmt: skip
    return objects


@pytest.mark.parametrize("name", ["sine.c", "voices.cpp"])
def test_examples_with_sanitizers_and_without_a_warning(prefix, sanitized, name, model, tmp_path):
    """The library's code too: its sources, compiled again at -O0 with the portable kernels."""
    compiler = ["gcc", "-std=c11"] if name.endswith(".c") else ["g++", "-std=c++11"]
    program = tmp_path / "example"
    run(*compiler, *WARNINGS, *SANITIZERS, f"-I{prefix}/include", EXAMPLES / name, *sanitized,
        "-lm", "-lpthread", "-o", program)  # fmt: skip
    assert run(program, model)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:-1])
    done = subprocess.run([program, damaged], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert "not a model of crnn's, or damaged" in done.stderr
    done = subprocess.run([program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert done.stderr.startswith(f"usage: {Path(name).stem} MODEL")


@pytest.fixture(scope="module")
def counting(prefix, tmp_path_factory):
    """check_stepper, in which every function that allocates or waits counts its calls."""
    program = tmp_path_factory.mktemp("counting") / "check_stepper"
    wrapped = "-Wl," + ",".join(f"--wrap={name}" for name in COUNTED)
    command = ["cc", "-std=c11", "-O1", *WARNINGS, wrapped, CHECK, *linked(prefix), "-o", program]
    if not sys.platform.startswith("linux"):
        pytest.skip("the linker's --wrap is that of Linux")
    run(*command)
    return program


@pytest.mark.parametrize("cell", ["vanilla", "leaky", "gru", "lstm"])
def test_after_creation_nothing_is_allocated_or_locked(counting, cell, tmp_path):
    leak = {"leak": 0.5, "equation": "current"} if cell == "leaky" else {}
    path = tmp_path / "model.safetensors"
    crnn.RNN(3, 20, 2, cell=cell, num_layers=2, rng=0, **leak).save(path)
    assert run(counting, path) == "stepper: right\n"


def test_a_loop_of_large_steps_wakes_a_worker(prefix, tmp_path):
    """One step does not, nor do steps with pauses: waking takes longer than it saves."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the linker's --wrap is that of Linux")
    program = tmp_path / "check_loop"
    source = CHECK.parents[1] / "threads" / "check_loop.c"
    run("cc", "-std=c11", "-O1", *WARNINGS, "-Wl,--wrap=clock_gettime,--wrap=pthread_create",
        source, *linked(prefix), "-o", program)  # fmt: skip
    assert run(program) == "workers: 0 0 1\n"


def test_where_the_memory_of_a_stepper_lies(sanitized, tmp_path):
    """Large memory begins at a huge page, which is asked for and need not be given."""
    if not sys.platform.startswith("linux"):
        pytest.skip("huge pages are asked for on Linux only")
    program = tmp_path / "check_pages"
    run("gcc", "-std=c11", *WARNINGS, *SANITIZERS, "-Wl,--wrap=madvise",
        f"-I{ROOT / 'src' / 'crnn' / 'capi'}", CHECK.with_name("check_pages.c"), *sanitized,
        "-lm", "-lpthread", "-o", program)  # fmt: skip
    limits = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1"}
    assert run(program, env=limits) == "pages: right\n"


class TestValgrind:
    """It finds nothing. Where it does not know the processor, the portable kernels run."""

    VALGRIND = ("valgrind", "--error-exitcode=9", "--leak-check=full", "-q")

    def test_in_the_check(self, counting, model):
        need("valgrind")
        assert run(*self.VALGRIND, counting, model) == "stepper: right\n"

    def test_in_the_examples(self, examples, model):
        need("valgrind")
        assert run(*self.VALGRIND, examples / "voices", model) == "right\n"
        assert len(run(*self.VALGRIND, examples / "sine", model, "3").splitlines()) == 3
