"""
A forecast with its uncertainty
===============================

A wave that wanders: each step depends on the two before it and on chance. A GRU with the loss
``gaussian_nll`` answers with a mean and a deviation; `crnn.RNN.forecast` draws a thousand futures
from them and returns their quantiles. A good forecast goes over into the mean of the series, and
its interval widens until it is that of the series itself.
"""

import matplotlib.pyplot as plt
import numpy as np

import crnn
from crnn.data import Scaling, sliding_windows

rng = np.random.default_rng(0)
e, wave = 0.3 * rng.standard_normal(1300), np.zeros(1300)
for t in range(2, 1300):
    wave[t] = 1.8 * wave[t - 1] - 0.9 * wave[t - 2] + e[t]
past, future = wave[:1200], wave[1200:1260]

scaling = Scaling.of(past)
x, y = sliding_windows(scaling.apply(past), 20)  # 20 steps each, and the next one
model = crnn.RNN(1, 16, 2, cell="gru", loss="gaussian_nll", rng=0)
model.fit(x, y, epochs=20, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
model.scaling = scaling

levels = (0.05, 0.25, 0.5, 0.75, 0.95)
low, quarter, middle, three_quarters, high = model.forecast(
    past, 60, window=20, levels=levels, rng=0
)

ahead = np.arange(1, 61)
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.plot(np.arange(-60, 1), wave[1139:1200], color="black", label="known")
axes.plot(ahead, future, color="black", linestyle=":", label="what came")
axes.plot(ahead, middle, color="tab:blue", label="median of the forecast")
axes.fill_between(ahead, low, high, color="tab:blue", alpha=0.15, label="90 %")
axes.fill_between(ahead, quarter, three_quarters, color="tab:blue", alpha=0.3, label="50 %")
axes.set(xlabel="steps ahead", ylabel="value")
axes.legend(ncols=2)

inside = ((low <= future) & (future <= high)).mean()
print(f"{100 * inside:.0f} % of what came lies in the interval of 90 %")
