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
    turns: list[tuple[Worker, Cell]] = []
    for worker, case in product(list(crew.workers), cases):
        for operation, reason in _prepare(crew, worker, case, report).items():
            if reason is not None:
                report.refusals.append(Refusal(worker.name, case, operation, reason))
            else:
                turns.append((worker, Cell(case, operation, worker.threads, worker.name)))
    # An operation at a time: the numbers that are compared are taken next to one another.
    turns.sort(key=lambda turn: OPERATIONS.index(turn[1].operation))
    ours = [worker for worker in crew.workers if worker.name == peers.OURS]
    peaks = {worker.threads: Peak(cases[0].name, worker.threads) for worker in ours}
    for _ in range(rounds):
        for worker in ours:
            peaks[worker.threads].rounds.append(worker.ask("probe"))
        for worker, cell in turns:
            if worker in crew.workers:
                try:
                    seconds_a_call = worker.ask("time", cell.case, cell.operation, seconds)
                    cell.rounds.append(seconds_a_call)
                except RuntimeError as error:
                    _dismiss(crew, worker, error, report)
    report.cells += [cell for worker, cell in turns if worker in crew.workers]
    report.peaks += peaks.values()
    for worker in crew.workers:
        worker.ask("forget")


def _prepare(crew: Crew, worker: Worker, case: Case, report: Report) -> dict[str, str | None]:
    """Why an operation cannot be timed, None where it can; nothing of a worker that is gone."""
    if worker not in crew.workers:
        return {}
    try:
        reasons = worker.ask("prepare", case)
    except RuntimeError as error:
        _dismiss(crew, worker, error, report)
        return {}
    return {operation: reasons.get(operation) for operation in OPERATIONS}


def _dismiss(crew: Crew, worker: Worker, error: RuntimeError, report: Report) -> None:
    """Go on without a peer that failed; crnn itself may not."""
    if worker.name == peers.OURS:
        raise error
    crew.dismiss(worker)
    report.skipped[worker.name] = f"{error} (from there on, with {worker.threads} thread(s))"
