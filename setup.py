"""The extensions and their compiler flags; everything else is in pyproject.toml."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -fno-math-errno only spares the store to errno: no result changes by it.
FLAGS = {"unix": ["-O3", "-std=c11", "-fno-math-errno"], "msvc": ["/O2", "/std:c11"]}
CSRC = Path("src/crnn/csrc")


class BuildExt(build_ext):
    """Adds the flags of the compiler in use, which is known only now."""

    def build_extension(self, ext):
        ext.extra_compile_args += FLAGS.get(self.compiler.compiler_type, FLAGS["unix"])
        super().build_extension(ext)


kernels = Extension(
    "crnn._kernels",
    sources=[
        "src/crnn/_kernels.pyx",
        *sorted(path.as_posix() for path in CSRC.glob("*.c") if path.stem != "probe"),
    ],
    depends=sorted(path.as_posix() for path in CSRC.glob("*.h")),
    include_dirs=[CSRC.as_posix()],
)

probe = Extension(
    "crnn._probe",
    sources=["src/crnn/_probe.pyx", (CSRC / "probe.c").as_posix()],
    depends=[(CSRC / "probe.h").as_posix()],
    include_dirs=[CSRC.as_posix()],
)

setup(ext_modules=cythonize([kernels, probe], language_level=3), cmdclass={"build_ext": BuildExt})
