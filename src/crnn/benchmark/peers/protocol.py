"""The interface of an implementation in the benchmark, including crnn itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any, ClassVar

from crnn.benchmark.cases import Case
from crnn.reference import Array, Gradients, GRUGradients, LSTMGradients

#: The gradients of any cell.
AnyGradients = Gradients | GRUGradients | LSTMGradients


@dataclass
class Prepared:
    """An implementation, ready to compute one case again and again.

    `forward` and `training` are timed. They take no arguments, return when the computation has
    finished, and return the implementation's own arrays. `states` and `gradients`, which are not
    timed, convert those to crnn's. An operation that is not supported is None, and `reasons` says
    why.
    """

    forward: Callable[[], Any] | None
    states: Callable[[Any], Array]  # -> a (T, m, n_a)
    training: Callable[[], Any] | None = None
    gradients: Callable[[Any], AnyGradients] | None = None
    reasons: dict[str, str] | None = None


class Peer:
    """One implementation of some cells.

    A peer runs in its own process with a fixed number of threads, because with some libraries the
    number can only be set before the import. So a peer's module does not import its library;
    `start` does.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()  #: distributions that must be installed
    modules: ClassVar[tuple[str, ...]] = ()  #: and what they are imported as

    #: what it computes
    cells: ClassVar[tuple[str, ...]] = ("vanilla", "leaky", "gru", "lstm")
    on_request: ClassVar[bool] = False  #: not run unless named: it takes minutes to prepare

    @classmethod
    def missing(cls) -> str | None:
        """Why this peer cannot run here, or None if it can."""
        absent = [
            package
            for package, module in zip(cls.packages, cls.modules, strict=True)
            if util.find_spec(module) is None
        ]
        return f"not installed: {', '.join(absent)}" if absent else None

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """Variables that must be set before the process starts."""
        return {}

    def start(self, threads: int) -> None:
        """Import the library and set its threads."""

    def version(self) -> str:
        """The version of the library."""
        return metadata.version(self.packages[0])

    def prepare(self, case: Case) -> Prepared:
        """Do what is done only once: allocate, convert, pack, compile."""
        raise NotImplementedError
