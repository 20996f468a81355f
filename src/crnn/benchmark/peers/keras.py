"""Keras' SimpleRNN, GRU and LSTM, on its JAX backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import Case
from crnn.benchmark.peers.jax import Jax
from crnn.benchmark.peers.protocol import AnyGradients, Prepared
from crnn.check import cells as check_cells
from crnn.reference import Array, Gradients, GRUGradients, LSTMGradients
from crnn.weights.gates import KERAS, recurrent_bias, reordered, restored


class Keras(Jax):
    """`keras.layers.SimpleRNN` and the like, without Python: a stateless call under `jax.jit`."""

    name = "keras"
    cells = ("vanilla", "gru", "lstm")
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

        p = case.problem()
        given = p.arguments | (p.initial if isinstance(p, check_cells.Problem) else {})
        layer = _layer(case)
        layer.build((case.m, case.T, case.n_x))
        weights = [jnp.asarray(value) for value in _weights(case, given)]
        fixed = [variable.value for variable in layer.non_trainable_variables]
        x, da = (jnp.asarray(value.swapaxes(0, 1)) for value in (given["x"], p.da))
        first = [jnp.asarray(given[name]) for name in ("a0", "c0") if name in given]
        upstream: Any = da
        if isinstance(p, check_cells.Problem) and case.cell == "lstm":
            upstream = da, jnp.asarray(p.dc_n)

        def states(weights: Any, x: Any, first: Any) -> Any:
            start = first if len(first) > 1 else first[0]
            found = layer.stateless_call(weights, fixed, x, initial_state=start)[0]
            return (found[0], found[2]) if case.cell == "lstm" else found

        def states_and_gradients(weights: Any, x: Any, first: Any, upstream: Any) -> Any:
            a, backward = jax.vjp(states, weights, x, first)
            return a, backward(upstream)

        forward_, training_ = jax.jit(states), jax.jit(states_and_gradients)

        def forward() -> Any:
            found = jax.block_until_ready(forward_(weights, x, first))
            return found[0] if case.cell == "lstm" else found

        def training() -> Any:
            return jax.block_until_ready(training_(weights, x, first, upstream))

        def gradients(result: Any) -> AnyGradients:
            return _named(case, *jax.tree.map(np.asarray, result[1]))

        def as_numpy(a: Any) -> Array:
            return np.asarray(a).swapaxes(0, 1)

        return Prepared(forward, as_numpy, training, gradients)


def _layer(case: Case) -> Any:
    import keras

    options: dict[str, Any] = {"return_sequences": True, "dtype": case.dtype}
    if case.cell == "lstm":
        return keras.layers.LSTM(case.n_a, return_state=True, **options)
    if case.cell == "gru":
        return keras.layers.GRU(case.n_a, reset_after=True, **options)
    return keras.layers.SimpleRNN(case.n_a, **options)


def _weights(case: Case, given: dict[str, Array]) -> list[Array]:
    """kernel, recurrent_kernel and bias, with the gates in Keras' order."""
    order = KERAS.get(case.cell, (0,))
    Wax, Waa, ba, second = (
        reordered(value, order)
        for value in (given["Wax"], given["Waa"], given["ba"], recurrent_bias(given))
    )
    return [Wax.T, Waa.T, np.stack([ba, second]) if case.cell == "gru" else ba]


def _named(case: Case, weights: list[Array], dx: Array, first: list[Array]) -> AnyGradients:
    """The gradients under crnn's names and in its order."""
    order = KERAS.get(case.cell, (0,))
    kernel, recurrent, bias = weights
    dWax, dWaa = restored(kernel.T, order), restored(recurrent.T, order)
    dx = dx.swapaxes(0, 1)
    if case.cell == "gru":
        dba, second = (restored(value, order) for value in bias)
        return GRUGradients(dWaa, dWax, dba, second[-case.n_a :], dx, first[0])
    dba = restored(bias, order)
    if case.cell == "lstm":
        return LSTMGradients(dWaa, dWax, dba, dx, *first)
    return Gradients(dWaa, dWax, dba, dx, first[0])
