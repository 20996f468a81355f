"""JAX: lax.scan under jit."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import LEAK, Case
from crnn.benchmark.clock import fastest
from crnn.benchmark.peers.protocol import AnyGradients, Peer, Prepared
from crnn.check import cells as check_cells
from crnn.reference import Gradients, GRUGradients, LSTMGradients


class Jax(Peer):
    """`jax.lax.scan` with the input product before it; gradients by `jax.vjp`; one jit over all."""

    name = "jax"
    packages = ("jax", "jaxlib")
    modules = ("jax", "jaxlib")

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """XLA's thread pool has as many threads as the worker's affinity has processors."""
        return {"JAX_PLATFORMS": "cpu", "NPROC": str(threads)}

    def start(self, threads: int) -> None:
        """Import JAX; allow float64."""
        import jax

        jax.config.update("jax_enable_x64", True)
        # Asynchronous dispatch gains nothing if the caller waits for the result at once.
        jax.config.update("jax_cpu_enable_async_dispatch", False)

    def prepare(self, case: Case) -> Prepared:
        """Convert the arrays, and compile for both layouts of the weights.

        XLA is faster with weights (inputs, outputs), as in JAX's own layers, at some shapes and
        with (outputs, inputs) at others. Each operation uses the faster one.
        """
        both = [_Scan(case, transposed) for transposed in (False, True)]
        forward = both[fastest([scan.forward for scan in both])]
        training = both[fastest([scan.training for scan in both])]
        return Prepared(forward.forward, np.asarray, training.training, training.gradients)


class _Scan:
    """The recurrence with weights (n_out, n_in), or transposed."""

    def __init__(self, case: Case, transposed: bool) -> None:
        import jax
        import jax.numpy as jnp

        p = case.problem()
        given = dict(p.arguments)
        if transposed:
            given |= {name: given[name].T.copy() for name in ("Waa", "Wax")}
        self._transposed, self._case = transposed, case
        if isinstance(p, check_cells.Problem):
            given |= p.initial
        self._names = ["Waa", "Wax", "ba", *(["baa"] if "baa" in given else []), "x", "a0"]
        self._names += ["c0"] if "c0" in given else []
        self._arguments = {name: jnp.asarray(given[name]) for name in self._names}
        self._upstream: Any = jnp.asarray(p.da)
        if isinstance(p, check_cells.Problem) and case.cell == "lstm":
            self._upstream = self._upstream, jnp.asarray(p.dc_n)

        def states(given: dict[str, Any]) -> Any:
            return scan(case.cell, given, transposed)

        def states_and_gradients(given: dict[str, Any], upstream: Any) -> Any:
            a, backward = jax.vjp(states, given)
            return a, backward(upstream)[0]

        self._forward, self._training = jax.jit(states), jax.jit(states_and_gradients)

    def forward(self) -> Any:
        import jax

        found = jax.block_until_ready(self._forward(self._arguments))
        return found[0] if self._case.cell == "lstm" else found

    def training(self) -> Any:
        import jax

        return jax.block_until_ready(self._training(self._arguments, self._upstream))

    def gradients(self, result: Any) -> AnyGradients:
        found = {"d" + name: np.asarray(value) for name, value in result[1].items()}
        if self._transposed:
            found |= {name: found[name].T for name in ("dWaa", "dWax")}
        if self._case.cell == "gru":
            return GRUGradients(**found)
        return LSTMGradients(**found) if self._case.cell == "lstm" else Gradients(**found)


def _tanh(z: Any, before: tuple[Any, ...], WaaT: Any, _: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp

    return (jnp.tanh(z + before[0] @ WaaT),)


def _leaky(z: Any, before: tuple[Any, ...], WaaT: Any, _: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp

    (a,) = before
    return ((1 - LEAK) * a + LEAK * jnp.tanh(z + a @ WaaT),)


def _gru(z: Any, before: tuple[Any, ...], WaaT: Any, baa: Any) -> tuple[Any, ...]:
    import jax
    import jax.numpy as jnp

    (a,) = before
    z_r, z_z, z_n = jnp.split(z, 3, axis=-1)
    s_r, s_z, s_n = jnp.split(a @ WaaT, 3, axis=-1)
    update = jax.nn.sigmoid(z_z + s_z)
    new = jnp.tanh(z_n + jax.nn.sigmoid(z_r + s_r) * (s_n + baa))
    return ((1 - update) * new + update * a,)


def _lstm(z: Any, before: tuple[Any, ...], WaaT: Any, _: Any) -> tuple[Any, ...]:
    import jax
    import jax.numpy as jnp

    a, c = before
    i, f, g, o = jnp.split(z + a @ WaaT, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def scan(cell: str, given: dict[str, Any], transposed: bool) -> Any:
    """The states a, or of an LSTM a and c_n. Transposed weights have a row for each input."""
    import jax

    step, Waa, Wax = STEPS[cell], given["Waa"], given["Wax"]
    if not transposed:
        Waa, Wax = Waa.T, Wax.T

    def one(before: Any, z_t: Any) -> tuple[Any, Any]:
        after = step(z_t, before, Waa, given.get("baa"))
        return after, after[0]

    first = (given["a0"], given["c0"]) if "c0" in given else (given["a0"],)
    last, a = jax.lax.scan(one, first, given["x"] @ Wax + given["ba"])
    return (a, last[1]) if "c0" in given else a


#: A step of each cell: the states after it from z = Wax x + ba, those before, Waa' and baa.
STEPS = {"vanilla": _tanh, "leaky": _leaky, "gru": _gru, "lstm": _lstm}
