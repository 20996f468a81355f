"""Time value and gradients of the recurrence in JAX: crnn.jax.rnn and lax.scan, both under jit.

    python bench/grad_jax.py --threads 1

The scan is the fastest that was found: the input product is computed before it, and the weights are
in the layout with which XLA is faster. Both compute the same loss from the same numbers in float32,
in one process that may use as many cores as there are threads. They take turns; the ratio is the
median over the turns.
"""

import argparse
import os
import time

SHAPES = ["100x32x128x128", "100x1x64x64", "100x16x64x64", "100x32x256x256"]


def restrict(threads):
    """Bind the process to as many processors. JAX sizes its thread pool by them when imported."""
    os.environ["NPROC"] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def losses(jax, da):
    """The loss of each implementation, as a function of x, Waa, Wax, ba, a0."""
    from crnn.jax import rnn

    jnp = jax.numpy

    def scan(x, Waa, Wax, ba, a0):
        def step(a, z_t):
            a = jnp.tanh(z_t + a @ Waa)
            return a, a

        return jax.lax.scan(step, a0, x @ Wax + ba)[1]

    return {
        "crnn": lambda *p: (da * rnn(*p)).sum(),
        "scan": lambda x, Waa, Wax, ba, a0: (da * scan(x, Waa.T, Wax.T, ba, a0)).sum(),
        "scan, weights transposed": lambda *p: (da * scan(*p)).sum(),
    }


def prepare(jax, shape, wanted):
    """A function without arguments for each implementation, checked to give the same numbers."""
    import numpy as np

    from crnn import check

    p = check.problem(*shape, dtype="float32")
    arguments = list(map(jax.numpy.asarray, p.arguments.values()))  # x, Waa, Wax, ba, a0
    transposed = [a.T.copy() if k in (1, 2) else a for k, a in enumerate(arguments)]
    calls, results = {}, {}
    for name, loss in losses(jax, jax.numpy.asarray(p.da)).items():
        given = transposed if "transposed" in name else arguments
        f = jax.jit(jax.value_and_grad(loss, wanted))
        calls[name] = lambda f=f, given=given: jax.block_until_ready(f(*given))
        value, gradients = calls[name]()
        flip = [k in (1, 2) and given is transposed for k in wanted]
        results[name] = [value, *(g.T if t else g for g, t in zip(gradients, flip, strict=True))]
    terms = shape[0] * shape[1] * (shape[3] + 1)
    for name, result in results.items():
        for ours, theirs in zip(results["crnn"], result, strict=True):
            size = np.sqrt(terms) if ours.ndim == 0 else np.abs(theirs).max()
            error = np.abs(ours - theirs).max() / size
            assert error <= 2 * check.tolerance("float32", terms), (name, error)
    return calls


def milliseconds(call, seconds):
    """The median time of a call over so many seconds, after a call that is not counted."""
    call()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1e3 * sorted(times)[len(times) // 2]


def main(threads, shapes, turns, seconds):
    restrict(threads)
    import jax
    import numpy as np

    import crnn

    # Dispatching to another thread and waiting for it immediately gains nothing.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    crnn.set_num_threads(threads)
    print(f"jax {jax.__version__}, {threads} thread(s), float32, milliseconds a call")
    print("T x m x n_x x n_a   gradients of      crnn     scan   ratio (quartiles)")
    for shape in shapes:
        sizes = tuple(map(int, shape.split("x")))
        for what, wanted in {"all": (0, 1, 2, 3, 4), "parameters": (1, 2, 3)}.items():
            calls = prepare(jax, sizes, wanted)
            took = {name: [] for name in calls}
            for _ in range(turns):
                for name, call in calls.items():
                    took[name].append(milliseconds(call, seconds))
            ours = took.pop("crnn")
            theirs = min(took.values(), key=np.median)
            low, middle, high = np.quantile(np.divide(theirs, ours), [0.25, 0.5, 0.75])
            print(f"{shape:18} {what:13} {np.median(ours):8.3f} {np.median(theirs):8.3f}   "
                  f"{middle:.2f} ({low:.2f} to {high:.2f})", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="TxMxN_XxN_A")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    main(**vars(parser.parse_args()))
