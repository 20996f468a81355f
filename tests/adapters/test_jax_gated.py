"""crnn.jax.gru and lstm compared with crnn itself, with lax.scan and with finite differences."""

import functools
import re

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import crnn  # noqa: E402
import crnn.jax  # noqa: E402
from adapters.with_jax import REFUSED, assert_close, float64  # noqa: E402, F401
from crnn.check import cells as check_cells  # noqa: E402

CELLS = pytest.mark.parametrize("cell", ["gru", "lstm"])
KINDS = pytest.mark.parametrize(
    "kind",
    [
        {},
        {"lengths": True},
        {"reverse": True},
        {"integers": True},
        {"integers": True, "lengths": True, "reverse": True},
    ],
    ids=str,
)


class Problem:
    """One of `crnn.check`'s problems, with what has gradients apart from what has none."""

    def __init__(self, cell, *sizes, **kind):
        self.p = p = check_cells.problem(cell, *(sizes or (7, 3, 5, 6)), **kind)
        self.function = getattr(crnn.jax, cell)
        everything = {**p.arguments, **p.initial}
        self.fixed = {n: v for n, v in everything.items() if v.dtype.kind == "i"}
        self.given = {n: v for n, v in everything.items() if v.dtype.kind == "f"}

    def outputs(self, given):
        """The results (a,) or (a, c_n)."""
        found = self.function(**given, **self.fixed, **self.p.options)
        return found if isinstance(found, tuple) else (found,)

    def loss(self, given):
        """The loss whose gradients from above are the problem's da and dc_n."""
        a, *c_n = self.outputs(given)
        return (self.p.da * a).sum() + sum((self.p.dc_n * c).sum() for c in c_n)


def scan(x, Waa, Wax, ba, a0, baa=None, c0=None):
    """The GRU or, if c0 is given, the LSTM: (a,) or (a, c_n)."""

    def gru(a, x_t):
        z_x, z_a = x_t @ Wax.T + ba, a @ Waa.T
        n_a = a.shape[-1]
        r, z = jnp.split(jax.nn.sigmoid(z_x + z_a)[:, : 2 * n_a], 2, axis=1)
        n = jnp.tanh(z_x[:, 2 * n_a :] + r * (z_a[:, 2 * n_a :] + baa))
        a = (1 - z) * n + z * a
        return a, a

    def lstm(state, x_t):
        a, c = state
        i, f, g, o = jnp.split(x_t @ Wax.T + ba + a @ Waa.T, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        a = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (a, c), a

    if c0 is None:
        return (jax.lax.scan(gru, a0, x)[1],)
    (_, c_n), a = jax.lax.scan(lstm, (a0, c0), x)
    return a, c_n


@CELLS
class TestNumbers:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @KINDS
    def test_states_and_gradients_equal_those_of_crnn(self, cell, kind, dtype):
        problem = Problem(cell, dtype=dtype, **kind)
        s = problem.p.forward(crnn)
        a, *c_n = jax.jit(problem.outputs)(problem.given)
        np.testing.assert_array_equal(a, s.a, strict=True)
        if cell == "lstm":
            np.testing.assert_array_equal(c_n[0], s.c_n, strict=True)
        g = problem.p.backward(s, crnn)
        for name, gradient in jax.jit(jax.grad(problem.loss))(problem.given).items():
            np.testing.assert_array_equal(gradient, getattr(g, f"d{name}"), name, strict=True)

    @KINDS
    def test_gradients_against_finite_differences(self, cell, kind):
        """check_grads compares along a random direction, to within 1e-6 of it in float64."""
        problem = Problem(cell, 4, 2, 3, 4, **kind)
        check_grads(problem.loss, (problem.given,), order=1, modes=["rev"])

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_against_scan(self, cell, dtype):
        problem = Problem(cell, 20, 8, 16, 32, dtype=dtype)

        def theirs(given):
            a, *c_n = scan(**given)
            return (problem.p.da * a).sum() + sum((problem.p.dc_n * c).sum() for c in c_n)

        expected = jax.jit(jax.grad(theirs))(problem.given)
        terms = 20 * 8 * 4 * 33  # of a gradient; each term is a sum over one step
        for name, gradient in jax.jit(jax.grad(problem.loss))(problem.given).items():
            assert_close(gradient, expected[name], terms, name)

    def test_optional_arguments_may_be_omitted(self, cell):
        problem = Problem(cell, initial=False)
        x, Waa, Wax = (problem.p.arguments[name] for name in ("x", "Waa", "Wax"))
        expected = getattr(crnn, f"{cell}_forward")(x, Waa, Wax).a
        found = problem.function(x, Waa, Wax)
        np.testing.assert_array_equal(found[0] if cell == "lstm" else found, expected)

    def test_padding_is_never_read_and_what_is_kept_has_no_nan(self, cell):
        problem = Problem(cell, 40, 4, 5, 6, lengths=True)
        expected = jax.grad(problem.loss)(problem.given)
        padding = np.arange(40)[:, None] >= problem.p.options["lengths"]
        x = np.where(padding[..., None], np.nan, problem.given["x"])
        (a, *c_n), backward = jax.vjp(problem.outputs, {**problem.given, "x": x})
        assert (a[padding] == 0).all()
        da = jnp.where(padding[..., None], np.nan, problem.p.da)
        (gradients,) = backward((da, *([problem.p.dc_n] if c_n else [])))
        jax.tree.map(np.testing.assert_array_equal, gradients, expected)
        jax.config.update("jax_debug_nans", True)  # raises if any result, kept or not, has a NaN
        try:
            jax.grad(problem.loss)(problem.given)
        finally:
            jax.config.update("jax_debug_nans", False)


@CELLS
class TestDerivatives:
    def test_dx_is_computed_only_if_wanted(self, cell):
        problem = Problem(cell)
        expected = jax.grad(problem.loss)(problem.given)
        for name, wanted in (("Waa", 5), ("x", 6)):
            f = jax.jit(jax.grad(lambda v, n=name: problem.loss({**problem.given, n: v})))
            np.testing.assert_array_equal(f(problem.given[name]), expected[name])
            text = str(f.lower(problem.given[name]).as_text())
            (call,) = re.findall(rf"= stablehlo.custom_call @crnn_{cell}_backward.*-> \((.*)\)",
                                 text)  # fmt: skip
            assert call.count("tensor") == wanted

    def test_nothing_is_kept_without_gradients(self, cell):
        problem = Problem(cell)
        kept = f"7x3x{(4 if cell == 'gru' else 5) * 6}xf64"
        assert kept not in jax.jit(problem.outputs).lower(problem.given).as_text()
        assert kept in jax.jit(jax.grad(problem.loss)).lower(problem.given).as_text()

    def test_an_unused_output_has_zero_gradients(self, cell):
        problem = Problem(cell)
        f = lambda given: (problem.outputs(given), given["ba"].sum())[1]  # noqa: E731
        gradients = jax.grad(f)(problem.given)
        assert (gradients.pop("ba") == 1).all()
        assert all((gradient == 0).all() for gradient in gradients.values())

    def test_rematerialization(self, cell):
        problem = Problem(cell)
        ours = jax.jit(jax.grad(jax.checkpoint(problem.loss)))(problem.given)
        jax.tree.map(np.testing.assert_array_equal, ours, jax.grad(problem.loss)(problem.given))

    def test_forward_mode_and_second_derivatives_are_refused(self, cell):
        problem = Problem(cell)
        with pytest.raises(TypeError, match="forward-mode autodiff"):
            jax.jvp(problem.loss, (problem.given,), (problem.given,))
        with pytest.raises(ValueError, match="cannot be differentiated"):
            jax.grad(lambda given: jax.grad(problem.loss)(given)["Waa"].sum())(problem.given)


def test_only_the_last_cells_may_enter_the_loss():
    """Then da is a symbolic zero."""
    problem = Problem("lstm", lengths=True)
    ours = jax.grad(lambda given: (problem.p.dc_n * problem.outputs(given)[1]).sum())(problem.given)
    problem.p.da[...] = 0
    g = problem.p.backward(problem.p.forward(crnn), crnn)
    for name, gradient in ours.items():
        np.testing.assert_array_equal(gradient, getattr(g, f"d{name}"), name)


class TestVmap:
    @pytest.mark.parametrize("mapped", [("x",), ("a0",), ("lengths",), ("x", "a0"), ("Waa",),
                                        ("x", "ba"), "own"], ids=str)  # fmt: skip
    @pytest.mark.parametrize("reverse", [False, True])
    @CELLS
    def test_values_and_gradients_equal_those_of_a_loop(self, cell, mapped, reverse):
        many, own = 4, "baa" if cell == "gru" else "c0"
        mapped = (own,) if mapped == "own" else mapped
        problem = Problem(cell, lengths=True)
        names = [*problem.given, "lengths"]
        rng = np.random.default_rng(5)
        first = {**problem.given, "lengths": problem.p.options["lengths"]}
        each = [
            {n: (rng.permuted(v, axis=0) if n in mapped else v) for n, v in first.items()}
            for _ in range(many)
        ]
        stacked = [np.stack([e[n] for e in each]) if n in mapped else first[n] for n in names]
        axes = [0 if n in mapped else None for n in names]

        def outputs(*given):
            found = problem.function(**dict(zip(names, given, strict=True)), reverse=reverse)
            return found if isinstance(found, tuple) else (found,)

        def loss(*given):
            a, *c_n = outputs(*given)
            return (problem.p.da * a).sum() + sum((problem.p.dc_n * c).sum() for c in c_n)

        terms = 7 * 3 * 7 * 4
        loops = [outputs(*e.values()) for e in each]
        for k, ours in enumerate(jax.jit(jax.vmap(outputs, axes))(*stacked)):
            assert_close(ours, np.stack([loop[k] for loop in loops]), terms)
        wanted = range(len(names) - 1)
        gradient = jax.grad(loss, wanted)
        of_each = jax.jit(jax.vmap(gradient, axes))(*stacked)
        of_sum = jax.grad(lambda *given: jax.vmap(loss, axes)(*given).sum(), wanted)(*stacked)
        expected = [np.stack(g) for g in zip(*(gradient(*e.values()) for e in each), strict=True)]
        for k in wanted:
            assert_close(of_each[k], expected[k], terms, names[k])
            theirs = expected[k] if names[k] in mapped else expected[k].sum(axis=0)
            assert_close(of_sum[k], theirs, many * terms, names[k])

    @CELLS
    def test_it_extends_m_for_inputs_and_loops_over_weights(self, cell):
        problem = Problem(cell, initial=False)
        x, Waa, Wax = (problem.given[name] for name in ("x", "Waa", "Wax"))
        f = problem.function
        over_inputs = str(jax.make_jaxpr(jax.vmap(lambda x: f(x, Waa, Wax)))(np.stack([x, x])))
        assert "f64[7,6,6]" in over_inputs  # T, 2 m, n_a
        assert "scan" not in over_inputs
        over_weights = jax.make_jaxpr(jax.vmap(lambda Waa: f(x, Waa, Wax)))
        assert "scan" in str(over_weights(np.stack([Waa, Waa])))


class TestErrors:
    @pytest.mark.parametrize(
        ("cell", "name", "value", "error", "message"),
        [
            ("gru", "Waa", np.zeros((12, 6)), ValueError,
             r"Waa: expected shape \(3 n_a, n_a\) = \(18, 6\)"),
            ("lstm", "Waa", np.zeros((6, 6)), ValueError,
             r"Waa: expected shape \(4 n_a, n_a\) = \(24, 6\)"),
            ("lstm", "Wax", np.zeros((18, 5)), ValueError,
             r"Wax: expected shape \(4 n_a, n_x\) = \(24, 5\)"),
            ("gru", "ba", np.zeros(6), ValueError, r"ba: expected shape \(3 n_a,\) = \(18,\)"),
            ("gru", "baa", np.zeros(18), ValueError, r"baa: expected shape \(n_a,\) = \(6,\)"),
            ("gru", "baa", np.zeros(6, "f"), TypeError, "baa: expected float64, the dtype of Waa"),
            ("lstm", "c0", np.zeros((3, 5)), ValueError, r"c0: expected shape \(m, n_a\) = \(3, 6"),
            ("lstm", "c0", np.zeros((3, 6), int), TypeError, "c0: expected float64"),
            ("gru", "reverse", 1, TypeError, "reverse: expected True or False, got 1"),
        ],
    )  # fmt: skip
    def test_when_traced(self, cell, name, value, error, message):
        p = check_cells.problem(cell, 7, 3, 5, 6)
        with pytest.raises(error, match=message):
            getattr(crnn.jax, cell)(**{**p.arguments, **p.initial, name: value})

    @pytest.mark.parametrize("wrong", [0, 8])
    @CELLS
    def test_when_run(self, cell, wrong):
        problem = Problem(cell, lengths=True)
        problem.p.options["lengths"][1] = wrong
        with pytest.raises(REFUSED, match=r"lengths: expected integers in 1\.\.T"):
            jax.block_until_ready(problem.outputs(problem.given))

    @pytest.mark.parametrize("target", ["forward", "backward"])
    @CELLS
    def test_wrong_operands_of_the_ffi_targets(self, cell, target):
        """Calling the FFI targets directly with wrong operands is an error, not a crash."""
        T, m, n_x, n_a = 7, 3, 5, 6
        gates, count = (3, 4) if cell == "gru" else (4, 5)
        units, own = gates * n_a, (n_a,) if cell == "gru" else (m, n_a)
        a, kept, c = (T, m, n_a), (T, m, count * n_a), [(m, n_a)] * (cell == "lstm")
        operands = [(T, m, n_x), (units, n_a), (units, n_x), (m, n_a), (m,)]
        if target == "forward":
            operands, results = [*operands, (units,), own], [a, *c, kept]
        else:
            operands = [*operands, *c, a, kept, a, *c]
            results = [(units, n_a), (units, n_x), (units,), (m, n_a), own, (T, m, n_x)]

        def run(operands, results):
            given = [jnp.ones(s, "i" if k == 4 else "f") for k, s in enumerate(operands)]
            structs = [jax.ShapeDtypeStruct(s, np.dtype("f")) for s in results]
            call = jax.ffi.ffi_call(f"crnn_{cell}_{target}", structs)
            jax.block_until_ready(call(*given, reverse=np.int32(0), activation=np.int32(0)))

        run(operands, results)
        for k in range(len(operands)):
            for wrong in ([*operands[:k], (*operands[k], 2), *operands[k + 1 :]], operands[:k]):
                with pytest.raises(REFUSED, match=r"crnn: operand \d is absent"):
                    run(wrong, results)
        for k in range(len(results)):
            wrong = [*results[:k], (*results[k], 2), *results[k + 1 :]]
            with pytest.raises(REFUSED, match=rf"crnn: result {k} is absent"):
                run(operands, wrong)


@CELLS
def test_the_operands_are_read_from_every_kernel_table(cell, table):
    """The handlers call the C interface, which runs whichever kernels are in use."""
    problem = Problem(cell, dtype="float32", lengths=True)
    a = functools.partial(problem.outputs, problem.given)()[0]
    np.testing.assert_array_equal(a, problem.p.forward(crnn).a)
