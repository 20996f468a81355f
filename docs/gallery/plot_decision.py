"""
A decision from noisy evidence
==============================

Two inputs, equally noisy, of which one is a little stronger: which? Animals are trained on this
task, and networks of leaky units that obey Dale's law can be. :doc:`/neuroscience` trains the whole
task; here are 40 units for some seconds.
"""

import matplotlib.pyplot as plt
import numpy as np

import crnn

T, n_a = 50, 40
COHERENCES = np.array([0, 0.064, 0.128, 0.256, 0.512])
rng = np.random.default_rng(0)


def trials(m):
    """Noisy inputs (T, m, 2), which is the stronger (m,), and by how much (m,), signed."""
    choice, coherence = rng.integers(0, 2, m), rng.choice(COHERENCES, m)
    signed = np.where(choice == 1, coherence, -coherence)
    drift = 0.5 * np.stack([-signed, signed], axis=1)  # (m, 2)
    x = 0.5 + drift + 0.5 * rng.standard_normal((T, m, 2))
    return x.astype("float32"), choice, signed


units = np.where(np.arange(n_a) < 32, 1, -1)  # 32 excite, 8 inhibit
model = crnn.RNN(
    2, n_a, 2, cell="leaky", leak=0.2, noise=0.1, activation="relu", rng=0,
    masks={"Waa": 1 - np.eye(n_a), "Wya": units > 0},
    signs={"Waa": units, "Wax": 1, "Wya": units},
)  # fmt: skip
x, choice, _ = trials(10_000)
model.fit(x, choice, epochs=10, optimizer=crnn.Adam(4e-3), clip_norm=1.0, progress=False, rng=0)

# %%
# On new trials, beside an observer who adds up the difference of the inputs, which nobody beats:

x, choice, signed = trials(4000)
answers = {
    "network": model.predict(x, noise=True, rng=0),
    "ideal observer": ((x[..., 1] - x[..., 0]).sum(axis=0) > 0).astype(int),
}
levels = np.unique(signed)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, said), style in zip(answers.items(), ("o-", "x--"), strict=True):
    left.plot(100 * levels, [said[signed == level].mean() for level in levels], style, label=name)
    print(f"{name}: {100 * (said == choice).mean():.1f} % right")
left.set(xlabel="evidence for the second input (%)", ylabel="share of choices of the second")
left.legend()

# The states, seen from the direction in which the two answers differ.
a = model.states(x, layer=0, noise=True, rng=0)  # (T, m, n_a)
Wya = model.parameters["Wya"]
towards = a @ (Wya[1] - Wya[0])  # (T, m)
for level, colour in zip(levels, plt.cm.coolwarm(np.linspace(0, 1, len(levels))), strict=True):
    right.plot(towards[:, signed == level].mean(axis=1), color=colour, label=f"{100 * level:.0f}")
right.set(xlabel="step", ylabel="logit of the second minus that of the first")
right.legend(title="evidence (%)", fontsize=8, ncols=2)
