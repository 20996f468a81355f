"""Predict sunspots one year ahead at every step (many-to-many, mean squared error).

The data are the yearly means from 1700 to 2008 in statsmodels; monthly means would be read in the
same way. The model is trained on the years until 1920 and predicts each later year from all years
before it. In about a second it reaches a root mean squared error of 21.3; the forecast that each
year equals the one before it (persistence) gives 30.4.

    pip install "crnn[examples]"
    python examples/sunspots.py
"""

import numpy as np
from statsmodels.datasets import sunspots

import crnn


def main() -> tuple[float, float]:
    """Train the model and return its root mean squared error and that of persistence."""
    data = sunspots.load_pandas().data
    year, spots = data["YEAR"].to_numpy(), data["SUNACTIVITY"].to_numpy()
    learned = int(np.searchsorted(year, 1920))
    scale = spots[:learned].std()
    series = (spots - spots[:learned].mean()) / scale

    # Each window of 40 years is an example; its targets are the same window one year later.
    T = 40
    starts = np.arange(learned - T)
    x = np.stack([series[s : s + T] for s in starts], axis=1)[..., None]
    y = np.stack([series[s + 1 : s + T + 1] for s in starts], axis=1)[..., None]

    model = crnn.RNN(1, 32, 1, steps="all", loss="mse", rng=0)
    model.fit(x, y, epochs=120, optimizer=crnn.Adam(1e-3), clip_norm=1.0, rng=0)

    stream = model.stream()
    ahead = np.array([stream.step(value.reshape(1, 1))[0, 0] for value in series[:-1]])
    error = (ahead - series[1:])[learned - 1 :] * scale
    still = np.diff(spots)[learned - 1 :]
    rmse, persistence = np.sqrt(np.mean(error**2)), np.sqrt(np.mean(still**2))
    print(f"root mean squared error, 1920-2008   crnn {rmse:.1f}   persistence {persistence:.1f}")
    return float(rmse), float(persistence)


if __name__ == "__main__":
    main()
