"""Compare `crnn.inspect.lyapunov_exponents` with a loop of NumPy's QR, in time and in results.

    OMP_NUM_THREADS=1 python bench/lyapunov_numpy.py

A vanilla cell of n_a = 128 units with driven inputs, T = 1000, on one thread; the loop takes the
same Jacobians, each ready before it is timed. Both take turns, and the medians are printed, in
seconds of processor time, which other load on the machine affects least.
"""

import statistics
import time

import numpy as np

import crnn

T, N_X, N_A, ROUNDS = 1000, 8, 128, 5


def by_numpy(jacobians):
    Q, logs = np.eye(N_A), np.zeros(N_A)
    for J in jacobians:
        Q, R = np.linalg.qr(J @ Q)
        logs += np.log(np.abs(np.diag(R)))
    return np.sort(logs / len(jacobians))[::-1]


def timed(function, *arguments):
    began = time.process_time()
    result = function(*arguments)
    return time.process_time() - began, result


def main():
    crnn.set_num_threads(1)
    for cell in ("vanilla", "leaky", "gru", "lstm"):
        leak = 0.5 if cell == "leaky" else None
        model = crnn.RNN(N_X, N_A, 2, dtype="float64", rng=0, cell=cell, leak=leak)
        x = np.random.default_rng(0).normal(size=(T, N_X))
        if cell != "vanilla":
            seconds = min(timed(crnn.inspect.lyapunov_exponents, model, x)[0] for _ in range(2))
            print(f"{cell:8} {seconds:6.3f} s")
            continue
        p = model.parameters
        a = crnn.rnn_forward(x[:, None], p["Waa"], p["Wax"], p["ba"])[:, 0]  # (T, n_a)
        jacobians = (1 - a**2)[:, :, None] * p["Waa"]  # (T, n_a, n_a)
        times = []
        for _ in range(ROUNDS):
            theirs, expected = timed(by_numpy, jacobians)
            ours, found = timed(crnn.inspect.lyapunov_exponents, model, x)
            times.append((ours, theirs))
        ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        off = np.abs(found.exponents - expected).max()
        print(f"{cell:8} {ours:6.3f} s; NumPy {theirs:.3f} s, {theirs / ours:.1f} times as long; "
              f"the exponents differ by {off:.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
