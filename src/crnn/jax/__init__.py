"""crnn in JAX: the recurrence over jax arrays, under jit, grad and vmap, on the CPU.

Compiled functions call crnn's kernels through XLA's foreign function interface, on XLA's own
threads and without the GIL; nothing is copied on the way. Needs jax: ``pip install "crnn[jax]"``.
"""

from crnn._extras import extra

with extra("jax", "JAX"):
    from crnn.jax.functions import gru, lstm, rnn

__all__ = ["gru", "lstm", "rnn"]
