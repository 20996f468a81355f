"""Keras' SimpleRNN, on its JAX backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import Case
from crnn.benchmark.peers.jax import Jax
from crnn.benchmark.peers.protocol import Prepared
from crnn.reference import Array, Gradients


class Keras(Jax):
    """`keras.layers.SimpleRNN` without the overhead of Python: a stateless call under `jax.jit`."""

    name = "keras"
    packages = ("keras", "jax")
    modules = ("keras", "jax")

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """The backend is chosen when Keras is imported."""
        return super().environment(threads) | {"KERAS_BACKEND": "jax"}

    def prepare(self, case: Case) -> Prepared:
        """Build the layer with the case's parameters, and compile. Keras has examples first."""
        import jax
        import jax.numpy as jnp
        import keras

        p = case.problem()
        layer = keras.layers.SimpleRNN(case.n_a, return_sequences=True, dtype=case.dtype)
        layer.build((case.m, case.T, case.n_x))
        weights = [jnp.asarray(p.arguments["Wax"].T), jnp.asarray(p.arguments["Waa"].T)]
        weights.append(jnp.asarray(p.arguments["ba"]))
        fixed = [variable.value for variable in layer.non_trainable_variables]
        x = jnp.asarray(p.arguments["x"].swapaxes(0, 1))
        a0, da = jnp.asarray(p.arguments["a0"]), jnp.asarray(p.da.swapaxes(0, 1))

        def states(weights: Any, x: Any, a0: Any) -> Any:
            return layer.stateless_call(weights, fixed, x, initial_state=a0)[0]

        def states_and_gradients(weights: Any, x: Any, a0: Any, da: Any) -> Any:
            a, backward = jax.vjp(states, weights, x, a0)
            return a, backward(da)

        forward_, training_ = jax.jit(states), jax.jit(states_and_gradients)

        def forward() -> Any:
            return forward_(weights, x, a0).block_until_ready()

        def training() -> Any:
            return jax.block_until_ready(training_(weights, x, a0, da))

        def gradients(result: Any) -> Gradients:
            (dWax, dWaa, dba), dx, da0 = jax.tree.map(np.asarray, result[1])
            return Gradients(dWaa.T, dWax.T, dba, dx.swapaxes(0, 1), da0)

        def as_numpy(a: Any) -> Array:
            return np.asarray(a).swapaxes(0, 1)

        return Prepared(forward, as_numpy, training, gradients)
