"""``crnn check``: compare the results of this build with the equations, on this machine."""

from __future__ import annotations

import argparse

import crnn
from crnn import check


def run(_: argparse.Namespace) -> int:
    """Print every comparison and return the exit code."""
    crnn.show_config()
    print(f"\n{'comparison':58} cases  largest error  allowed")
    passed = True
    for result in check.run():
        passed &= result.passed
        print(
            f"{result.what:58} {result.cases:5}  {result.error:13.1e}  {result.tolerance:.1e}"
            f"  {'ok' if result.passed else 'FAILED'}",
            flush=True,
        )
    print("every comparison holds" if passed else "SOME COMPARISONS FAILED")
    return 0 if passed else 1
