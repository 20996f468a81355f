"""How fast crnn is on this machine: beside other implementations, and beside what is possible.

    crnn bench --quick

What is timed stands in `cases`, the implementations in `peers`, the limits of the hardware in
`roofline`. Each implementation lives in a process of its own (`worker`, `crew`) and has its turn
in every round (`rounds`); `results` holds what was found, `table` and `plot` show it.
"""

from crnn.benchmark.cases import OPERATIONS, QUICK, SHAPES, Case
from crnn.benchmark.peers import PEERS
from crnn.benchmark.results import Report
from crnn.benchmark.rounds import run

__all__ = ["OPERATIONS", "PEERS", "QUICK", "SHAPES", "Case", "Report", "run"]
