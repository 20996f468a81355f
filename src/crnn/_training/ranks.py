"""The processes that train one model together, by MPI: who they are, and how they agree.

Every rank runs the same loop on its own rows. They meet in `begin`, once in every step (see
`shares`), and in `together`. A rank that fails between two meetings says so at the next one, so
that all ranks end with an exception. An error that the others cannot learn of ends them all by
MPI_Abort.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from crnn._engine import config, validate
from crnn._network.arena import Arena
from crnn._training.divergence import DivergenceError
from crnn._training.shared_errors import Lost, is_shared, quoted, shared

Result = TypeVar("Result")
Method = TypeVar("Method", bound=Callable[..., Any])


class Ranks:
    """The processes of a communicator, and the shards of each batch that belong to this one.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm or None
        None is one process.
    shards : int or None
        The parts of a batch whose gradients are summed in a fixed order; None is one for each rank.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    shards : int
    own : range
        The shards of this rank; the shards of a batch are contiguous rows.
    exact : bool
        Whether the sums do not depend on the number of ranks.
    """

    def __init__(self, comm: Any = None, shards: Any = None) -> None:
        self.comm = comm
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self.size: int = 1 if comm is None else comm.Get_size()
        self.exact = shards is not None
        self.shards = self.size
        if shards is not None:
            self.shards = validate.count("shards", shards)
            if self.shards < self.size:
                raise ValueError(
                    f"shards: expected at least one for each of the {self.size} ranks, got {shards}"
                )
        self.own = self.shards_of(self.rank)
        self.began = False

    @property
    def alone(self) -> bool:
        """Whether there is one process, and a batch has one part: as if there were no MPI."""
        return self.size == 1 and not self.exact

    @property
    def first(self) -> bool:
        """Whether this rank prints, draws, calls the callback and writes files."""
        return self.rank == 0

    def like(self, other: Ranks) -> bool:
        """Whether these are the same processes and the same shards."""
        same = (self.exact, self.shards) == (other.exact, other.shards)
        return same and (self.comm == other.comm if self.comm else not other.comm)

    def shards_of(self, rank: int) -> range:
        """The shards of a rank."""
        return range(rank * self.shards // self.size, (rank + 1) * self.shards // self.size)

    def cut(self, m: int) -> list[slice]:
        """The rows, of a batch of m that all ranks have, of each shard of this rank."""
        of_all = self.cut_all(m)
        return [of_all[s] for s in self.own]

    def cut_all(self, m: int) -> list[slice]:
        """The same for the shards of all ranks."""
        return [slice(s * m // self.shards, (s + 1) * m // self.shards) for s in range(self.shards)]

    def cut_own(self, m: int) -> list[slice]:
        """The same for a batch of m rows that only this rank has."""
        k = len(self.own)
        return [slice(i * m // k, (i + 1) * m // k) for i in range(k)]

    def begin(self, same: dict[str, Any]) -> None:
        """The first meeting: check that these values are the same on all ranks."""
        self.began = True
        if self.size == 1:
            return
        same = {**same, "shards": self.shards, "CRNN_SIMD": config.simd()}
        found = self.agree(None, {name: _shown(value) for name, value in same.items()})
        for rank, others in enumerate(found):
            for name, value in found[0].items():
                if others.get(name) != value:
                    raise shared(
                        ValueError(
                            f"{name}: expected the same on all ranks, got {value} on rank 0 and "
                            f"{others.get(name)} on rank {rank}"
                        ),
                        self.rank,
                    )

    def agree(self, error: BaseException | None, what: Any = None) -> list[Any]:
        """A meeting: the values that each rank brings. Raises on all ranks if one brings an error.

        A rank that has an error raises that one, and the others a RuntimeError that quotes it.
        """
        if self.size == 1:
            if error is not None:
                raise error
            return [what]
        brought = self.comm.allgather((None if error is None else quoted(error), what))
        if error is not None:
            raise shared(error, self.rank)
        for rank, (failed, _) in enumerate(brought):
            if failed is not None:
                text, trace = failed
                found = RuntimeError(f"rank {rank} of {self.size} failed: {text}")
                found.add_note(f"On rank {rank}:\n{trace}")
                raise shared(found, self.rank)
        return [value for _, value in brought]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All ranks leave this block normally, or all of them raise."""
        error: BaseException | None = None
        try:
            yield
        except BaseException as caught:
            if self.size == 1:
                raise
            error = caught
        self.agree(error)

    def from_first(self, question: Callable[[], Result]) -> Result:
        """What the first rank answers; the others do not ask."""
        if self.size == 1:
            return question()
        error: BaseException | None = None
        answer: Any = None
        if self.first:
            try:
                answer = question()
            except BaseException as caught:
                error = caught
        answers: list[Result] = self.agree(error, answer)
        return answers[0]

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return any(self.agree(None, flag))

    def most(self, n: int | None) -> int | None:
        """The largest of these numbers on all ranks, or None if one of them is."""
        found = self.agree(None, n)
        return None if None in found else max(found)

    def share_arena(self, arena: Arena) -> None:
        """Give every rank the numbers of the first one."""
        if self.size > 1:
            self.comm.Bcast(arena.flat, root=0)

    def share_memory(self, memory: dict[str, Any]) -> None:
        """Give every rank the optimizer's memory of the first one, in place."""
        if self.size > 1:
            of_first = self.comm.bcast(memory, root=0)
            if not self.first:
                memory.clear()
                memory.update(of_first)

    def share_generator(self, rng: np.random.Generator) -> None:
        """Give every rank the state of the first one's generator."""
        if self.size > 1:
            rng.bit_generator.state = self.comm.bcast(rng.bit_generator.state, root=0)

    def left(self, error: BaseException) -> None:
        """End all ranks because of an error on this one, unless they all know of it."""
        if self.size == 1 or is_shared(error):
            return
        if isinstance(error, DivergenceError):  # found in sums that all ranks have
            shared(error, self.rank)
            return
        if not self.began:  # the others are on their way to `begin`
            self.began = True
            self.agree(error)
        text, trace = quoted(error)
        what = f"{trace}crnn: rank {self.rank} of {self.size} failed: {text}; all ranks end"
        if isinstance(error, Lost):
            what = f"crnn: rank {self.rank} of {self.size}: {error}; all ranks end"
        print(what, file=sys.__stderr__, flush=True)
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
        self.comm.Abort(code)
        os._exit(code)  # some libraries return from Abort


ALONE = Ranks()


def over_ranks(method: Method) -> Method:
    """A method with the arguments `comm` and `shards`, which gets them as one Ranks in `comm`.

    However it ends on one rank, it ends on all.
    """

    @functools.wraps(method)
    def run(*arguments: Any, **options: Any) -> Any:
        comm, shards = options.get("comm"), options.get("shards")
        if comm is None and shards is None:
            return method(*arguments, **options | {"comm": ALONE})
        ranks = Ranks(checked(comm), shards)
        try:
            return method(*arguments, **options | {"comm": ranks})
        except BaseException as error:
            if type(error).__module__.startswith("mpi4py") and not is_shared(error):
                error = Lost(error)
            ranks.left(error)
            raise error

    return run  # type: ignore[return-value]


def checked(comm: Any) -> Any:
    """The argument `comm`: a communicator of mpi4py with one group of processes, or None."""
    if comm is None:
        return None
    MPI = sys.modules.get("mpi4py.MPI")
    if MPI is None or not isinstance(comm, MPI.Intracomm):
        raise TypeError(
            "comm: expected a communicator of mpi4py (mpi4py.MPI.COMM_WORLD, for instance) or "
            f"None, got {validate.shown(comm)}"
        )
    if comm == MPI.COMM_NULL:
        raise ValueError("comm: expected a communicator that this process is in, got COMM_NULL")
    return comm


def _shown(value: object) -> str:
    """The value as text, without the address of an object, which is another on each rank."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
