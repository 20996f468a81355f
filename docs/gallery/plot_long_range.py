"""
Remembering over many steps
===========================

Two numbers among forty are marked; the answer is their sum. Without memory the mean squared error
is 1/6. A vanilla network with tanh does not find out; a GRU does. :doc:`/long_range` measures five
kinds of models over up to 400 steps.
"""

import matplotlib.pyplot as plt

import crnn
from crnn.tasks import Adding, train

task = Adding(40)
x, y = task.held_out()
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for cell in ("vanilla", "gru"):
    model = task.model(40, cell=cell, rng=0)
    before = crnn.inspect.gradient_flow(model, x, y).by_lag[0]
    result = train(model, task, optimizer=crnn.Adam(1e-2), updates=1500, progress=False, rng=0)
    after = crnn.inspect.gradient_flow(model, x, y).by_lag[0]
    print(result)

    (line,) = left.semilogy(
        [point.updates for point in result.curve], [point.score for point in result.curve]
    )
    line.set_label(cell)
    for norms, style, when in ((before, ":", "before"), (after, "-", "after")):
        label = f"{cell}, {when} training"
        right.semilogy(norms / norms[0], style, color=line.get_color(), label=label)

left.axhline(task.baseline, color="0.5", linestyle=":", label="without memory")
left.axhline(task.solved_at, color="0.5", linestyle="--", label="solved")
left.set(xlabel="updates", ylabel="mean squared error on other examples")
left.legend()
right.set(xlabel="steps back from the answer", ylabel="norm of the gradient, relative")
right.set_ylim(bottom=1e-6)
right.legend()

# %%
# On the right is why. Untrained, the GRU passes on less of its gradient than the vanilla network.
# Its training opens a way to the first step; that of the vanilla network closes it further.

print(f"What arrives at the first step of the GRU: {after[-1] / after[0]:.2f} of what leaves")
