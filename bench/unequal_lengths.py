"""The cost of unequal lengths, beside a full batch and beside PyTorch's packed sequences.

    python bench/unequal_lengths.py --threads 1 2
    python bench/unequal_lengths.py --rows 8 32 128 256 --units 32 64 128 200 --threads 1 2

Two comparisons, each in float32 with n_x = n_a, forward alone and in training (forward and all
gradients):

- "full": `crnn.rnn_forward` and `rnn_backward` with `lengths`, beside the same functions on a full
  batch of the same rows that has as many valid steps: their time over the full batch's. The time
  that NumPy takes to write the zeros of the padding is subtracted. The aim of each kind of lengths
  is in `KINDS`.
- "torch": `torch.nn.RNN` on a PackedSequence beside `crnn.torch.RNN` on the same one: torch's time
  over crnn's. Above 1, crnn is faster.

The calls of a comparison alternate, and each ratio is the median over the rounds. The rows are in
random order.
"""

import argparse
import time

import numpy as np

import crnn

try:
    import torch

    import crnn.torch
except ImportError:
    torch = None

#: How the lengths of m rows are drawn, and the aim: the largest acceptable ratio to a full batch.
KINDS = {
    "uniform": (lambda rng, m: rng.integers(1, 101, m), 1.3),
    "halves": (lambda rng, m: np.where(np.arange(m) < m // 2, 100, 20), 1.3),
    "words": (lambda rng, m: rng.lognormal(np.log(20), 0.5, m), 1.6),
    "geometric": (lambda rng, m: rng.geometric(1 / 20, m), 1.6),
    "one long": (lambda rng, m: np.where(np.arange(m) < 1, 1000, 10), 2.0),
}


def draw_lengths(kind, m):
    """The lengths of m rows, in random order."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(1, np.rint(KINDS[kind][0](rng, m))).astype(np.int64)
    return rng.permutation(lengths)


def alternate(calls, seconds):
    """Seconds of every call of every round, (rounds, calls), after a round that is not counted."""
    for call in calls:
        call()
    rounds, end = [], time.perf_counter() + seconds
    while len(rounds) < 3 or time.perf_counter() < end:
        rounds.append([])
        for call in calls:
            began = time.perf_counter()
            call()
            rounds[-1].append(time.perf_counter() - began)
    return np.array(rounds)


def layer_calls(lengths, n, T, padding):
    """Forward, training and, where there is padding, the writing of its zeros after either.

    Arrays that the caller can give are there before the clock starts. dx is new in each call, so
    the zeros of its padding are written to new memory as well.
    """
    rng, m = np.random.default_rng(1), len(lengths)
    x, da, out = (rng.standard_normal((T, m, n), np.float32) for _ in range(3))
    Waa, Wax = (rng.standard_normal((n, n), np.float32) / n**0.5 for _ in range(2))
    options = {"lengths": lengths} if padding else {}

    def forward():
        return crnn.rnn_forward(x, Waa, Wax, out=out, **options)

    def training():
        crnn.rnn_backward(da, forward(), x, Waa, Wax, **options)

    zeros = out.reshape(-1, n)[: T * m - lengths.sum()]

    def write_zeros():
        zeros.fill(0)

    def write_both():
        zeros.fill(0)
        np.empty_like(zeros).fill(0)

    return [forward, training, *([write_zeros, write_both] if padding else [])]


def against_full(lengths, n, seconds):
    """Time over that of a full batch with as many valid steps: forward, training."""
    m, valid = len(lengths), lengths.sum()
    T = max(1, round(valid / m))
    calls = layer_calls(lengths, n, lengths.max(), padding=True)
    full = np.full(m, T)
    times = alternate([*calls, *layer_calls(full, n, T, padding=False)], seconds)
    ours = times[:, :2] - times[:, 2:4]
    return np.median(ours / (times[:, 4:] * valid / (m * T)), axis=0)


def packed_calls(rnn, packed):
    """Forward without gradients, and forward with all of them."""
    data = packed.data.requires_grad_()
    leaves = [data, *rnn.parameters()]
    da = torch.randn(len(data), rnn.hidden_size)

    def forward():
        with torch.inference_mode():
            return rnn(packed)

    def training():
        torch.autograd.grad(rnn(packed)[0].data, leaves, da)

    return [forward, training]


def against_torch(lengths, n, seconds):
    """Time of torch's packed sequences over that of crnn's: forward, training."""
    torch.manual_seed(0)
    theirs, ours = torch.nn.RNN(n, n), crnn.torch.RNN(n, n)
    ours.load_state_dict(theirs.state_dict())
    sequences = [torch.randn(int(length), n) for length in lengths]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    outputs = [rnn(packed)[0].data for rnn in (theirs, ours)]
    assert torch.allclose(*outputs, atol=1e-5), "not the same numbers"
    times = alternate(packed_calls(theirs, packed) + packed_calls(ours, packed), seconds)
    return np.median(times[:, :2] / times[:, 2:], axis=0)


def main(kinds, rows, units, threads, seconds, peers):
    comparisons = {"full": against_full, "torch": against_torch}
    headings = [f"{peer} {what}" for peer in peers for what in ("forward", "training")]
    print(f"crnn {crnn.__version__}; ratios to a full batch and of torch's time to crnn's")
    print(f"{'lengths':10}{'m':>5}{'n_a':>5}{'threads':>8}" + "".join(f"{h:>16}" for h in headings))
    results = {kind: [] for kind in kinds}
    for count in threads:
        crnn.set_num_threads(count)
        if "torch" in peers:
            torch.set_num_threads(count)
        for kind in kinds:
            for m in rows:
                for n in units:
                    lengths = draw_lengths(kind, m)
                    ratios = [comparisons[peer](lengths, n, seconds) for peer in peers]
                    results[kind].append(np.concatenate(ratios))
                    print(f"{kind:10}{m:5}{n:5}{count:8}" + shown(results[kind][-1]), flush=True)
    print("the worst of each kind: the largest ratio to a full batch, the smallest to torch")
    for kind, found in results.items():
        found = np.array(found)
        worst = [
            (np.max if peers[k // 2] == "full" else np.min)(found[:, k])
            for k in range(found.shape[1])
        ]
        print(f"{kind:28}" + shown(worst) + f"   aim: {KINDS[kind][1]} and 1.0")


def shown(ratios):
    return "".join(f"{ratio:16.2f}" for ratio in ratios)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rows", nargs="+", type=int, default=[8, 32, 256], metavar="m")
    parser.add_argument("--units", nargs="+", type=int, default=[32, 128, 200], metavar="n_a")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=0.5, help="of a comparison")
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=["full", "torch"],
        default=["full", "torch"] if torch else ["full"],
    )
    main(**vars(parser.parse_args()))
