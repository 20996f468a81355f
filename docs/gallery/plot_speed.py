"""
Speed
=====

The forward pass and all gradients of a vanilla network, in crnn, in PyTorch and in plain NumPy, on
one thread of the machine that built this page. Each bar is the median of calls that take turns.
``crnn bench`` measures more libraries, shapes and cells, with more care, on your own machine.
"""

from statistics import median
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch

import crnn
from crnn import reference

crnn.set_num_threads(1)
torch.set_num_threads(1)
SHAPES = [(10, 1, 32, 32), (100, 1, 64, 64), (100, 16, 64, 64), (100, 32, 128, 128)]
rng = np.random.default_rng(0)


def calls(T, m, n_x, n_a):
    """One call of each library: states and gradients of the same numbers."""
    x = rng.standard_normal((T, m, n_x), np.float32)
    layer = torch.nn.RNN(n_x, n_a)
    Wax, Waa, ba, _ = (p.detach().numpy() for p in layer.parameters())
    da = rng.standard_normal((T, m, n_a), np.float32)
    x_torch, da_torch = torch.tensor(x, requires_grad=True), torch.tensor(da)

    def in_numpy():
        a = reference.rnn_forward(x, Waa, Wax, ba)
        reference.rnn_backward(da, a, x, Waa, Wax)

    def in_torch():
        layer(x_torch)[0].backward(da_torch)

    def in_crnn():
        a = crnn.rnn_forward(x, Waa, Wax, ba)
        crnn.rnn_backward(da, a, x, Waa, Wax)

    return {"NumPy": in_numpy, "PyTorch": in_torch, "crnn": in_crnn}


def milliseconds(functions, rounds=15):
    """The median time of each, in turns; the first round is not counted."""
    times = {name: [] for name in functions}
    for _ in range(rounds + 1):
        for name, function in functions.items():
            begin = perf_counter()
            function()
            times[name].append(1e3 * (perf_counter() - begin))
    return {name: median(values[1:]) for name, values in times.items()}


measured = [milliseconds(calls(*shape)) for shape in SHAPES]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for k, name in enumerate(measured[0]):
    values = [row[name] for row in measured]
    bars = axes.bar(np.arange(len(SHAPES)) + 0.27 * (k - 1), values, 0.25, label=name)
    axes.bar_label(bars, [f"{value:.2g}" for value in values], fontsize=8)
axes.set(yscale="log", ylabel="milliseconds", xlabel="T, m, n_x, n_a")
axes.set_xticks(range(len(SHAPES)), [", ".join(map(str, shape)) for shape in SHAPES])
axes.legend()
