"""The extensions and their compiler flags; everything else is in pyproject.toml."""

from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -fno-math-errno only spares the store to errno: no result changes by it.
FLAGS = {"unix": ["-O3", "-std=c11", "-fno-math-errno"], "msvc": ["/O2", "/std:c11"]}
CSRC = Path("src/crnn/_engine/csrc")
INCLUDE = Path("src/crnn/include")


class BuildExt(build_ext):
    """Adds the flags of the compiler in use, which is known only now."""

    def build_extension(self, ext):
        ext.extra_compile_args += FLAGS.get(self.compiler.compiler_type, FLAGS["unix"])
        super().build_extension(ext)


HEADERS = sorted(path.as_posix() for path in (*CSRC.rglob("*.h"), *INCLUDE.glob("*.h")))
KERNELS = sorted(path.as_posix() for path in CSRC.glob("*.c") if path.stem != "probe")
PROBE = (CSRC / "probe.c").as_posix()
XLA = (CSRC / "xla" / "handler.c").as_posix()


def extension(name, *sources):
    return Extension(
        f"crnn.{name}",
        sources=[f"src/crnn/{name.replace('.', '/')}.pyx", *sources],
        depends=HEADERS,
        include_dirs=[CSRC.as_posix(), INCLUDE.as_posix(), np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
    )


extensions = [
    extension("_engine.kernels", *KERNELS),
    extension("_engine.sequence"),
    extension("_engine.over_blas"),
    extension("_engine.stream"),
    extension("_c_api"),
    extension("_engine.xla", XLA),
    extension("_engine.probe", PROBE),
]

setup(ext_modules=cythonize(extensions, language_level=3), cmdclass={"build_ext": BuildExt})
