"""Forecast real monthly series twelve months ahead, and say how wrong the forecasts are.

Two series: the passengers of international airlines from 1949 to 1960, in thousands (Box and
Jenkins, "Time Series Analysis", 1970, series G); and the carbon dioxide in the air at Mauna Loa
(Keeling and Whorf, Scripps Institution of Oceanography; statsmodels ships it), in the last twelve
years that are there.

Walk-forward validation: from each origin, three months apart, a GRU of 32 units learns from the
months before it alone. It reads 24 changes of the logarithm and answers with the next 12 at once.

    pip install "crnn[examples]"
    python examples/forecasting.py                 # about a minute
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from statsmodels.datasets import co2
from statsmodels.tsa.holtwinters import ExponentialSmoothing

import crnn
from crnn.data import Backtest, Scaling, sliding_windows, walk_forward

Array = np.ndarray
Forecaster = Callable[[int], Array]

#: Thousands of passengers in each month from January 1949 to December 1960.
AIRLINE = np.array([
    112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118,
    115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140,
    145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166,
    171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194,
    196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201,
    204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229,
    242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278,
    284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306,
    315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336,
    340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337,
    360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405,
    417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432,
], float)  # fmt: skip

YEAR, WINDOW, FIRST, SCORED, STEP = 12, 24, 60, 108, 3


def carbon_dioxide() -> Array:
    """Parts per million in each of the last 144 months; gaps are interpolated."""
    monthly = co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    return monthly.to_numpy()[-144:]


def network(past: Array, seed: int) -> Forecaster:
    """A network that learned from the past."""
    scaling = Scaling.of(past, log=True, difference=1)
    x, y = sliding_windows(scaling.apply(past), min(WINDOW, len(past) - YEAR - 12), YEAR)
    model = crnn.RNN(1, 32, YEAR, cell="gru", loss="mse", rng=seed)
    adam = crnn.Adam(5e-3)
    model.fit(
        x, y, epochs=50, batch_size=16, optimizer=adam, clip_norm=1.0, progress=False, rng=seed
    )
    model.scaling = scaling
    return lambda H: model.forecast(past, H, window=len(x))


def holt_winters(past: Array) -> Forecaster:
    """Exponential smoothing with a trend and a season that is multiplied."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = ExponentialSmoothing(
            past, trend="add", seasonal="mul", seasonal_periods=YEAR
        ).fit()
    return fitted.forecast


def scored(found: Backtest) -> Backtest:
    """The forecasts from the later origins; the earlier ones give the intervals."""
    late = found.origins >= SCORED
    return Backtest(found.origins[late], found.forecasts[late], found.actual[late])


def main(networks: int = 5) -> dict[str, dict[str, float]]:
    """Print the errors of every method on both series, and return them."""
    results = {}
    for name, series in (("airline passengers", AIRLINE), ("carbon dioxide", carbon_dioxide())):
        ways = {
            "as last year": lambda past: lambda H: past[-YEAR:],
            "Holt-Winters": holt_winters,
        }
        errors = {
            way: walk_forward(train, series, YEAR, first=SCORED, step=STEP).mape
            for way, train in ways.items()
        }
        began, singles = time.perf_counter(), []
        for seed in range(networks):
            singles.append(
                walk_forward(
                    lambda past, seed=seed: network(past, seed), series, YEAR, first=FIRST,
                    step=STEP,
                )
            )  # fmt: skip
        seconds = (time.perf_counter() - began) / networks / len(singles[0].origins)
        mean = np.mean([found.forecasts for found in singles], axis=0)
        together = Backtest(singles[0].origins, mean, singles[0].actual)
        of_one = [scored(found).mape for found in singles]
        errors |= {
            "one network": float(np.mean(of_one)),
            "worst network": max(of_one),
            f"mean of {networks}": scored(together).mape,
            "coverage": together.coverage(0.9),
            "seconds": seconds,
        }
        results[name] = errors
        print(f"{name}: mean absolute percentage error, 12 months ahead")
        for way, error in errors.items():
            if way not in ("coverage", "seconds"):
                print(f"  {way:15} {100 * error:6.2f} %")
        print(f"  a 90 % interval held {100 * errors['coverage']:.0f} % of the months;", end=" ")
        print(f"{seconds:.2f} s for each network and origin")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=5, help="how many to take the mean of")
    main(parser.parse_args().networks)
