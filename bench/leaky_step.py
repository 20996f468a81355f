"""Time a training step of a leaky, noisy network at T, m, n_x, n_a = 100, 16, 33, 64.

It is the shape of neurogym's tasks on a ring of 32 directions: 33 inputs and 33 classes at every
step. The figures are milliseconds for forward, loss, backward, clipping and an update by Adam, as
`fit` counts them: the best epoch of several, one thread.

    python bench/leaky_step.py
"""

import numpy as np

import crnn

T, M, N_X, N_A = 100, 16, 33, 64
STEPS, EPOCHS = 5, 500
UNITS = np.where(np.arange(N_A) < 51, 1, -1)
DALE = {
    "masks": {"Waa": 1 - np.eye(N_A), "Wya": UNITS > 0},
    "signs": {"Waa": UNITS, "Wax": 1, "Wya": UNITS},
}
CASES = {
    "leaky": ({}, None),
    "and noise": ({"noise": 0.15}, None),
    "and masks and signs": ({"noise": 0.15, **DALE}, None),
    "and a trained initial state": ({"noise": 0.15, **DALE, "initial_state": "trained"}, None),
    "and a penalty on rates": (
        {"noise": 0.15, **DALE, "initial_state": "trained"},
        crnn.Penalty(rates_l2=1e-3),
    ),
}


def main() -> None:
    """Print a line for each case."""
    crnn.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, STEPS * M, N_X)).astype("float32")
    y = rng.integers(0, N_X, (T, STEPS * M))
    for name, (options, penalty) in CASES.items():
        options = {"cell": "leaky", "leak": 0.2, "activation": "relu", "steps": "all", **options}
        model = crnn.RNN(N_X, N_A, N_X, rng=0, **options)
        history = model.fit(
            x, y, epochs=EPOCHS, batch_size=M, optimizer=crnn.Adam(1e-4), clip_norm=1.0,
            penalty=penalty, progress=False, rng=0,
        )  # fmt: skip
        print(f"{name:30}{1000 / max(history.steps_per_second):8.3f} ms")


if __name__ == "__main__":
    main()
