"""The C side alone: under sanitizers, and for a machine that this one is not."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "src" / "crnn" / "csrc"
SOURCES = [*sorted(path for path in CSRC.glob("*.c") if path.stem != "probe")]
CHECK = ROOT / "tests" / "c" / "check_kernels.c"


def build_and_run(tmp_path, compiler, *flags, under=()):
    program = tmp_path / "check_kernels"
    built = subprocess.run(
        [compiler, "-std=c11", "-I", CSRC, *flags, CHECK, *SOURCES, "-lm", "-lpthread",
         "-o", program],
        capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    done = subprocess.run([*under, program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has_sanitizers(compiler):
    if sys.platform == "win32" or shutil.which(compiler) is None:
        return False
    flags = ["-x", "c", "-", "-fsanitize=address,undefined", "-o", "/dev/null"]
    return subprocess.run([compiler, *flags], input=b"int main(void){return 0;}").returncode == 0


def test_no_step_outside_an_array_and_no_undefined_behaviour(tmp_path):
    """clang's sanitizers first: they see more."""
    compiler = next(filter(has_sanitizers, ("clang", "gcc")), None)
    if compiler is None:
        pytest.skip("no compiler with sanitizers")
    sanitizers = ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    assert "portable float" in build_and_run(tmp_path, compiler, *sanitizers)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warning(tmp_path, compiler):
    if sys.platform == "win32" or shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    build_and_run(tmp_path, compiler, "-O1", "-Wall", "-Wextra", "-Werror")


def test_neon(tmp_path):
    """On an ARM machine as it is; elsewhere by a cross compiler, under an emulator."""
    if platform.machine() in ("aarch64", "arm64"):
        out = build_and_run(tmp_path, "cc", "-O2")
    elif shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64"):
        out = build_and_run(
            tmp_path, "aarch64-linux-gnu-gcc", "-O2", "-static", under=["qemu-aarch64"]
        )
    else:
        pytest.skip("no ARM here: needs aarch64-linux-gnu-gcc and qemu-aarch64")
    assert "neon float" in out
    assert "neon double" in out
