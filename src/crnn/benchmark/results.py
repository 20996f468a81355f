"""The results of a run, the figures derived from them, and their JSON form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from crnn.benchmark import peers, roofline
from crnn.benchmark.cases import Case


@dataclass
class Cell:
    """One implementation's times for one operation of a case: seconds per call in each round."""

    case: Case
    operation: str
    threads: int
    peer: str
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return float(np.median(self.rounds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """The quartiles of the rounds."""
        low, high = np.quantile(self.rounds, [0.25, 0.75])
        return float(low), float(high)


@dataclass
class Peak:
    """The probes measured in the rounds of one shape, with a number of threads."""

    shape: str
    threads: int
    rounds: list[roofline.Peaks] = field(default_factory=list)

    @property
    def median(self) -> roofline.Peaks:
        """The median of each probe."""
        rows = [(p.fma, p.L2, p.L3) for p in self.rounds]
        return roofline.Peaks(*map(float, np.median(rows, axis=0)))


@dataclass(frozen=True)
class Refusal:
    """An operation for which a peer was not timed, and the reason."""

    peer: str
    case: Case
    operation: str
    reason: str


@dataclass
class Row:
    """One line of the table: crnn and every peer on one operation of a case."""

    case: Case
    operation: str
    threads: int
    ours: Cell
    theirs: dict[str, Cell]
    share: float  # of the roofline: the least time over crnn's

    @property
    def best(self) -> str | None:
        """The fastest peer, or None if there is none."""
        return min(self.theirs, key=lambda name: self.theirs[name].median, default=None)

    def ratio(self, name: str) -> float:
        """How many times as long as crnn a peer takes."""
        return ratio(self.theirs[name], self.ours)


def ratio(a: Cell, b: Cell) -> float:
    """The time of a over that of b: the median over rounds, in each of which both took a turn."""
    return float(np.median(np.divide(a.rounds, b.rounds)))


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean, the right one for ratios: that of a and 1/a is 1. NaN if empty."""
    values = list(values)
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")


@dataclass
class Report:
    """All results of a run, as `crnn.benchmark.run` gives them and `crnn bench --json` writes them.

    Attributes
    ----------
    machine : dict
        The processor, its caches in bytes, the versions of Python, NumPy and crnn, the date.
    versions : dict of str to str
        Of the peers, by name.
    skipped : dict of str to str
        Peers that never ran, and why.
    refusals : list
        Single operations that a peer did not run, with reasons.
    cells : list
        The seconds per call of each implementation, case, operation and number of threads.
    peaks : list
        What the probes of the hardware measured.
    rows : list
        Each case and operation: crnn's cell, the peers', and the share of the roofline.

    Examples
    --------
    >>> from crnn.benchmark import Report
    >>> report = Report({"cpu": "AMD EPYC", "caches": {"L1": 32768}}, versions={"jax": "0.10.2"})
    >>> report.rows                                     # nothing was timed
    []
    >>> Report.from_json(report.to_json()) == report
    True
    """

    machine: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)  # peers that never ran, and why
    refusals: list[Refusal] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)

    @property
    def peers(self) -> list[str]:
        """The peers that were timed on anything, in order."""
        return [name for name in dict.fromkeys(c.peer for c in self.cells) if name != peers.OURS]

    @cached_property
    def rows(self) -> list[Row]:
        """A Row for each case, operation and number of threads of crnn, in the order of the run."""
        peaks = {(peak.shape, peak.threads): peak.median for peak in self.peaks}
        caches = {int(level[1:]): size for level, size in self.machine["caches"].items()}
        beside: dict[tuple[Case, str, int], dict[str, Cell]] = {}
        for cell in self.cells:
            beside.setdefault((cell.case, cell.operation, cell.threads), {})[cell.peer] = cell
        rows = []
        for (case, operation, threads), cells in beside.items():
            ours = cells.pop(peers.OURS, None)
            if ours is not None:
                least = roofline.least_seconds(
                    case, operation, peaks[case.name, threads], threads, caches
                )
                rows.append(Row(case, operation, threads, ours, cells, least / ours.median))
        return rows

    def to_json(self) -> str:
        """All measurements, with their medians, quartiles and ratios.

        Returns
        -------
        str
            JSON, which `Report.from_json` reads.

        Examples
        --------
        >>> import json
        >>> from crnn.benchmark import Report
        >>> report = Report({"cpu": "AMD EPYC", "caches": {"L1": 32768}})
        >>> list(json.loads(report.to_json()))
        ['machine', 'versions', 'skipped', 'refusals', 'cells', 'peaks', 'rows']
        """
        whole = asdict(self)
        for cell, record in zip(self.cells, whole["cells"], strict=True):
            record |= {"median": cell.median, "quartiles": cell.quartiles}
        whole["rows"] = [
            {
                "shape": row.case.name,
                "dtype": row.case.dtype,
                "operation": row.operation,
                "threads": row.threads,
                "best_peer": row.best,
                "ratios": {name: row.ratio(name) for name in row.theirs},
                "roofline_share": row.share,
            }
            for row in self.rows
        ]
        return json.dumps(whole, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote.

        Parameters
        ----------
        text : str

        Returns
        -------
        Report

        Examples
        --------
        >>> from crnn.benchmark import Report
        >>> machine = {"cpu": "AMD EPYC", "caches": {"L1": 32768}}
        >>> Report.from_json(Report(machine).to_json()).machine["cpu"]
        'AMD EPYC'
        """
        whole = json.loads(text)
        return cls(
            machine=whole["machine"],
            versions=whole["versions"],
            skipped=whole["skipped"],
            refusals=[Refusal(**r | {"case": Case(**r["case"])}) for r in whole["refusals"]],
            cells=[
                Cell(Case(**c["case"]), c["operation"], c["threads"], c["peer"], c["rounds"])
                for c in whole["cells"]
            ],
            peaks=[
                Peak(p["shape"], p["threads"], [roofline.Peaks(**r) for r in p["rounds"]])
                for p in whole["peaks"]
            ],
        )
