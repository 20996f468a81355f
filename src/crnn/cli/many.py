"""``mpiexec -n N crnn train``: the processes that a command was started in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from crnn._extras import extra
from crnn._training.ranks import Ranks
from crnn.cli.errors import UsageError

#: Environment variables with the number of processes that were started: those of MPICH and what is
#: made from it, of Open MPI, and of SLURM's srun.
_STARTED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


def processes() -> Ranks:
    """The processes that mpiexec or srun started; only this one if there are no others.

    Raises UsageError if they cannot reach each other, since each would do the whole work.
    """
    found = [os.environ.get(name, "") for name in _STARTED]
    started = max((int(n) for n in found if n.isdecimal()), default=1)
    if started == 1:
        return Ranks()
    try:
        with extra("mpi4py", "mpi4py", name="mpi", user=f"a command of {started} processes"):
            from mpi4py import MPI
    except ImportError as error:
        raise UsageError(str(error)) from None
    if MPI.COMM_WORLD.Get_size() == 1:
        library = MPI.Get_library_version().splitlines()[0]
        raise UsageError(
            f"{started} processes were started, but each one is alone: the launcher does not fit "
            f"the MPI library of mpi4py, {library}"
        )
    return Ranks(MPI.COMM_WORLD)


@contextlib.contextmanager
def first_alone_prints(ranks: Ranks) -> Iterator[None]:
    """Within this context, what the other ranks print to standard output is dropped."""
    if ranks.first:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
