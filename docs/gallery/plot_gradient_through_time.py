"""
The gradient through time
=========================

How much of the gradient of the last answer reaches each earlier step? Backpropagation multiplies it
by a Jacobian at each step. In the vanilla cell that product falls exponentially: after a hundred
steps nothing is left. A GRU and an LSTM carry a memory past the matrix, and what their gates keep
decides how far the gradient reaches.
"""

import matplotlib.pyplot as plt
import numpy as np

import crnn

T, m = 200, 16
x = np.random.default_rng(0).standard_normal((T, m, 3))  # (T, m, n_x)
y = np.arange(m) % 2

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for cell in ("vanilla", "gru", "lstm"):
    model = crnn.RNN(3, 64, 2, cell=cell, dtype="float64", rng=0)
    flow = crnn.inspect.gradient_flow(model, x, y)
    back = np.arange(T)  # steps before the last
    axes.semilogy(back, flow.by_lag[0] / flow.by_lag[0, 0], label=f"{cell}: {flow.rate[0]:.3f}")
    print(flow)

axes.set(xlabel="steps back from the answer", ylabel="norm of the gradient, relative")
axes.set_title("How much of the gradient reaches each earlier step, before training")
axes.legend(title="change of its logarithm per step")

# %%
# All three are as `crnn.RNN` draws them, before any training. The forget gates of the LSTM begin at
# a bias of 1, with which the cell keeps 73 % of its content per step. A larger bias makes the
# gradient reach farther:

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for bias in (0, 1, 2, 4):
    model = crnn.RNN(3, 64, 2, cell="lstm", forget_bias=bias, dtype="float64", rng=0)
    flow = crnn.inspect.gradient_flow(model, x, y)
    axes.semilogy(back, flow.by_lag[0] / flow.by_lag[0, 0], label=f"{bias}")

axes.set(xlabel="steps back from the answer", ylabel="norm of the gradient, relative")
axes.legend(title="forget bias of the LSTM")

# %%
# `crnn.inspect.GradientFlow.plot` draws the same for one model against time, with the spread over
# the examples:

model = crnn.RNN(3, 64, 2, dtype="float64", rng=0)
crnn.inspect.gradient_flow(model, x, y).plot()
