"""Compare training the model of `crnn train` with training the same model in PyTorch.

    python bench/train_torch.py --threads 1

Both learn the same text from the same initial parameters: 256 tanh units, 32 rows of text, windows
of 64 steps whose state is carried to the next window, cross entropy of every step, Adam with a rate
of 0.002, gradients clipped to a norm of 1. They take turns of several windows. The first turn, in
which PyTorch warms up, checks that both learn the same; the result is the median over the other
turns, in characters per second.
"""

import argparse
import statistics
import time

import numpy as np
import torch

import crnn
from crnn.text import Vocabulary, python_topics

UNITS, ROWS, STEPS, RATE, NORM = 256, 32, 64, 2e-3, 1.0


class Torch:
    """An efficient PyTorch loop: nn.RNN over one-hot rows, fused Adam, clipping with `foreach`."""

    def __init__(self, model):
        self.n = model.config.n_x
        self.rnn = torch.nn.RNN(self.n, UNITS)
        self.head = torch.nn.Linear(UNITS, self.n)
        w = {name: torch.from_numpy(value.copy()) for name, value in model.parameters.items()}
        self.rnn.load_state_dict(
            {
                "weight_hh_l0": w["Waa"],
                "weight_ih_l0": w["Wax"],
                "bias_ih_l0": w["ba"],
                "bias_hh_l0": torch.zeros_like(w["ba"]),
            }
        )
        # The model has one bias. Training torch's second one too would double the bias's rate.
        self.rnn.bias_hh_l0.requires_grad_(False)
        self.head.load_state_dict({"weight": w["Wya"], "bias": w["by"]})
        every = [*self.rnn.parameters(), *self.head.parameters()]
        self.parameters = [parameter for parameter in every if parameter.requires_grad]
        self.adam = torch.optim.Adam(self.parameters, lr=RATE, fused=True)

    def learn(self, symbols):
        """Go over the symbols once, as ROWS rows; give the mean loss."""
        length = (len(symbols) - 1) // ROWS
        x, y = (
            torch.from_numpy(symbols[k : k + ROWS * length].reshape(ROWS, length).T.copy())
            for k in (0, 1)
        )  # (length, ROWS)
        state, losses = None, []
        for start in range(0, length, STEPS):
            window = slice(start, start + STEPS)
            rows = torch.nn.functional.one_hot(x[window], self.n).float()
            a, state = self.rnn(rows, state)
            logits = self.head(a).flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(logits, y[window].flatten())
            self.adam.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, NORM, foreach=True)
            self.adam.step()
            state = state.detach()
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()


def main(threads, windows, turns):
    crnn.set_num_threads(threads)
    torch.set_num_threads(threads)
    text = python_topics()
    vocabulary = Vocabulary.of(text)
    characters = windows * ROWS * STEPS
    symbols = vocabulary.encode(text)[: characters + 1]
    assert len(symbols) == characters + 1, "fewer windows: the text is not that long"

    model = crnn.RNN(len(vocabulary), UNITS, len(vocabulary), steps="all", rng=0)
    theirs = Torch(model)

    def ours():
        history = model.fit_stream(
            symbols,
            epochs=1,
            batch_size=ROWS,
            steps=STEPS,
            optimizer=crnn.Adam(RATE),
            clip_norm=NORM,
            progress=False,
        )
        return history.loss[0]

    learners = {"crnn": ours, "torch": lambda: theirs.learn(symbols)}
    speeds = {name: [] for name in learners}
    for turn in range(turns + 1):
        losses = []
        for name, learn in learners.items():
            began = time.perf_counter()
            losses.append(learn())
            if turn > 0:
                speeds[name].append(characters / (time.perf_counter() - began))
        if turn == 0:
            print("mean loss of the first turn: crnn {:.4f}, torch {:.4f}".format(*losses))
            assert np.isclose(*losses, rtol=1e-3), "not the same model"
    for name, values in speeds.items():
        print(f"{name:6} {statistics.median(values):12,.0f} characters/s")
    ratios = np.divide(speeds["crnn"], speeds["torch"])
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    print(f"crnn over torch {torch.__version__}, {threads} thread(s): {middle:.2f} times as fast "
          f"(quartiles {low:.2f} and {high:.2f})")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--windows", type=int, default=20, help="of a turn")
    parser.add_argument("--turns", type=int, default=7)
    main(**vars(parser.parse_args()))
