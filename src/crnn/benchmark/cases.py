"""What is timed: shapes, and the two operations on which everything else is built."""

from __future__ import annotations

from dataclasses import dataclass

from crnn import check

#: All states; and all states with every gradient: dWaa, dWax, dba, dx, da0.
OPERATIONS = ("forward", "training")


@dataclass(frozen=True, order=True)
class Case:
    """One shape in one dtype.

    Parameters
    ----------
    T, m, n_x, n_a : int
        Steps, examples, inputs, hidden units.
    dtype : {"float32", "float64"}, optional

    Examples
    --------
    >>> from crnn.benchmark import Case
    >>> Case.parse("100x32x128x256")
    Case(T=100, m=32, n_x=128, n_a=256, dtype='float32')
    >>> Case(100, 1, 32, 32).name
    '100x1x32x32'
    """

    T: int
    m: int
    n_x: int
    n_a: int
    dtype: str = "float32"

    @classmethod
    def parse(cls, text: str, dtype: str = "float32") -> Case:
        """Read T x m x n_x x n_a, as in 100x32x128x128. Raises ValueError for other text."""
        sizes = text.strip().split("x")
        if len(sizes) != 4 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise ValueError(f"expected a shape TxMxN_XxN_A such as 100x32x128x128, got {text!r}")
        T, m, n_x, n_a = map(int, sizes)
        return cls(T, m, n_x, n_a, dtype)

    @property
    def name(self) -> str:
        """The shape, as `parse` reads it."""
        return f"{self.T}x{self.m}x{self.n_x}x{self.n_a}"

    def problem(self) -> check.Problem:
        """Arguments, the same for every implementation; bias and initial state are not zero."""
        return check.problem(self.T, self.m, self.n_x, self.n_a, dtype=self.dtype)


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
