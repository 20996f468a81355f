"""GRU, LSTM and leaky cell beside PyTorch: `python bench/cells_torch.py [threads]`.

Both take turns in one process, pinned to as many cores as threads. Printed are medians, in
milliseconds, and the ratio of PyTorch's to crnn's. Training is forward and all gradients. The leaky
cell, which PyTorch does not have, is a loop over time in eager PyTorch, with noise.
"""

import os
import sys
import time

import numpy as np
import torch

import crnn

SHAPES = [
    (100, 1, 32, 32),
    (100, 1, 128, 128),
    (100, 1, 512, 512),
    (100, 16, 64, 64),
    (100, 32, 128, 128),
    (80, 20, 100, 100),
    (100, 32, 256, 256),
    (50, 64, 512, 512),
    (1000, 32, 64, 64),
]
GATES = {"gru": 3, "lstm": 4}


def in_turns(*functions, seconds=1.5):
    """The median time of each function, in milliseconds."""
    for function in functions:
        function()
    times, end = [[] for _ in functions], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for own, function in zip(times, functions, strict=True):
            start = time.perf_counter()
            function()
            own.append(time.perf_counter() - start)
    return [1e3 * float(np.median(own)) for own in times]


def gated(cell, T, m, n_x, n_a):
    """(crnn, PyTorch) for inference and for training."""
    net = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](n_x, n_a, bias=False)
    x = torch.randn(T, m, n_x, requires_grad=True)
    da = torch.randn(T, m, n_a)
    Wax, Waa = (w.detach().numpy() for w in (net.weight_ih_l0, net.weight_hh_l0))
    own_x, own_da = x.detach().numpy(), da.numpy()
    forward, backward = getattr(crnn, f"{cell}_forward"), getattr(crnn, f"{cell}_backward")

    def inference():
        return forward(own_x, Waa, Wax, keep=False)

    def theirs():
        with torch.no_grad():
            return net(x)

    def train():
        return backward(own_da, forward(own_x, Waa, Wax), own_x, Waa, Wax)

    def train_theirs():
        net.zero_grad()
        net(x)[0].backward(da)

    error = np.abs(inference().a - theirs()[0].numpy()).max()
    assert error < 1e-4, error
    return in_turns(inference, theirs), in_turns(train, train_theirs)


def leaky(T, m, n_x, n_a, leak=0.1, noise=0.1):
    """(crnn, PyTorch) for training with noise."""
    x, da = torch.randn(T, m, n_x), torch.randn(T, m, n_a)
    Waa = (torch.randn(n_a, n_a) / n_a**0.5).requires_grad_()
    Wax = (torch.randn(n_a, n_x) / n_x**0.5).requires_grad_()
    own = [value.detach().numpy() for value in (x, Waa, Wax)]

    def train():
        s = crnn.leaky_forward(*own, leak=leak, noise=noise, seed=1)
        return crnn.leaky_backward(da.numpy(), s, *own, leak=leak, need_dx=False)

    def theirs():
        a, states = torch.zeros(m, n_a), []
        for x_t in x:
            z = a @ Waa.T + x_t @ Wax.T + noise * torch.randn(m, n_a)
            a = (1 - leak) * a + leak * torch.tanh(z)
            states.append(a)
        torch.stack(states).backward(da)

    return in_turns(train, theirs)


def main():
    """Print a line for each cell and shape."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch.set_num_threads(threads)
    crnn.set_num_threads(threads)
    crnn.show_config()
    print(
        f"{'cell':6}{'T, m, n_x, n_a':20}{'inference':>10}{'ratio':>7}{'training':>10}{'ratio':>7}"
    )
    for cell in GATES:
        for shape in SHAPES:
            (own, theirs), (own_train, theirs_train) = gated(cell, *shape)
            print(
                f"{cell:6}{shape!s:20}{own:10.3f}{theirs / own:7.2f}{own_train:10.3f}"
                f"{theirs_train / own_train:7.2f}",
                flush=True,
            )
    own, theirs = leaky(100, 16, 33, 64)
    print(f"{'leaky':6}{(100, 16, 33, 64)!s:20}{'':17}{own:10.3f}{theirs / own:7.2f}")


if __name__ == "__main__":
    main()
