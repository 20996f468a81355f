"""Checks that this build computes the right numbers on this machine, for ``crnn check``.

There are four comparisons, each over a list of cases: the reference's gradients with fourth-order
finite differences of its own forward pass; the kernels with the reference; the kernels' sums over a
million rows of one sign with the true sums; and a whole model's gradients with finite differences
of its loss. The first two are made for every cell.
"""

from crnn.check.comparisons import KINDS as KINDS
from crnn.check.comparisons import Result, run
from crnn.check.comparisons import model_error as model_error
from crnn.check.rounding import FINITE_DIFFERENCE_TOLERANCE as FINITE_DIFFERENCE_TOLERANCE
from crnn.check.rounding import Error as Error
from crnn.check.rounding import finite_difference as finite_difference
from crnn.check.rounding import relative_error as relative_error
from crnn.check.rounding import sum_tolerance, tolerance
from crnn.check.vanilla import Problem as Problem
from crnn.check.vanilla import backward_of as backward_of
from crnn.check.vanilla import kernel_error as kernel_error
from crnn.check.vanilla import problem as problem
from crnn.check.vanilla import reference_error as reference_error

#: For everybody; the other names are for the benchmark and the tests.
__all__ = ["Result", "run", "sum_tolerance", "tolerance"]
