"""The speed of crnn on this machine, compared with other implementations and the hardware's limits.

    crnn bench --quick

`cases` defines what is timed, `peers` the implementations and `roofline` the hardware's limits.
Each implementation runs in its own process (`workers` starts it, `worker` runs in it) and takes one
turn in every round (`rounds`). `results` holds the times; `table` and `plot` show them.
"""

from crnn.benchmark.cases import OPERATIONS, QUICK, SHAPES, Case
from crnn.benchmark.peers import PEERS
from crnn.benchmark.results import Report
from crnn.benchmark.rounds import run

__all__ = ["OPERATIONS", "PEERS", "QUICK", "SHAPES", "Case", "Report", "run"]
