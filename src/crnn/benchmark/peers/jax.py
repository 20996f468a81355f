"""JAX: lax.scan under jit."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import Case
from crnn.benchmark.clock import fastest
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.reference import Gradients


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
        self._transposed = transposed
        self._arguments = [jnp.asarray(given[name]) for name in ("Waa", "Wax", "ba", "x", "a0")]
        self._da = jnp.asarray(p.da)

        def states(Waa: Any, Wax: Any, ba: Any, x: Any, a0: Any) -> Any:
            if not transposed:
                Waa, Wax = Waa.T, Wax.T

            def step(a: Any, z_t: Any) -> tuple[Any, Any]:
                a = jnp.tanh(z_t + a @ Waa)
                return a, a

            return jax.lax.scan(step, a0, x @ Wax + ba)[1]

        def states_and_gradients(arguments: Any, da: Any) -> Any:
            a, backward = jax.vjp(states, *arguments)
            return a, backward(da)

        self._forward, self._training = jax.jit(states), jax.jit(states_and_gradients)

    def forward(self) -> Any:
        return self._forward(*self._arguments).block_until_ready()

    def training(self) -> Any:
        import jax

        return jax.block_until_ready(self._training(self._arguments, self._da))

    def gradients(self, result: Any) -> Gradients:
        dWaa, dWax, dba, dx, da0 = map(np.asarray, result[1])
        if self._transposed:
            dWaa, dWax = dWaa.T, dWax.T
        return Gradients(dWaa, dWax, dba, dx, da0)
