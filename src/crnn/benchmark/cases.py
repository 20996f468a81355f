"""What is timed: cells, shapes, and the two operations on which everything else is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crnn import check
from crnn._network.cells import CELLS
from crnn.check import cells as check_cells

#: All states; and all states with every gradient, of weights, biases, input and first states.
OPERATIONS = ("forward", "training")

#: The leak of a leaky cell, which is timed without noise: no other library draws the same one.
LEAK = 0.2


@dataclass(frozen=True, order=True)
class Case:
    """One shape in one dtype, of one cell.

    Parameters
    ----------
    T, m, n_x, n_a : int
        Steps, examples, inputs, hidden units.
    dtype : {"float32", "float64"}, optional
    cell : {"vanilla", "leaky", "gru", "lstm"}, optional

    Examples
    --------
    >>> from crnn.benchmark import Case
    >>> Case.parse("100x32x128x256")
    Case(T=100, m=32, n_x=128, n_a=256, dtype='float32', cell='vanilla')
    >>> Case(100, 1, 32, 32).name, Case(100, 1, 32, 32, cell="gru").name
    ('100x1x32x32', 'gru 100x1x32x32')
    """

    T: int
    m: int
    n_x: int
    n_a: int
    dtype: str = "float32"
    cell: str = "vanilla"

    @classmethod
    def parse(cls, text: str, dtype: str = "float32", cell: str = "vanilla") -> Case:
        """Read T x m x n_x x n_a, as in 100x32x128x128.

        Parameters
        ----------
        text : str
        dtype, cell : str, optional

        Returns
        -------
        Case

        Raises
        ------
        ValueError
            If the text is not four whole numbers of at least 1 with an x between them.

        Examples
        --------
        >>> from crnn.benchmark import Case
        >>> Case.parse("100x32x128x256").n_a
        256
        """
        sizes = text.strip().split("x")
        if len(sizes) != 4 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise ValueError(f"expected a shape TxMxN_XxN_A such as 100x32x128x128, got {text!r}")
        T, m, n_x, n_a = map(int, sizes)
        return cls(T, m, n_x, n_a, dtype, cell)

    @property
    def name(self) -> str:
        """The shape, as `parse` reads it, after the cell unless that is vanilla."""
        shape = f"{self.T}x{self.m}x{self.n_x}x{self.n_a}"
        return shape if self.cell == "vanilla" else f"{self.cell} {shape}"

    @property
    def gates(self) -> int:
        """Rows of the weights for each unit."""
        return len(CELLS[self.cell].gates)

    def problem(self) -> check.Problem | check_cells.Problem:
        """Arguments, the same for every implementation; biases and first states are not zero.

        Returns
        -------
        Problem
            Of `crnn.check`, with the dict `arguments`.

        Examples
        --------
        >>> from crnn.benchmark import Case
        >>> p = Case(5, 1, 8, 16).problem()
        >>> p.arguments["x"].shape, p.arguments["Waa"].dtype
        ((5, 1, 8), dtype('float32'))
        """
        sizes = self.T, self.m, self.n_x, self.n_a
        if self.cell == "vanilla":
            return check.problem(*sizes, dtype=self.dtype)
        kind = "rate" if self.cell == "leaky" else self.cell
        p = check_cells.problem(kind, *sizes, dtype=self.dtype)
        if self.cell == "leaky":
            p.options["leak"], p.noise = LEAK, {}
        return p

    def results(self, library: Any) -> dict[str, Any]:
        """What forward and training give.

        Parameters
        ----------
        library : module
            `crnn` or `crnn.reference`.

        Returns
        -------
        dict of str to array

        Examples
        --------
        >>> import crnn
        >>> from crnn.benchmark import Case
        >>> sorted(Case(5, 1, 8, 16).results(crnn))
        ['a', 'dWaa', 'dWax', 'da0', 'dba', 'dx']
        """
        p = self.problem()
        if isinstance(p, check_cells.Problem):
            return p.results(library)
        a = library.rnn_forward(**p.arguments)
        return {"a": a, **check.backward_of(library.rnn_backward, p, a)._asdict()}


#: Shapes of typical uses, from one example and few units to a busy server; in the last an image of
#: 28 rows is one sequence.
TABLE = [
    "100x1x32x32",
    "100x1x128x128",
    "100x1x512x512",
    "100x1x1024x1024",
    "100x16x64x64",
    "100x32x128x128",
    "100x32x256x256",
    "100x64x512x512",
    "50x128x1024x1024",
    "1000x32x64x64",
    "28x256x28x128",
]

#: Shapes near those at which an implementation may be much slower: few examples, which do not fill
#: a register block; numbers of units that are no multiple of a vector or a cache line; sequences so
#: short that the overhead of a call counts, and so long that the overhead of a step does.
NEIGHBOURS = [
    "100x2x128x128",
    "100x5x128x128",
    "100x7x128x128",
    "100x7x100x100",
    "100x1x100x100",
    "100x1x300x300",
    "100x32x48x48",
    "100x32x100x100",
    "100x32x200x200",
    "100x32x300x300",
    "10x1x32x32",
    "10x32x128x128",
    "5000x1x64x64",
    "5000x32x48x48",
]

SHAPES = TABLE + NEIGHBOURS

#: One of each kind: latency, the weights' bandwidth, small products, large ones.
QUICK = ["100x1x32x32", "100x1x512x512", "100x7x100x100", "100x32x128x128", "100x32x256x256"]
