"""The machine: its description, and binding a process to some of its cores."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy

import crnn
from crnn._engine import config, probe

_CPU = Path("/sys/devices/system/cpu")

#: Bytes of a core's caches if the system does not tell: small ones of present processors.
_DEFAULT_CACHES = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}


def describe() -> dict[str, Any]:
    """The processor, the system, the versions, the day and the command of a measurement."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "cpu": cpu_model(),
        "cpu_version": cpu_version(),
        "cores": len(cores()),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "caches": {f"L{level}": size for level, size in caches().items()},
        "os": platform.platform(),
        "python": platform.python_version(),
        "crnn": crnn.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "simd": config._simd,
        "probe": probe.name(),
    }


def cpu_model() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        if found:
            return found[1]
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def cpu_version() -> str:
    """The processor's family and model, as processors of one name may differ; "" if unknown."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text()
        family = re.search(r"cpu family\s*:\s*(\d+)", text)
        model = re.search(r"model\s*:\s*(\d+)", text)
        if family and model:
            return f"family {family[1]} model {model[1]}"
    return ""


def caches() -> dict[int, int]:
    """Bytes of data cache by level, as one core sees them."""
    found = {}
    for index in sorted(_CPU.glob("cpu0/cache/index*")):
        with contextlib.suppress(OSError, ValueError):
            if (index / "type").read_text().strip() != "Instruction":
                size = (index / "size").read_text().strip()
                found[int((index / "level").read_text())] = int(size.rstrip("K")) << 10
    if not found:
        names = {1: "hw.l1dcachesize", 2: "hw.l2cachesize", 3: "hw.l3cachesize"}
        sizes = {level: _sysctl(name) for level, name in names.items()}
        found = {
            level: int(size) for level, size in sizes.items() if size.isdecimal() and size > "0"
        }
    return found or dict(_DEFAULT_CACHES)


def _sysctl(name: str) -> str:
    if sys.platform != "darwin":
        return ""
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def cores() -> list[int]:
    """One processor number of each core that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    first: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = str(cpu)
        with contextlib.suppress(OSError):
            siblings = (_CPU / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
        first.setdefault(siblings, cpu)
    return list(first.values())


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Bind this process to as many cores as it has threads, if the system supports it.

    So every implementation has the same cores. It is also the only way to limit XLA's threads.
    """
    if not hasattr(os, "sched_setaffinity") or threads > len(cores()):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores()[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def end_with_parent() -> None:  # pragma: no cover: called in a worker's process
    """Let the system end this process, even while it is stopped, when its parent ends."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
