"""The extensions and their compiler flags; everything else is in pyproject.toml."""

import os
import shutil
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

# A user's CFLAGS come before these, so that -ffast-math and its parts are turned off again: with
# them NaN and infinity are not recognised and sums are reordered. The linker needs the flags too:
# gcc would otherwise link a start-up file that flushes denormals in the whole process.
EXACT = [
    "-fno-fast-math",
    "-fno-unsafe-math-optimizations",
    "-fno-finite-math-only",
    "-fno-associative-math",
    "-fno-reciprocal-math",
    "-fsigned-zeros",
]
# -fno-math-errno only saves the store to errno: no result changes by it.
# -O3 makes the wheel an eighth larger and nothing faster: the kernels have vectors of their own.
LEVEL = ["-O2", "-ftree-vectorize"]
# Modules that hand work on: -Os makes them a quarter smaller, and epochs of 0.4 ms 1 to 4 % slower.
# (Not `sequence`: its smallest calls would take a tenth longer.)
GLUE = {f"crnn._engine.{name}" for name in ("_cython", "losses", "lyapunov", "pooling", "steps")}
# C without exceptions needs no tables for unwinding, which are a thirtieth of the wheel.
SMALL = ["-fno-asynchronous-unwind-tables", "-fvisibility=hidden"]
UNIX = [*LEVEL, "-std=c11", *EXACT, "-fno-math-errno", *SMALL]
MSVC = ["/O2", "/std:c11", "/fp:precise"]
CSRC = Path("src/crnn/_engine/csrc")
CAPI = Path("src/crnn/capi")
INCLUDE = Path("src/crnn/include")


def asks_for_debug_information():
    return any(flag.startswith("-g") for flag in os.environ.get("CFLAGS", "").split())


class BuildExt(build_ext):
    """Adds the flags of the compiler in use, which is known only now."""

    def build_extensions(self):
        if self.compiler.compiler_type != "msvc":  # setuptools itself explains a missing MSVC
            self.expect_compiler(self.compiler.compiler_so[0])
        super().build_extensions()

    def build_extension(self, ext):
        if self.compiler.compiler_type == "msvc":
            ext.extra_compile_args += MSVC + (["/O1"] if ext.name in GLUE else [])
        else:
            # Python's own flags ask for debug information, four fifths of the package's size.
            debug = [] if asks_for_debug_information() else ["-g0"]
            ext.extra_compile_args += UNIX + debug + (["-Os"] if ext.name in GLUE else [])
            ext.extra_link_args += [*LEVEL, *EXACT]
        super().build_extension(ext)

    def expect_compiler(self, command):
        if shutil.which(command) is None:
            raise PlatformError(
                f"crnn is compiled from C, and there is no C compiler {command!r}. Install one "
                "(Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; Alpine: apk "
                "add gcc musl-dev; macOS: xcode-select --install), or name it in the environment "
                "variable CC."
            )


HEADERS = sorted(
    path.as_posix()
    for path in (*CSRC.rglob("*.h"), *CSRC.glob("*.inc"), *CAPI.glob("*.h"), *INCLUDE.glob("*.h"))
)
KERNELS = sorted(path.as_posix() for path in CSRC.glob("*.c") if path.stem != "probe")
FUNCTIONS = sorted(path.as_posix() for path in CAPI.glob("*.c"))
ORDER = (CSRC / "order.c").as_posix()
PROBE = (CSRC / "probe.c").as_posix()
SHARED = "crnn._engine._cython"
XLA = (CSRC / "xla" / "handler.c").as_posix()


def extension(name, *sources):
    return Extension(
        f"crnn.{name}",
        sources=[f"src/crnn/{name.replace('.', '/')}.pyx", *sources],
        depends=HEADERS,
        include_dirs=[
            CSRC.as_posix(),
            CAPI.as_posix(),
            INCLUDE.as_posix(),
            np.get_include(),
        ],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
    )


extensions = [
    extension("_engine.kernels", *KERNELS, *FUNCTIONS),
    extension("_engine.losses"),
    extension("_engine.sequence"),
    extension("_engine.over_blas", ORDER),
    extension("_engine.steps"),
    extension("_engine.stream"),
    extension("_c_api"),
    extension("_engine.xla", XLA),
    extension("_engine.probe", PROBE),
    extension("_engine.lyapunov"),
    extension("_engine.pooling"),
    # Cython's code for typed memoryviews, which each module would otherwise have for itself.
    Extension(SHARED, sources=[f"src/{SHARED.replace('.', '/')}.c"]),
]

# Free-threading: no extension has state of its own that a call changes, but for the thread pool and
# each stream's, which have locks; the kernels in use are chosen once, at import.
DIRECTIVES = {"language_level": 3, "freethreading_compatible": True}

setup(
    ext_modules=cythonize(
        extensions, compiler_directives=DIRECTIVES, shared_utility_qualified_name=SHARED
    ),
    cmdclass={"build_ext": BuildExt},
)
