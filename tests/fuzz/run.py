"""Look for files that a reader does not refuse as it should, guided by coverage (with atheris).

Each target of the tests beside this file runs some thousand times on bytes from a fixed seed, so
that two runs do the same. A finding is an exception of a target, or a run of more than 20 seconds
or 2 GB; its bytes are printed, and `--bytes` runs a target with them alone. CRNN_FUZZ=N in the
environment runs N times as often.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

#: The modules of the targets, and how often each runs: about a minute.
TARGETS = {
    "read": ("test_files", 15000),
    "resume": ("test_files", 3000),
    "graph": ("test_onnx", 8000),
}
LIMITS = ["-timeout=20", "-rss_limit_mb=2048", "-max_len=64", "-len_control=0"]


def target(name):
    """The function of a target."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    warnings.simplefilter("ignore")
    return import_module(f"fuzz.{TARGETS[name][0]}").TARGETS[name][0]


def in_this_process(name, options):
    """Run a target until it is done. Ends the process, with 0 if nothing was found."""
    import atheris

    with atheris.instrument_imports(include=["crnn"]):
        function = target(name)
    atheris.Setup([sys.argv[0], *options], function)
    atheris.Fuzz()


def fuzz(name, runs, seed):
    """Run a target in a process of its own; return whether nothing was found, and a report."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "corpus").mkdir()
        options = [f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={folder}/", *LIMITS]
        done = subprocess.run(
            [sys.executable, __file__, "--alone", name, *options, f"{folder}/corpus"],
            env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        found = [path.read_bytes().hex() for path in Path(folder).iterdir() if path.is_file()]
    coverage = re.findall(r"cov: (\d+)", done.stdout)
    if done.returncode == 0 and coverage and not found:
        return True, f"{name}: {runs} runs reach {coverage[-1]} places"
    said = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("#"))
    return False, f"{said}\n{name}: found {' '.join(found)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TARGETS, []], help="by default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", help="in hexadecimal: run one target with these alone")
    given = parser.parse_args()
    names = given.names or [*TARGETS]
    if given.bytes is not None:
        for name in names:
            target(name)(bytes.fromhex(given.bytes))
        return 0
    times = int(os.environ.get("CRNN_FUZZ", 1))

    def one(name):
        return fuzz(name, times * TARGETS[name][1], given.seed)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(one, names))
    for _, report in results:
        print(report)
    return 0 if all(right for right, _ in results) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        in_this_process(sys.argv[2], sys.argv[3:])
    sys.exit(main())
