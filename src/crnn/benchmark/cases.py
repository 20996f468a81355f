"""What is timed: shapes, and the two operations that everything else is made of."""

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
        """Read T x m x n_x x n_a, as in 100x32x128x128; ValueError where it is not that."""
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
        """The same numbers for everyone: with a bias and an initial state that are not zero."""
        return check.problem(self.T, self.m, self.n_x, self.n_a, dtype=self.dtype)


#: Where recurrent networks are used, from one example of few units to a loaded server; the last
#: is a picture of 28 rows.
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

#: Next to those, where an implementation may fall off: few examples, which fill no register block;
#: units that are no multiple of a vector or of a cache line; calls so short that entering them is
#: the cost, and so long that what is done per step is.
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
