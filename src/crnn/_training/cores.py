"""The cores of a machine, divided among the ranks that run on it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

from crnn._engine import config
from crnn._training.ranks import Ranks


@contextlib.contextmanager
def divided(ranks: Ranks) -> Iterator[None]:
    """Within this context, ranks that may use the same cores use no more threads than cores."""
    before = config.get_num_threads()
    most = before if ranks.size == 1 else min(before, _share(ranks))
    if most == before:
        yield
        return
    config.set_num_threads(most)
    try:
        yield
    finally:
        config.set_num_threads(before)


def _share(ranks: Ranks) -> int:
    """The cores that this rank may use, over the ranks of its machine that may use them too."""
    from mpi4py import MPI  # only where there is a communicator of it

    if hasattr(os, "sched_getaffinity"):
        own = os.sched_getaffinity(0)
    else:
        own = set(range(os.cpu_count() or 1))
    key = _key()
    share: int | None = ranks.comm.Get_attr(key)
    if share is None:
        machine = ranks.comm.Split_type(MPI.COMM_TYPE_SHARED)
        sharing = sum(1 for cores in machine.allgather(own) if cores & own)
        machine.Free()
        share = max(1, len(own) // sharing)
        ranks.comm.Set_attr(key, share)
    return share


@functools.cache
def _key() -> int:
    """The name under which a communicator keeps its share."""
    from mpi4py import MPI

    key: int = MPI.Comm.Create_keyval()
    return key
