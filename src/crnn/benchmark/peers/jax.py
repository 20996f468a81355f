"""JAX: lax.scan under jit."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.reference import Array, Gradients


class Jax(Peer):
    """`jax.lax.scan` with the input product before it; gradients by `jax.vjp`; one jit over all."""

    name = "jax"
    packages = ("jax", "jaxlib")
    modules = ("jax", "jaxlib")

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """XLA sizes its pool by the processors that the process may use: the worker's affinity."""
        return {"JAX_PLATFORMS": "cpu", "NPROC": str(threads)}

    def start(self, threads: int) -> None:
        """Import JAX; allow float64."""
        import jax

        jax.config.update("jax_enable_x64", True)
        # Nothing is gained by handing work to another thread and waiting for it at once.
        jax.config.update("jax_cpu_enable_async_dispatch", False)

    def prepare(self, case: Case) -> Prepared:
        """Put the arrays where JAX has them, and compile."""
        import jax
        import jax.numpy as jnp

        p = case.problem()
        names = ("Waa", "Wax", "ba", "x", "a0")
        arguments = [jnp.asarray(p.arguments[name]) for name in names]
        da = jnp.asarray(p.da)

        def states(Waa: Any, Wax: Any, ba: Any, x: Any, a0: Any) -> Any:
            def step(a: Any, z_t: Any) -> tuple[Any, Any]:
                a = jnp.tanh(z_t + a @ Waa.T)
                return a, a

            return jax.lax.scan(step, a0, x @ Wax.T + ba)[1]

        def states_and_gradients(arguments: Any, da: Any) -> Any:
            a, backward = jax.vjp(states, *arguments)
            return a, backward(da)

        forward_, training_ = jax.jit(states), jax.jit(states_and_gradients)

        def forward() -> Any:
            return forward_(*arguments).block_until_ready()

        def training() -> Any:
            return jax.block_until_ready(training_(arguments, da))

        def gradients(result: Any) -> Gradients:
            return Gradients(*map(np.asarray, result[1]))

        def as_numpy(a: Any) -> Array:
            return np.asarray(a)

        return Prepared(forward, as_numpy, training, gradients)
