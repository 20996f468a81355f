"""Time value and gradients of a cell in JAX: a function of crnn.jax and lax.scan, both under jit.

    python bench/grad_jax.py --cell gru --threads 1

The scan is that of `crnn bench`, the fastest that was found: the input product is computed before
it, and the weights are in the layout with which XLA is faster. Both compute the same loss from the
same numbers in float32, in one process that may use as many cores as there are threads. They take
turns; the ratio is the median over the turns.
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


def losses(cell, names, da):
    """The loss of each implementation, as a function of the arguments with these names."""
    import crnn.jax
    from crnn.benchmark.peers.jax import scan

    function, kind = getattr(crnn.jax, cell), "vanilla" if cell == "rnn" else cell

    def loss(found):
        return (da * (found[0] if cell == "lstm" else found)).sum()

    def of_scan(transposed):
        return lambda *p: loss(scan(kind, dict(zip(names, p, strict=True)), transposed))

    return {
        "crnn": lambda *p: loss(function(*p)),
        "scan": of_scan(transposed=False),
        "scan, weights transposed": of_scan(transposed=True),
    }


def problem(cell, shape):
    """The arguments of a cell by name, in order, and da."""
    from crnn import check
    from crnn.check import cells as check_cells

    if cell == "rnn":
        p = check.problem(*shape, dtype="float32")
        return p.arguments, p.da
    p = check_cells.problem(cell, *shape, dtype="float32")
    return {**p.arguments, **p.initial}, p.da


def prepare(jax, cell, shape, wanted):
    """A function without arguments for each implementation, checked to give the same numbers."""
    import numpy as np

    from crnn import check

    named, da = problem(cell, shape)
    arguments = list(map(jax.numpy.asarray, named.values()))
    wanted = range(len(arguments)) if wanted == "all" else range(1, 5 if cell == "gru" else 4)
    transposed = [a.T.copy() if k in (1, 2) else a for k, a in enumerate(arguments)]
    calls, results = {}, {}
    for name, loss in losses(cell, list(named), jax.numpy.asarray(da)).items():
        given = transposed if "transposed" in name else arguments
        f = jax.jit(jax.value_and_grad(loss, tuple(wanted)))
        calls[name] = lambda f=f, given=given: jax.block_until_ready(f(*given))
        value, gradients = calls[name]()
        flip = [k in (1, 2) and given is transposed for k in wanted]
        results[name] = [value, *(g.T if t else g for g, t in zip(gradients, flip, strict=True))]
    terms = shape[0] * shape[1] * (shape[3] + 1) * (1 if cell == "rnn" else 4)
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


def main(cell, threads, shapes, turns, seconds):
    restrict(threads)
    import jax
    import numpy as np

    import crnn

    # Dispatching to another thread and waiting for it immediately gains nothing.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    crnn.set_num_threads(threads)
    print(f"{cell}, jax {jax.__version__}, {threads} thread(s), float32, milliseconds a call")
    print("T x m x n_x x n_a   gradients of      crnn     scan   ratio (quartiles)")
    for shape in shapes:
        sizes = tuple(map(int, shape.split("x")))
        for what in ("all", "parameters"):
            calls = prepare(jax, cell, sizes, what)
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
    parser.add_argument("--cell", choices=["rnn", "gru", "lstm"], default="rnn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="TxMxN_XxN_A")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    main(**vars(parser.parse_args()))
