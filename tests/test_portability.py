"""The C side alone: as shipped, under sanitizers, and for processors that this one is not.

Every build runs the same program, `tests/c/check_*.c`: each table of kernels against the equations
in plain C. That takes minutes, so these tests run with `-m ports` only, as in CI. What a test needs
besides Python is named by `need`; where that is missing the test is skipped, or, with
CRNN_REQUIRE_PORTS set, fails. CI sets it. CRNN_FUZZ=N tries N times as many random shapes.
"""

import itertools
import os
import platform
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fuzz.damage import ends_of_headers, entries, misfits
from fuzz.test_files import checkpoints, models

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "src" / "crnn" / "_engine" / "csrc"
KERNELS = [path for path in sorted(CSRC.glob("*.c")) if path.stem != "probe"]
CAPI = ROOT / "src" / "crnn" / "capi"
INCLUDE = ROOT / "src" / "crnn" / "include"
CHECKS = ROOT / "tests" / "c"
CHECK_KERNELS = sorted(CHECKS.glob("check_*.c"))
# The thread pool, with one table of kernels; and calls and streams that share their weights.
POOL = [CSRC / name for name in ("threads.c", "order.c", "portable.c")]
CHECK_THREADS = [CHECKS / "threads" / "check_threads.c", *POOL]
CHECK_CALLS = [CHECKS / "threads" / "check_calls.c", *POOL]
CHECK_FORK = [CHECKS / "threads" / "check_fork.c", CSRC / "threads.c"]
# The C interface, with that table.
FUNCTIONS = [*sorted(CAPI.glob("*.c")), *POOL]
CHECK_SETTINGS = [CHECKS / "threads" / "check_settings.c", *FUNCTIONS]
EMULATED = CHECKS / "emulated"

SHIPPED = ("-O2", "-ftree-vectorize", "-fno-math-errno")  # beside -std=c11: setup.py
WARNINGS = ("-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

# What runs with the extension under sanitizers.
HOSTILE = (
    "test_hostile_arguments.py", "fuzz/test_models.py", "fuzz/test_compiled.py",
    "fuzz/test_files.py",
)  # fmt: skip
TABLES = ("avx512", "avx2", "neon", "portable")
RANDOM_CASES = 20 * int(os.environ.get("CRNN_FUZZ", 1))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="drives compilers as Unix does")


def need(*tools):
    """Skip without these programs; fail where every port has to be tried."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        without(f"no {' and no '.join(missing)}")


def without(what):
    (pytest.fail if os.environ.get("CRNN_REQUIRE_PORTS") else pytest.skip)(what)


def accepts(compiler, flags, source="int main(void) { return 0; }"):
    command = [*compiler, "-x", "c", "-", *flags, "-o", os.devnull]
    return subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0


def run(*command, cwd=None, **environment):
    """What a command prints. It must end with success, and within a time that only a hang takes."""
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment},
        timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def random_bytes(n, length):
    """n seeds of a corpus: choices of every kind."""
    draw = random.Random(0)
    return [draw.randbytes(length) for _ in range(n)]


def side_by_side(function, *arguments):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, *arguments))


def compiled(folder, compiler, flags, sources, of_checks=None):
    """The objects of sources, compiled side by side. The checks may have flags of their own."""

    def one(source):
        own = flags if of_checks is None or source not in CHECK_KERNELS else of_checks
        target = folder / f"{source.parent.name}_{source.stem}.o"
        run(*compiler, "-std=c11", *own, "-I", CSRC, "-I", INCLUDE, "-c", source, "-o", target)
        return target

    return side_by_side(one, sorted(sources, key=lambda source: "avx512" not in source.name))


def build(folder, compiler, flags, sources, of_checks=None):
    """An executable program."""
    objects = compiled(folder, compiler, flags, sources, of_checks)
    program = folder / "check.exe"  # Wine asks for the suffix
    run(*compiler, *flags, *objects, "-lm", "-lpthread", "-o", program)
    return program


def check(*command, **environment):
    """What the program of the checks prints for every table and dtype, side by side."""

    def one(part):
        return run(*command, *part, str(RANDOM_CASES), **environment)

    return "".join(side_by_side(one, itertools.product(TABLES, ("float", "double"))))


@pytest.mark.ports
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_as_shipped(tmp_path, compiler):
    """No warning, and every table right, with the flags that setup.py gives."""
    need(compiler)
    out = check(build(tmp_path, [compiler], SHIPPED + WARNINGS, CHECK_KERNELS + KERNELS))
    assert "portable float rnn" in out


@pytest.mark.ports
def test_no_step_outside_an_array_and_no_undefined_behaviour(tmp_path):
    """By clang's sanitizers where there are some: they see more.

    With -O1 clang takes ten times as long to compile the kernels.
    """
    need("clang")
    if not accepts(["clang"], SANITIZERS):
        without("no sanitizers for clang")
    flags = ("-O0", *SANITIZERS)
    kernels = [EMULATED / "avx2.c", *(source for source in KERNELS if source.stem != "avx2")]
    out = check(build(tmp_path, ["clang"], flags, CHECK_KERNELS + kernels, of_checks=("-O1",)))
    assert "portable float rnn" in out


@pytest.mark.ports
def test_extension_under_sanitizers(tmp_path):
    """Cython's code, which no check in C sees, with hostile arguments and random models.

    Python itself has no sanitizers, so theirs are loaded before it.
    """
    need("clang")
    library = run("clang", f"-print-file-name=libclang_rt.asan-{platform.machine()}.so").strip()
    if not Path(library).is_file():
        without("no sanitizers for clang")
    compiler = tmp_path / "cc"
    compiler.write_text(
        "#!/bin/sh\n# With -O1 and more, clang takes ten times as long to compile the kernels.\n"
        f'exec clang "$@" -O0 {" ".join(SANITIZERS)} -shared-libasan\n'
    )
    compiler.chmod(0o755)
    places = ["--build-lib", tmp_path / "lib", "--build-temp", tmp_path / "temp"]
    command = [sys.executable, ROOT / "setup.py", "-q", "build", *places, "--parallel", "2"]
    run(*command, CC=compiler, CFLAGS="-g1", cwd=ROOT)
    tests = [ROOT / "tests" / name for name in HOSTILE]
    run(
        sys.executable, "-m", "pytest", "-q", "--capture=sys", "-p", "no:cacheprovider", *tests,
        cwd=ROOT, PYTHONPATH=tmp_path / "lib", PYTHONMALLOC="malloc", OMP_NUM_THREADS="1",
        LD_PRELOAD=library, ASAN_OPTIONS="detect_leaks=0", UBSAN_OPTIONS="print_stacktrace=1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """A function that builds a target of tests/c/fuzz with clang's libFuzzer, and runs it."""
    need("clang")
    flags = ("-O0", "-g1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    if not accepts(["clang"], [*flags, "-c"]):
        without("no libFuzzer for clang")
    folder = tmp_path_factory.mktemp("fuzzed")
    sources = [CHECKS / "only_portable.c", *FUNCTIONS]
    library = compiled(folder, ["clang"], (*flags, "-I", CAPI), sources)

    def fuzz(target, runs, longest, corpus):
        own = compiled(folder, ["clang"], (*flags, "-I", CAPI), [CHECKS / "fuzz" / f"{target}.c"])
        program, seeds = folder / target, folder / f"{target}_corpus"
        run("clang", *flags, *own, *library, "-lm", "-lpthread", "-o", program)
        seeds.mkdir()
        for k, content in enumerate(corpus):
            (seeds / str(k)).write_bytes(content)
        options = [
            f"-runs={runs * RANDOM_CASES}",
            f"-max_len={longest}",
            "-len_control=0",
            "-timeout=10",
            "-rss_limit_mb=1024",
            "-seed=1",
            f"-artifact_prefix={folder}/",
        ]
        run(program, seeds, *options)

    return fuzz


@pytest.mark.ports
def test_files_of_steppers_under_a_fuzzer(fuzzed):
    """From good files: a bad one is refused, and no byte outside is read."""
    corpus = [content for good in models() for content in (good, *ends_of_headers(good))]
    corpus += [content for _, content in misfits(models()[0])]
    fuzzed("fuzz_stepper", 2000, 8192, [*corpus, *checkpoints()])


@pytest.mark.ports
def test_entries_of_files_under_a_fuzzer(fuzzed):
    """What crnn wrote into the header, and what does not end as JSON does."""
    fuzzed("fuzz_entry", 2000, 2048, entries(models()))


@pytest.mark.ports
@pytest.mark.parametrize("target", ["fuzz_calls", "fuzz_weights"])
def test_records_of_the_c_interface_under_a_fuzzer(fuzzed, target):
    """What fits is accepted, and nothing else; no byte outside an array is read or written."""
    fuzzed(target, 400, 256, random_bytes(256, 256))


@pytest.mark.ports
def test_avx512_emulated(tmp_path):
    """The AVX-512 source on any processor: SIMDe says in C what each instruction does.

    Under gcc's sanitizers: a masked load that reads a lane too many is seen.
    """
    need("gcc")
    if not accepts(["gcc"], ["-E"], "#include <simde/x86/avx512.h>"):
        without("no SIMDe: Debian's libsimde-dev")
    # -Wno-psabi: vectors of 64 bytes are passed in memory here, by everyone alike
    emulated = ("-O1", "-Wno-psabi", "-DEMULATED_AVX512", "-I", EMULATED)
    sources = [*CHECK_KERNELS, EMULATED / "avx512.c", CSRC / "threads.c", CSRC / "order.c"]
    out = check(build(tmp_path, ["gcc"], (*emulated, *SANITIZERS), sources, of_checks=emulated))
    assert "avx512 float rnn" in out
    assert "avx512 double rnn" in out


THREAD_SANITIZER = ("-O1", "-g1", "-fsanitize=thread")


def need_thread_sanitizer():
    need("clang")
    if not accepts(["clang"], ["-fsanitize=thread"]):
        without("no ThreadSanitizer for clang")


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        (CHECK_THREADS, "threads: right\n"),
        (CHECK_CALLS, "calls: right\n"),
        (CHECK_SETTINGS, "settings: right\n"),
    ],
    ids=["threads", "calls", "settings"],
)
def test_threads_without_a_race(tmp_path, sources, says):
    """Workers, barriers and several callers at once; every cell, and streams; new settings."""
    need_thread_sanitizer()
    assert run(build(tmp_path, ["clang"], (*THREAD_SANITIZER, "-I", CAPI), sources)) == says


def test_a_fork_does_not_wait_for_a_call_under_way(tmp_path):
    """The call ends only after the fork: a fork that waited for it would never return."""
    need("gcc")
    assert run(build(tmp_path, ["gcc"], SHIPPED + WARNINGS, CHECK_FORK)) == "fork: right\n"


@pytest.mark.parametrize(
    "compiler", ["gcc", "clang", "aarch64-linux-gnu-gcc", "x86_64-w64-mingw32-gcc"]
)
def test_the_c_interface_compiles_without_a_warning(compiler):
    """What libcrnn has besides the kernels; tests/test_libcrnn.py runs it."""
    need(compiler)
    folders = ["-I", CAPI, "-I", CSRC, "-I", INCLUDE]
    flags = ["-std=c11", "-pedantic", *WARNINGS, "-fsyntax-only", *folders]
    run(compiler, *flags, *sorted(CAPI.glob("*.c")))


def test_a_fork_without_a_race(tmp_path):
    need_thread_sanitizer()
    program = build(tmp_path, ["clang"], THREAD_SANITIZER, CHECK_FORK)
    assert run(program, TSAN_OPTIONS="die_after_fork=0") == "fork: right\n"


@pytest.mark.parametrize("flag", ["-ffast-math", "-ffinite-math-only", "-Ofast"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_flags_that_would_make_wrong_kernels_are_refused(compiler, flag):
    """setup.py turns them off; a build of the C files by other means must stop."""
    need(compiler)
    folders = ["-I", CSRC, "-I", INCLUDE]
    command = [compiler, "-std=c11", *folders, flag, "-fsyntax-only", CSRC / "portable.c"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "compile with -fno-fast-math" in done.stderr


@pytest.mark.ports
@pytest.mark.parametrize(
    "compiler", [["aarch64-linux-gnu-gcc"], ["clang", "--target=aarch64-linux-gnu"]], ids=" ".join
)
def test_neon(tmp_path, compiler):
    """By a cross compiler, under an emulator; on an ARM machine `test_as_shipped` runs it."""
    if platform.machine() in ("aarch64", "arm64"):
        pytest.skip("this is an ARM machine")
    need("aarch64-linux-gnu-gcc", compiler[0], "qemu-aarch64")
    program = build(tmp_path, compiler, (*SHIPPED, "-static"), CHECK_KERNELS + KERNELS)
    out = check("qemu-aarch64", program)
    assert "neon float rnn" in out
    assert "neon double rnn" in out


def windows_program(folder, sources):
    """By MinGW; returns the command that runs it under Wine, and the environment for that."""
    wine = shutil.which("wine64") or "/usr/lib/wine/wine64"  # where Debian's wine64 puts it
    need("x86_64-w64-mingw32-gcc", wine)
    flags = (*SHIPPED, *WARNINGS, "-static", "-I", CAPI)
    program = build(folder, ["x86_64-w64-mingw32-gcc"], flags, sources)
    return (wine, program), {"WINEPREFIX": folder / "wine", "WINEDEBUG": "-all"}


@pytest.mark.ports
def test_paths_on_windows(tmp_path):
    """UTF-8, whatever the code page; a device is refused, and nothing waits for it."""
    sources = [CHECKS / "stepper" / "check_paths.c", CHECKS / "only_portable.c", *FUNCTIONS]
    command, environment = windows_program(tmp_path, sources)
    (tmp_path / "model").write_bytes(models()[0])
    assert run(*command, "model", cwd=tmp_path, **environment) == "paths: right\n"


@pytest.mark.ports
@pytest.mark.parametrize(
    ("sources", "says"),
    [(CHECK_KERNELS + KERNELS, "portable float rnn"), (CHECK_THREADS, "threads: right")],
    ids=["kernels", "threads"],
)
def test_windows(tmp_path, sources, says):
    """By MinGW, under Wine: Windows' calling convention, its sizes, its threads."""
    command, environment = windows_program(tmp_path, sources)
    assert says in run(*command, **environment)
