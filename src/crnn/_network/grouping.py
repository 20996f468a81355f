"""Which examples run together: in shuffled batches, or in groups of bounded memory."""

from __future__ import annotations

import numpy as np

from crnn.reference import Array

#: Batches that are drawn together and then sorted by length: enough to find similar lengths,
#: few enough that an epoch's order stays random.
BUCKET = 50

#: Bytes that the arrays of a pass may take if it has more than one example.
MOST_BYTES = 7 << 23  # less than 64 MiB together with the workspace of the kernels

#: This many padded steps cost about as much as another call.
FEW_STEPS = 2048


def shuffled(
    m: int, lengths: Array | None, size: int, rng: np.random.Generator
) -> list[Array] | list[None]:
    """Which of m examples are in each batch of an epoch; [None] means all in one batch.

    Batches have `size` examples, the last may have fewer, of similar lengths (m,).
    """
    if m <= size:  # the order within the only batch does not matter: no copy
        return [None]
    order = rng.permutation(m)
    chunks = [order[i : i + size] for i in range(0, m, size)]
    if lengths is not None:
        span = size * BUCKET
        spans = [
            part[np.argsort(lengths[part], kind="stable")]
            for part in (order[i : i + span] for i in range(0, m, span))
        ]
        chunks = [part[i : i + size] for part in spans for i in range(0, len(part), size)]
        chunks = [chunks[i] for i in rng.permutation(len(chunks))]
    return chunks


def groups(m: int, T: int, lengths: Array | None, per_step: int, of_x: int) -> list[Array | None]:
    """Which examples to run together, for a pass in bounded memory; [None] means all at once.

    For each step of an example, of at most T, the pass takes `per_step` bytes, and a copy of x
    takes `of_x`.

    Examples of similar lengths form a group, so that little of it is padding. A group's arrays
    take at most MOST_BYTES unless it is a single example. The largest group comes first, so
    that buffers need not grow.
    """
    copied = per_step + of_x
    if lengths is None:
        if m == 1 or m * T * per_step <= MOST_BYTES:
            return [None]
        size = max(MOST_BYTES // (copied * T), 1)
        return [np.arange(i, min(i + size, m)) for i in range(0, m, size)]
    order = np.argsort(lengths, kind="stable")
    starts = _cut(lengths[order], MOST_BYTES // copied)
    if len(starts) == 1:
        return [None]
    groups = [np.sort(group) for group in np.split(order, starts[1:])]  # in the caller's order
    padded = [len(group) * int(lengths[group].max()) for group in groups]
    return [groups[i] for i in np.argsort(padded, kind="stable")[::-1]]


def _cut(lengths: Array, most: int) -> list[int]:
    """Where groups begin among increasing lengths (m,).

    A group has at most `most` steps, including padding. Its padding is at most as many steps as
    the group has valid ones, or costs less than another call would.
    """
    starts, counted = [0], 0
    for k, length in enumerate(lengths.tolist()):
        padded = (k + 1 - starts[-1]) * length
        padding = padded - counted - length
        if k > starts[-1] and (padded > most or padding > max(counted + length, FEW_STEPS)):
            starts.append(k)
            counted = 0
        counted += length
    return starts
