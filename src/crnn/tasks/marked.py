"""Tasks about two marked steps of a sequence of numbers: adding and delayed exclusive or."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from crnn.reference import Array
from crnn.tasks.task import BAI, Examples, Published, Task


class Adding(Task):
    """The adding problem: the sum of the two marked numbers among T.

    Each step has a number, uniform in [0, 1], and a mark, which is 1 at two different steps drawn
    uniformly and 0 elsewhere. The target after the last step is the sum of the two marked numbers.
    Always answering 1 gives 1/6, the variance of the sum. Solved means a mean squared error below
    0.01.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), section
    5.4; with the settings of Q. V. Le, N. Jaitly, G. E. Hinton, arXiv:1504.00941, and S. Bai,
    J. Z. Kolter, V. Koltun, arXiv:1803.01271, section 4.

    Examples
    --------
    >>> import crnn.tasks
    >>> x, y = crnn.tasks.Adding(50).draw(8, rng=0)
    >>> x.shape, y.shape                                    # (T, m, n_x), (m, n_y)
    ((50, 8, 2), (8, 1))
    >>> bool((y[:, 0] == (x[..., 0] * x[..., 1]).sum(axis=0)).all())
    True
    """

    name: ClassVar[str] = "adding"
    about: ClassVar[str] = "the sum of the two marked numbers among T"
    source: ClassVar[str] = "Hochreiter and Schmidhuber 1997; settings of Le et al. 2015"
    measure: ClassVar[str] = "loss"
    loss: ClassVar[str] = "mse"
    n_x: ClassVar[int] = 2
    n_y: ClassVar[int] = 1
    baseline = 1 / 6  # the variance of the sum of two uniform numbers, 2/12
    solved_at = 0.01
    published: ClassVar[tuple[Published, ...]] = (
        Published("GRU", 600, 5.3e-5, BAI),
        Published("LSTM", 600, 0.164, BAI),
        Published("RNN", 600, 0.177, BAI),
    )

    def _draw(self, m: int, rng: np.random.Generator) -> Examples:
        x = np.empty((self.T, m, 2), np.float32)
        x[..., 0] = rng.random((self.T, m), np.float32)
        first = rng.integers(self.T, size=m)
        second = (first + rng.integers(1, self.T, size=m)) % self.T  # another step
        x[..., 1] = marks(self.T, first, second)
        return x, (x[..., 0] * x[..., 1]).sum(axis=0)[:, None]


class DelayedXOR(Task):
    """Delayed exclusive or: whether the two marked bits among T differ.

    Each step has a random bit, as -1 or 1, and a mark. The first mark is within the first tenth of
    the steps, the second between there and the middle, and the answer is asked for after the last
    step. Without memory the accuracy is 1/2. Solved means an accuracy of at least 0.99.

    References
    ----------
    J. Martens, I. Sutskever, "Learning recurrent neural networks with Hessian-free optimization",
    ICML 2011, after the adding problem of Hochreiter and Schmidhuber 1997. The places of the marks
    are those of R. Pascanu's code for adding, https://github.com/pascanur/trainingRNNs.

    Examples
    --------
    >>> import crnn.tasks
    >>> x, y = crnn.tasks.DelayedXOR(50).draw(8, rng=0)
    >>> product = (x[..., 0] * x[..., 1] + (1 - x[..., 1])).prod(axis=0)    # of the marked bits
    >>> bool((y == (product < 0)).all())
    True
    """

    name: ClassVar[str] = "xor"
    about: ClassVar[str] = "whether the two marked bits differ, asked T/2 steps later or more"
    source: ClassVar[str] = "Martens and Sutskever 2011"
    least_T: ClassVar[int] = 4
    n_x: ClassVar[int] = 2
    n_y: ClassVar[int] = 2
    baseline = 0.5  # chance
    solved_at = 0.99

    def _draw(self, m: int, rng: np.random.Generator) -> Examples:
        x = np.empty((self.T, m, 2), np.float32)
        bits = rng.integers(0, 2, (self.T, m))
        early = math.ceil(self.T / 10)
        first, second = rng.integers(early, size=m), rng.integers(early, self.T // 2, size=m)
        x[..., 0] = 2 * bits - 1
        x[..., 1] = marks(self.T, first, second)
        each = np.arange(m)
        return x, bits[first, each] ^ bits[second, each]


def marks(T: int, *steps: Array) -> Array:
    """1 at these steps (m,) of each example and 0 elsewhere: (T, m)."""
    marked = np.zeros((T, len(steps[0])), np.float32)
    for t in steps:
        marked[t, np.arange(len(t))] = 1
    return marked
