"""The compiled modules hold no instruction that some x86-64 processor lacks, outside the kernels.

Every kernel table is compiled for its own instruction set and chosen when crnn is imported. All
else must be baseline x86-64: one stray instruction of the machine that built a wheel would end the
program of a user with an older processor.
"""

import platform
import re
import shutil
import subprocess
import sys
from bisect import bisect_right
from pathlib import Path

import pytest

import crnn

MODULES = sorted(Path(crnn.__file__).parent.rglob("*.so"))
#: Of SSE3 to SSE4.2, BMI and others; those of AVX, AVX2, FMA and AVX-512 begin with v.
LATER = re.compile(
    r"v(?!err|erw)\w+|popcnt|lzcnt|andn|bextr|bls\w+|bzhi|pdep|pext|mulx|rorx|sarx|shlx|shrx|movbe|"
    r"crc32\w*|pshufb|phadd\w+|phsub\w+|pabs\w|palignr|psign\w|pmaddubsw|pmulhrsw|pmulld|pmuldq|"
    r"pmin[su][bd]|pminud|pmax[su][bd]|pblend\w+|blend\w+|round[sp][sd]|dpp[sd]|ptest|pcmp[ei]str\w|"
    r"pcmpgtq|pcmpeqq|pmov[sz]x\w+|pinsr[bdq]|pextr[bdq]|packusdw|extractps|insertps|h(add|sub)p[sd]|"
    r"addsubp[sd]|movddup|movshdup|movsldup|lddqu|mpsadbw|phminposuw|movntdqa"
)
#: The only files that may have them: kernels chosen at run time, and bench's measured loops.
OWN = {"avx2.c", "avx512.c", "probe.c"}

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64", reason="reads ELF of x86-64"
    ),
    pytest.mark.skipif(
        not (shutil.which("objdump") and shutil.which("readelf")), reason="needs GNU binutils"
    ),
]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def functions(module):
    """Addresses of functions, in order, each with its name and the file it was compiled from.

    Nothing if the module was stripped, which leaves the names that other modules see.
    """
    found, file = {}, None
    for line in output("readelf", "--syms", "--wide", module).splitlines():
        fields = line.split()
        if len(fields) < 7 or not fields[0].endswith(":"):
            continue
        kind, binding, name = fields[3], fields[4], fields[7] if len(fields) > 7 else ""
        if kind == "FILE":
            file = name
        elif kind == "FUNC":
            found[int(fields[1], 16)] = name, file if binding == "LOCAL" else ""
    return {} if file is None else dict(sorted(found.items()))


def later_instructions(module):
    """The functions outside of `OWN` with an instruction beyond the baseline, and the first one."""
    known = functions(module)
    if not known and module.name.split(".")[0] in ("kernels", "probe"):
        pytest.skip("the symbols, which tell what is compiled for later processors, were stripped")
    addresses, found = list(known), {}
    for line in output("objdump", "-d", "--no-show-raw-insn", module).splitlines():
        place, _, instruction = line.partition(":\t")
        words = instruction.split()
        while words and words[0] in ("rep", "repz", "repnz", "lock", "notrack", "bnd", "data16"):
            words = words[1:]
        if not words or not LATER.fullmatch(words[0]):
            continue
        at = bisect_right(addresses, int(place, 16)) - 1
        name, file = known[addresses[at]] if at >= 0 else ("", "")
        if file not in OWN:
            found.setdefault(f"{name} of {file or 'a global symbol'}", " ".join(words))
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name.split(".")[0])
def test_only_kernels_use_instructions_beyond_the_baseline(module):
    assert later_instructions(module) == {}


def test_the_test_finds_what_it_looks_for(monkeypatch):
    monkeypatch.setattr(f"{__name__}.OWN", set())
    (kernels,) = (module for module in MODULES if module.name.startswith("kernels."))
    assert len(later_instructions(kernels)) > 100


def test_the_probe_keeps_its_chains_in_registers():
    """In memory they would limit the peak, and everything would seem to be near it, or above."""
    (probe,) = (module for module in MODULES if module.name.startswith("probe."))
    code = output("objdump", "-d", "--no-show-raw-insn", probe).splitlines()
    multiply_adds = [line.split("\t")[-1] for line in code if "vfmadd" in line]
    assert len(multiply_adds) >= 16 + 12  # the chains of AVX-512 and of AVX2
    assert [line for line in multiply_adds if "(" in line] == []
