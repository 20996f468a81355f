"""A run: every implementation prepared and checked, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from crnn.benchmark import machine, peers
from crnn.benchmark.cases import OPERATIONS, Case
from crnn.benchmark.crew import Crew, Worker
from crnn.benchmark.results import Cell, Peak, Refusal, Report


def run(
    cases: Sequence[Case],
    names: Sequence[str],
    *,
    threads: Sequence[int] = (1,),
    rounds: int = 7,
    seconds: float = 0.05,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Time crnn and the peers called `names` on every case.

    All that belongs to one shape (implementations, dtypes, numbers of threads, the probes of the
    roofline) takes turns: a round is one turn of each, so what the machine does meanwhile, it does
    to all alike.

    Parameters
    ----------
    cases : sequence of Case
        Those of one shape, next to one another, share their rounds.
    names : sequence of str
        Peers, of `crnn.benchmark.PEERS`.
    threads : sequence of int
        Each is run, in processes of its own.
    rounds : int
        Turns of each.
    seconds : float
        That one turn lasts, at least one call.
    say : callable
        Is told what goes on, in lines.

    Returns
    -------
    Report
        With absent peers and mismatches by name.
    """
    report = Report(machine.describe())
    with Crew() as crew:
        for name, n in product([peers.OURS, *names], threads):
            _hire(crew, name, n, report)
        shapes: dict[str, list[Case]] = {}
        for case in cases:
            shapes.setdefault(case.name, []).append(case)
        for k, (shape, alike) in enumerate(shapes.items()):
            say(f"{k + 1}/{len(shapes)}  {shape}")
            _one_shape(crew, alike, rounds, seconds, report)
    return report


def _hire(crew: Crew, name: str, threads: int, report: Report) -> None:
    reason = peers.find(name).missing()
    if reason is None:
        try:
            report.versions[name] = crew.hire(name, threads).version
        except RuntimeError as error:
            reason = str(error)
    if reason is not None:
        report.skipped[name] = reason


def _one_shape(
    crew: Crew, cases: Sequence[Case], rounds: int, seconds: float, report: Report
) -> None:
    cells: list[tuple[Worker, Cell]] = []
    for worker, case in product(list(crew.workers), cases):
        reasons = _prepare(crew, worker, case)
        for operation in OPERATIONS:
            if operation in reasons:
                refusal = Refusal(worker.name, case, operation, reasons[operation])
                report.refusals.append(refusal)
            else:
                cell = Cell(case, operation, worker.threads, worker.name)
                cells.append((worker, cell))
    ours = [worker for worker in crew.workers if worker.name == peers.OURS]
    peaks = {worker.threads: Peak(cases[0].name, worker.threads) for worker in ours}
    # An operation at a time: the numbers that are compared are taken next to one another.
    cells.sort(key=lambda pair: OPERATIONS.index(pair[1].operation))
    for _ in range(rounds):
        for worker in ours:
            peaks[worker.threads].rounds.append(worker.ask("probe"))
        for worker, cell in cells:
            cell.rounds.append(worker.ask("time", cell.case, cell.operation, seconds))
    report.cells += [cell for _, cell in cells]
    report.peaks += peaks.values()
    for worker in crew.workers:
        worker.ask("forget")


def _prepare(crew: Crew, worker: Worker, case: Case) -> dict[str, str]:
    """Why a worker cannot do an operation of a case; one whose process ends does none."""
    if worker not in crew.workers:
        return dict.fromkeys(OPERATIONS, "its process has ended")
    try:
        reasons: dict[str, str] = worker.ask("prepare", case)
    except RuntimeError as error:
        crew.dismiss(worker)
        return dict.fromkeys(OPERATIONS, str(error))
    return reasons
