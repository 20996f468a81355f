"""Compare the latency of one time step of `crnn.Stream` and of torch.nn.RNNCell.

    python bench/stream_torch.py

One example, 64 inputs and 64 units, one thread. crnn's step includes its output layer of one unit;
torch's is the cell alone, under inference_mode. They take turns; the results are medians over the
turns.
"""

import argparse

import numpy as np
import torch

import crnn
from crnn.benchmark.clock import time_calls


def main(units, turns, seconds):
    crnn.set_num_threads(1)
    torch.set_num_threads(1)
    model = crnn.RNN(units, units, 1, steps="all", loss="mse", rng=0)
    cell = torch.nn.RNNCell(units, units)
    cell.load_state_dict(
        {
            "weight_hh": torch.from_numpy(model.parameters["Waa"].copy()),
            "weight_ih": torch.from_numpy(model.parameters["Wax"].copy()),
            "bias_hh": torch.zeros(units),
            "bias_ih": torch.from_numpy(model.parameters["ba"].copy()),
        }
    )
    x = np.random.default_rng(0).standard_normal((1, units)).astype("float32")
    x_ = torch.from_numpy(x)
    stream, state = model.stream(), torch.zeros(1, units)

    def theirs():
        nonlocal state
        state = cell(x_, state)

    with torch.inference_mode():
        for _ in range(5):
            stream.step(x)
            theirs()
        assert np.allclose(stream.state[0], state, atol=1e-5), "not the same numbers"
        times = np.array(
            [
                (time_calls(lambda: stream.step(x), seconds), time_calls(theirs, seconds))
                for _ in range(turns)
            ]
        )
    ours_, theirs_ = np.median(times, axis=0) * 1e6
    low, middle, high = np.quantile(times[:, 1] / times[:, 0], [0.25, 0.5, 0.75])
    print(f"crnn  {ours_:8.2f} microseconds a step\ntorch {theirs_:8.2f} microseconds a step")
    print(f"crnn over torch {torch.__version__}: {middle:.2f} times as fast "
          f"(quartiles {low:.2f} and {high:.2f})")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    main(**vars(parser.parse_args()))
