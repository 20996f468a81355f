"""A run of the benchmark: prepares and checks every implementation, then times them in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from crnn.benchmark import machine, peers
from crnn.benchmark.cases import OPERATIONS, Case
from crnn.benchmark.results import Cell, Peak, Refusal, Report
from crnn.benchmark.workers import Worker, Workers


def run(
    cases: Sequence[Case],
    names: Sequence[str],
    *,
    threads: Sequence[int] = (1,),
    rounds: int = 7,
    seconds: float = 0.05,
    log: Callable[[str], None] = lambda line: None,
) -> Report:
    """Time crnn and the peers called `names` on every case.

    All timings of one shape (implementations, dtypes, numbers of threads, the probes of the
    roofline) take turns. A round is one turn of each, so that other load on the machine affects all
    of them alike.

    Parameters
    ----------
    cases : sequence of Case
        Cases of the same shape share their rounds.
    names : sequence of str
        Names of `crnn.benchmark.PEERS`.
    threads : sequence of int
        Numbers of threads, each run in its own processes.
    rounds : int
        Turns of each timing.
    seconds : float
        The length of a turn, which has at least one call.
    log : callable
        Called with a line of text as each shape begins.

    Returns
    -------
    Report
        Also names the peers that were skipped, and why.

    Examples
    --------
    >>> from crnn import benchmark
    >>> report = benchmark.run([benchmark.Case(5, 1, 8, 8)], ["numpy"], rounds=1, seconds=0.001)
    >>> [(row.operation, row.best, row.ratio("numpy") > 0) for row in report.rows]
    [('forward', 'numpy', True), ('training', 'numpy', True)]
    """
    report = Report(machine.describe())
    with Workers() as workers:
        for name, n in product([peers.OURS, *names], threads):
            _start(workers, name, n, report)
        shapes: dict[str, list[Case]] = {}
        for case in cases:
            shapes.setdefault(case.name, []).append(case)
        for k, (shape, alike) in enumerate(shapes.items()):
            log(f"{k + 1}/{len(shapes)}  {shape}")
            _one_shape(workers, alike, rounds, seconds, report)
    return report


def _start(workers: Workers, name: str, threads: int, report: Report) -> None:
    reason = peers.find(name).missing()
    if reason is None:
        try:
            report.versions[name] = workers.start(name, threads).version
        except RuntimeError as error:
            reason = str(error)
    if reason is not None:
        report.skipped[name] = reason


def _one_shape(
    workers: Workers, cases: Sequence[Case], rounds: int, seconds: float, report: Report
) -> None:
    turns: list[tuple[Worker, Cell]] = []
    for worker, case in product(list(workers.running), cases):
        for operation, reason in _prepare(workers, worker, case, report).items():
            if reason is not None:
                report.refusals.append(Refusal(worker.name, case, operation, reason))
            else:
                turns.append((worker, Cell(case, operation, worker.threads, worker.name)))
    # One operation after the other: times that will be compared are measured close together.
    turns.sort(key=lambda turn: OPERATIONS.index(turn[1].operation))
    ours = [worker for worker in workers.running if worker.name == peers.OURS]
    peaks = {worker.threads: Peak(cases[0].name, worker.threads) for worker in ours}
    for _ in range(rounds):
        for worker in ours:
            peaks[worker.threads].rounds.append(worker.ask("probe"))
        for worker, cell in turns:
            if worker in workers.running:
                try:
                    seconds_a_call = worker.ask("time", cell.case, cell.operation, seconds)
                    cell.rounds.append(seconds_a_call)
                except RuntimeError as error:
                    _end(workers, worker, error, report)
    report.cells += [cell for worker, cell in turns if worker in workers.running]
    report.peaks += peaks.values()
    for worker in workers.running:
        worker.ask("forget")


def _prepare(workers: Workers, worker: Worker, case: Case, report: Report) -> dict[str, str | None]:
    """Why each operation cannot be timed, or None if it can. Empty if the worker has ended."""
    if worker not in workers.running:
        return {}
    try:
        reasons = worker.ask("prepare", case)
    except RuntimeError as error:
        _end(workers, worker, error, report)
        return {}
    return {operation: reasons.get(operation) for operation in OPERATIONS}


def _end(workers: Workers, worker: Worker, error: RuntimeError, report: Report) -> None:
    """Continue without a peer that failed. A failure of crnn itself is raised."""
    if worker.name == peers.OURS:
        raise error
    workers.end(worker)
    report.skipped[worker.name] = f"{error} (from there on, with {worker.threads} thread(s))"
