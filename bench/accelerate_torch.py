"""A PyTorch training script before and after `crnn.torch.accelerate(model)`, and nothing else.

    python bench/accelerate_torch.py --threads 1 --cell rnn gru lstm

The script trains a torch.nn.RNN, GRU or LSTM and a Linear on its last state with cross entropy over
ten classes and Adam. Both models start from the same parameters, see the same batches and take
turns of several steps. The first turns check that both learn the same; the result is the median
over the other turns, in steps per second. Shapes are T x m x n_x x n_a.
"""

import argparse
import copy
import time

import numpy as np
import torch

import crnn
import crnn.torch

CLASSES, COMPARED = 10, 100
CELLS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


class Model(torch.nn.Module):
    def __init__(self, cell, n_x, n_a):
        super().__init__()
        self.rnn = CELLS[cell](n_x, n_a)
        self.head = torch.nn.Linear(n_a, CLASSES)

    def forward(self, x):
        output, _ = self.rnn(x)
        return self.head(output[-1])


def script(model, x, y):
    """An ordinary training loop, which yields the loss of each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    while True:
        for k in range(len(x)):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[k]), y[k])
            loss.backward()
            optimizer.step()
            yield loss.detach()


def steps(training, count):
    return torch.stack([next(training) for _ in range(count)]).numpy()


def compare(cell, shape, turns, seconds):
    T, m, n_x, n_a = shape
    torch.manual_seed(0)
    plain = Model(cell, n_x, n_a)
    accelerated = copy.deepcopy(plain)
    assert crnn.torch.accelerate(accelerated) == 1
    x, y = torch.randn(8, T, m, n_x), torch.randint(CLASSES, (8, m))
    scripts = {"torch": script(plain, x, y), "crnn": script(accelerated, x, y)}

    losses, counts = {}, {}
    for name, training in scripts.items():
        losses[name] = steps(training, 5)  # not counted: the first steps are slow
        began = time.perf_counter()
        losses[name] = np.append(losses[name], steps(training, COMPARED - 5))
        each = (time.perf_counter() - began) / (COMPARED - 5)
        counts[name] = max(1, round(seconds / each))
    difference = np.abs(losses["torch"] - losses["crnn"]).max()
    assert difference <= 1e-4, f"the losses differ by {difference}"

    speeds = {name: [] for name in scripts}
    for _ in range(turns):
        for name, training in scripts.items():
            began = time.perf_counter()
            steps(training, counts[name])
            speeds[name].append(counts[name] / (time.perf_counter() - began))
    low, middle, high = np.quantile(np.divide(speeds["crnn"], speeds["torch"]), [0.25, 0.5, 0.75])
    print(f"{cell:4}  {'x'.join(map(str, shape)):16}  torch {np.median(speeds['torch']):8.1f}  "
          f"crnn {np.median(speeds['crnn']):8.1f} steps/s: {middle:.2f} times as fast "
          f"(quartiles {low:.2f} and {high:.2f}); "
          f"losses within {difference:.0e} over {COMPARED} steps")  # fmt: skip


def main(cell, shapes, threads, turns, seconds):
    torch.set_num_threads(threads)
    crnn.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s)")
    for name in cell:
        for shape in shapes.split(","):
            compare(name, tuple(map(int, shape.split("x"))), turns, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", nargs="+", choices=CELLS, default=["rnn"])
    parser.add_argument("--shapes", default="100x32x128x128,100x1x64x64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    main(**vars(parser.parse_args()))
