"""Tasks about sequences of symbols: copy memory and temporal order."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from crnn.tasks.task import BAI, Examples, Published, Task


class CopyMemory(Task):
    """Copy memory: repeat ten symbols after a delay of T steps.

    The input, of T + 20 steps, is ten symbols drawn from eight (numbers 1 to 8), T - 1 blanks (0),
    one delimiter (9), which asks for the answer, and ten blanks. The target is T + 10 blanks, then
    the ten symbols. A model without memory answers blanks and then draws: its cross entropy, as a
    mean over all steps, is 10 log(8) / (T + 20). Solved means less than a tenth of that.

    References
    ----------
    M. Arjovsky, A. Shah, Y. Bengio, "Unitary evolution recurrent neural networks", ICML 2016,
    after Hochreiter and Schmidhuber 1997. The published figures are those of S. Bai, J. Z. Kolter,
    V. Koltun, arXiv:1803.01271, whose last ten inputs are delimiters instead of blanks. At T = 1000
    the loss without memory is 0.0204 for both.

    Examples
    --------
    >>> import crnn.tasks
    >>> x, y = crnn.tasks.CopyMemory(3).draw(1, rng=0)
    >>> x[:, 0].tolist()
    [7, 6, 5, 3, 3, 1, 1, 1, 2, 7, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    >>> y[:, 0].tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 6, 5, 3, 3, 1, 1, 1, 2, 7]
    """

    name: ClassVar[str] = "copy"
    about: ClassVar[str] = "repeat ten symbols after a delay of T steps"
    source: ClassVar[str] = "Arjovsky et al. 2016"
    measure: ClassVar[str] = "loss"
    steps: ClassVar[str] = "all"
    least_T: ClassVar[int] = 1
    n_x: ClassVar[int] = 10
    n_y: ClassVar[int] = 9
    published: ClassVar[tuple[Published, ...]] = (
        Published("GRU", 1000, 0.0197, BAI),
        Published("LSTM", 1000, 0.0204, BAI),
        Published("RNN", 1000, 0.0202, BAI),
    )

    def _draw(self, m: int, rng: np.random.Generator) -> Examples:
        symbols = rng.integers(1, 9, (10, m))
        x = np.zeros((self.T + 20, m), np.intp)
        x[:10], x[self.T + 9] = symbols, 9
        y = np.zeros_like(x)
        y[-10:] = symbols
        return x, y

    @property
    def baseline(self) -> float:
        """10 log(8) / (T + 20)."""
        return 10 * math.log(8) / (self.T + 20)

    @property
    def solved_at(self) -> float:
        """A tenth of the baseline."""
        return self.baseline / 10


class TemporalOrder(Task):
    """Temporal order: in which order two special symbols came.

    A sequence of T symbols drawn from four distractors (2 to 5) has X (0) or Y (1) at one step
    within T/10..2T/10 and at another within 4T/10..5T/10. The class is XX, XY, YX or YY. Without
    memory the accuracy is 1/4. Solved means an accuracy of at least 0.99, as in Pascanu et al.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
    experiment 6a, where the two symbols of about 100 steps are at steps 10 to 20 and 50 to 60. What
    counts as solved is from R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training
    recurrent neural networks", ICML 2013, section 4.1.1.

    Examples
    --------
    >>> import crnn.tasks
    >>> x, y = crnn.tasks.TemporalOrder(20).draw(1, rng=0)
    >>> x[:, 0].tolist(), y.tolist()
    ([5, 4, 4, 3, 0, 2, 2, 2, 1, 5, 4, 5, 4, 4, 5, 4, 4, 4, 4, 5], [1])
    """

    name: ClassVar[str] = "order"
    about: ClassVar[str] = "in which order two special symbols came among distractors"
    source: ClassVar[str] = "Hochreiter and Schmidhuber 1997; settings of Pascanu et al. 2013"
    least_T: ClassVar[int] = 10
    n_x: ClassVar[int] = 6
    n_y: ClassVar[int] = 4
    baseline = 0.25  # chance
    solved_at = 0.99
    published: ClassVar[tuple[Published, ...]] = (
        Published("RNN, clipped and regularised", 200, 1.0, "Pascanu et al. 2013, section 4.1.1"),
    )

    def _draw(self, m: int, rng: np.random.Generator) -> Examples:
        x = rng.integers(2, 6, (self.T, m))
        special = rng.integers(0, 2, (2, m))
        tenth, each = self.T / 10, np.arange(m)
        for symbol, begin, end in zip(special, (1, 4), (2, 5), strict=True):
            t = rng.integers(math.ceil(begin * tenth), math.floor(end * tenth) + 1, size=m)
            x[t, each] = symbol
        return x, 2 * special[0] + special[1]
