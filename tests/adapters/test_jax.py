"""crnn.jax compared with crnn itself, with lax.scan and with finite differences."""

import doctest
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
import pages  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import crnn  # noqa: E402
import crnn.jax  # noqa: E402
from adapters.with_jax import REFUSED, assert_close, float64  # noqa: E402, F401
from crnn import check  # noqa: E402
from crnn.jax import rnn  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
CSRC = ROOT / "src" / "crnn" / "_engine" / "csrc"


def problem(*sizes, **kind):
    """A check.Problem and a dict of its arguments that have gradients."""
    p = check.problem(*(sizes or (7, 3, 5, 6)), **kind)
    return p, {name: value for name, value in p.arguments.items() if value.dtype.kind == "f"}


def loss_of(p):
    """The loss whose dL/da<t> is p.da, as a function of a dict of arguments."""
    return lambda given: (p.da * rnn(**{**p.arguments, **given}, **p.options)).sum()


def scan(x, Waa, Wax, ba, a0):
    def step(a, z_t):
        a = jnp.tanh(z_t + a @ Waa.T)
        return a, a

    return jax.lax.scan(step, a0, x @ Wax.T + ba)[1]


class TestNumbers:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    @pytest.mark.parametrize("kind", check.KINDS, ids=str)
    def test_states_and_gradients_equal_those_of_crnn(self, kind, activation, dtype):
        p, given = problem(dtype=dtype, activation=activation, **kind)
        a = crnn.rnn_forward(**p.arguments, **p.options)
        g = check.backward_of(crnn.rnn_backward, p, a)
        np.testing.assert_array_equal(
            jax.jit(lambda: rnn(**p.arguments, **p.options))(), a, strict=True
        )
        for name, gradient in jax.jit(jax.grad(loss_of(p)))(given).items():
            np.testing.assert_array_equal(gradient, getattr(g, f"d{name}"), name, strict=True)

    @pytest.mark.parametrize("kind", check.KINDS, ids=str)
    def test_gradients_against_finite_differences(self, kind):
        """check_grads compares along a random direction, to within 1e-6 of it in float64."""
        p, given = problem(4, 2, 3, 4, **kind)
        check_grads(loss_of(p), (given,), order=1, modes=["rev"])

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_against_scan(self, dtype):
        p, given = problem(20, 8, 16, 32, dtype=dtype)
        ours = jax.jit(jax.grad(loss_of(p)))(given)
        theirs = jax.jit(jax.grad(lambda given: (p.da * scan(**given)).sum()))(given)
        terms = 20 * 8 * 33  # of a gradient; each term is a sum over one step
        for name, gradient in ours.items():
            assert_close(gradient, theirs[name], terms, name)

    def test_optional_arguments_may_be_omitted(self):
        p = problem()[0]
        x, Waa, Wax = (p.arguments[name] for name in ("x", "Waa", "Wax"))
        np.testing.assert_array_equal(rnn(x, Waa, Wax), crnn.rnn_forward(x, Waa, Wax))
        g = jax.grad(lambda Waa: (p.da * rnn(x, Waa, Wax)).sum())(Waa)
        a = crnn.rnn_forward(x, Waa, Wax)
        np.testing.assert_array_equal(g, crnn.rnn_backward(p.da, a, x, Waa, Wax).dWaa)

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
    def test_integers_of_any_width(self, dtype):
        p = problem(integers=True, lengths=True)[0]
        expected = rnn(**p.arguments, **p.options)
        for part, name in ((p.arguments, "x"), (p.options, "lengths")):
            part[name] = part[name].astype(dtype)
        np.testing.assert_array_equal(rnn(**p.arguments, **p.options), expected)

    def test_padding_is_never_read(self):
        p, given = problem(lengths=True)
        expected = jax.grad(loss_of(p))(given)
        padding = np.arange(7)[:, None] >= p.options["lengths"]
        assert padding.any()
        given = {**given, "x": np.where(padding[..., None], np.nan, given["x"])}
        a, backward = jax.vjp(lambda given: rnn(**{**p.arguments, **given}, **p.options), given)
        assert (a[padding] == 0).all()
        (gradients,) = backward(jnp.where(padding[..., None], np.nan, p.da))
        jax.tree.map(np.testing.assert_array_equal, gradients, expected)

    def test_concurrent_calls(self):
        problems = [problem(50, 8, 16, 64, seed=k) for k in range(4)]
        expected = [jax.grad(loss_of(p))(given) for p, given in problems]
        gradients = [jax.jit(jax.grad(loss_of(p))) for p, _ in problems]
        with ThreadPoolExecutor(len(problems)) as pool:
            for _ in range(5):
                given = [given for _, given in problems]
                for ours, theirs in zip(
                    pool.map(lambda f, given: f(given), gradients, given), expected, strict=True
                ):
                    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


class TestTransformations:
    def test_dx_is_computed_only_if_requested(self):
        """In any order for one function, since JAX caches its traces."""
        p, given = problem(9, 4, 3, 5)
        f = jax.jit(lambda x, Waa: (p.da * rnn(**{**p.arguments, "x": x, "Waa": Waa})).sum())
        expected = dict(
            zip(["x", "Waa"], jax.grad(f, (0, 1))(given["x"], given["Waa"]), strict=True)
        )
        of = {
            ("x",): jax.grad(f, (0,)),
            ("Waa",): jax.grad(f, (1,)),
            ("x", "Waa"): jax.grad(f, (0, 1)),
            ("Waa", "x"): jax.grad(jax.checkpoint(f), (1, 0)),
        }
        for names in [*of, *reversed(of), *of]:
            for compiled in (of[names], jax.jit(of[names])):
                gradients = compiled(given["x"], given["Waa"])
                for name, gradient in zip(names, gradients, strict=True):
                    np.testing.assert_array_equal(gradient, expected[name], f"{name} of {names}")
            calls = str(jax.jit(of[names]).lower(given["x"], given["Waa"]).as_text())
            (call,) = re.findall(r"= stablehlo.custom_call @crnn_rnn_backward.*-> \((.*)\)", calls)
            assert call.count("tensor") == (5 if "x" in names else 4)

    def test_an_unused_output_has_zero_gradients(self):
        p, given = problem()
        f = lambda given: (rnn(**{**p.arguments, **given}), given["ba"].sum())[1]  # noqa: E731
        gradients = jax.grad(f)(given)
        assert (gradients.pop("ba") == 1).all()
        assert all((gradient == 0).all() for gradient in gradients.values())

    def test_rematerialization(self):
        p, given = problem()
        ours = jax.jit(jax.grad(jax.checkpoint(loss_of(p))))(given)
        jax.tree.map(np.testing.assert_array_equal, ours, jax.grad(loss_of(p))(given))

    def test_forward_mode_and_second_derivatives_are_refused(self):
        p, given = problem()
        with pytest.raises(TypeError, match="forward-mode autodiff"):
            jax.jvp(loss_of(p), (given,), (given,))
        with pytest.raises(ValueError, match="cannot be differentiated"):
            jax.grad(lambda given: jax.grad(loss_of(p))(given)["Waa"].sum())(given)

    @pytest.mark.parametrize(
        ("mapped", "kind"),
        [
            (("x",), {}),
            (("x",), {"integers": True}),
            (("a0",), {"reverse": True}),
            (("lengths",), {}),
            (("x", "a0", "lengths"), {"reverse": True}),
            (("Waa",), {}),
            (("x", "ba"), {"integers": True, "reverse": True}),
        ],
    )
    def test_vmap(self, mapped, kind):
        """Values, the gradient of their sum and per-element gradients equal those of a loop."""
        many, names = 4, ("x", "Waa", "Wax", "ba", "a0", "lengths")
        problems = [problem(seed=k, lengths=True, **kind)[0] for k in range(many)]
        first = {**problems[0].arguments, "lengths": problems[0].options["lengths"]}
        each = [
            [({**p.arguments, "lengths": p.options["lengths"]} if n in mapped else first)[n]
             for n in names]
            for p in problems
        ]  # fmt: skip
        stacked = [
            np.stack([e[k] for e in each]) if n in mapped else first[n] for k, n in enumerate(names)
        ]
        axes = [0 if n in mapped else None for n in names]

        def f(*given):
            return rnn(**dict(zip(names, given, strict=True)), reverse="reverse" in kind)

        def loss(*given):
            return (problems[0].da * f(*given)).sum()

        wanted = [k for k, n in enumerate(names) if stacked[k].dtype.kind == "f"]
        # With a larger m, rows are summed in another order: T m rows of n_a + 1 terms a gradient.
        terms = 7 * 3 * 7
        assert_close(jax.jit(jax.vmap(f, axes))(*stacked), np.stack([f(*g) for g in each]), terms)
        gradient = jax.jit(jax.grad(loss, wanted))
        of_each = jax.jit(jax.vmap(gradient, axes))(*stacked)
        of_sum = jax.grad(lambda *given: jax.vmap(loss, axes)(*given).sum(), wanted)
        expected = [np.stack(g) for g in zip(*(gradient(*given) for given in each), strict=True)]
        for k, ours, summed in zip(wanted, of_each, jax.jit(of_sum)(*stacked), strict=True):
            theirs = expected[wanted.index(k)]
            assert_close(ours, theirs, terms, names[k])
            theirs = theirs if names[k] in mapped else theirs.sum(axis=0)
            assert_close(summed, theirs, many * terms, names[k])

    def test_vmap_extends_m_for_inputs_and_loops_over_weights(self):
        p = problem()[0]
        x, Waa, Wax = (p.arguments[name] for name in ("x", "Waa", "Wax"))
        over_inputs = str(jax.make_jaxpr(jax.vmap(lambda x: rnn(x, Waa, Wax)))(np.stack([x, x])))
        assert "f64[7,6,6]" in over_inputs  # T, 2 m, n_a
        assert "scan" not in over_inputs
        over_weights = jax.vmap(lambda Waa: rnn(x, Waa, Wax))
        assert "scan" in str(jax.make_jaxpr(over_weights)(np.stack([Waa, Waa])))

    def test_vmap_of_vmap_and_other_axes(self):
        Waa, Wax = (problem()[1][name] for name in ("Waa", "Wax"))
        xs = np.random.default_rng(0).standard_normal((2, 7, 3, 5, 4))  # of (T, m, n_x)
        f = jax.vmap(jax.vmap(lambda x: rnn(x, Waa, Wax), in_axes=-1, out_axes=1))
        expected = [[crnn.rnn_forward(row[..., k], Waa, Wax) for k in range(4)] for row in xs]
        assert_close(f(xs), np.moveaxis(expected, 1, 2), 6 + 5 + 1)


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "value", "error", "message"),
        [
            (
                "x",
                np.zeros((7, 3, 4)),
                ValueError,
                r"x: expected shape \(T, m, n_x\) = \(7, 3, 5\)",
            ),
            ("x", np.zeros((7, 3)), ValueError, "x: expected float64 of shape"),
            ("x", np.zeros((0, 3, 5)), ValueError, "x: expected float64 of shape"),
            ("x", np.zeros((7, 3, 5), "f"), TypeError, "x: expected float64, the dtype of Waa"),
            ("x", np.zeros((7, 3, 5), "i"), ValueError, "x: expected float64 of shape"),
            ("Waa", np.zeros((6, 5)), ValueError, r"Waa: expected shape \(n_a, n_a\) = \(5, 5\)"),
            (
                "Waa",
                np.zeros((6, 6), int),
                TypeError,
                "Waa: expected float32 or float64, got int64",
            ),
            ("Waa", np.float64(1), ValueError, "Waa: expected shape"),
            ("Wax", np.zeros((5, 6)), ValueError, r"Wax: expected shape \(n_a, n_x\) = \(6, 6\)"),
            ("ba", np.zeros(5), ValueError, r"ba: expected shape \(n_a,\) = \(6,\)"),
            ("a0", np.zeros((1, 6)), ValueError, r"a0: expected shape \(m, n_a\) = \(3, 6\)"),
            ("lengths", np.zeros(2, int), ValueError, r"lengths: expected shape \(m,\) = \(3,\)"),
            ("lengths", np.ones(3), TypeError, "lengths: expected integers, got float64"),
            ("Waa", np.zeros((0, 0)), ValueError, r"Waa: expected shape \(n_a, n_a\), sizes >= 1"),
            ("Wax", np.float64(1), ValueError, r"Wax: expected shape \(n_a, n_x\), sizes >= 1"),
            ("Wax", np.zeros((6, 0)), ValueError, r"Wax: expected shape \(n_a, n_x\), sizes >= 1"),
            ("reverse", 1, TypeError, "reverse: expected True or False, got 1"),
            ("reverse", np.zeros(2), TypeError, "reverse: expected True or False, got array"),
            ("activation", np.zeros(2), ValueError, "activation: expected one of .* got array"),
            ("activation", "gelu", ValueError, "activation: expected one of 'tanh', 'relu'"),
        ],
    )
    def test_when_traced(self, name, value, error, message):
        with pytest.raises(error, match=message):
            rnn(**{**problem()[0].arguments, name: value})

    @pytest.mark.parametrize("name", ["x", "Waa", "Wax", "ba", "a0", "lengths"])
    @pytest.mark.parametrize("value", ["tanh", None, object(), [[1.0], [1.0, 2.0]]], ids=type)
    def test_what_is_no_array(self, name, value):
        if value is None and name in ("ba", "a0", "lengths"):
            return  # the default
        with pytest.raises(TypeError, match=f"{name}: expected an array, got "):
            rnn(**{**problem()[0].arguments, name: value})

    @pytest.mark.parametrize(
        ("name", "wrong", "message"),
        [
            ("x", 5, r"x: expected integers in 0\.\.n_x-1"),
            ("x", -1, r"x: expected integers in 0\.\.n_x-1"),
            ("x", 2**32, r"x: expected integers in 0\.\.n_x-1"),
            ("lengths", 0, r"lengths: expected integers in 1\.\.T"),
            ("lengths", 8, r"lengths: expected integers in 1\.\.T"),
            ("lengths", 2**32 + 1, r"lengths: expected integers in 1\.\.T"),
        ],
    )
    def test_when_run(self, name, wrong, message):
        p = problem(integers=True)[0]
        value = {"x": np.zeros((7, 3), int), "lengths": np.full(3, 7)}
        f = jax.jit(lambda value: rnn(**{**p.arguments, **value}))
        f(value).block_until_ready()
        value[name][(0,) * value[name].ndim] = wrong
        with pytest.raises(REFUSED, match=message):
            f(value).block_until_ready()

    @pytest.mark.parametrize("wrong", [2**32, -(2**32), 2**63])
    @pytest.mark.parametrize("name", ["x", "lengths"])
    def test_integers_that_jax_would_cut_to_32_bits(self, name, wrong):
        """JAX without x64 makes int32 of them, in which 2^32 would be a valid 0."""
        jax.config.update("jax_enable_x64", False)
        p = problem(integers=True, dtype="float32")[0]
        value = {"x": np.zeros((7, 3), int), "lengths": np.full(3, 7)}
        rnn(**{**p.arguments, **value})
        value[name] = value[name].astype("uint64" if wrong == 2**63 else "int64")
        value[name].flat[1] = wrong
        for given in (value[name], list(value[name])):
            with pytest.raises(ValueError, match=f"{name}: expected integers that JAX.* {wrong}"):
                rnn(**{**p.arguments, **value, name: given})

    @pytest.mark.parametrize("target", ["forward", "backward"])
    def test_wrong_operands_of_the_ffi_targets(self, target):
        """Calling the FFI targets directly with wrong operands is an error, not a crash."""
        T, m, n_x, n_a = 7, 3, 5, 6
        inputs = [(T, m, n_x), (n_a, n_a), (n_a, n_x), (m, n_a), (m,)]
        more = {"forward": [(n_a,)], "backward": [(T, m, n_a)] * 2}[target]
        gradients = [(n_a, n_a), (n_a, n_x), (n_a,), (m, n_a), (T, m, n_x)]
        results = {"forward": [(T, m, n_a)], "backward": gradients}[target]
        flags = {"reverse": np.int32(0), "activation": np.int32(0)}

        dtypes = ["float32", "float32", "float32", "float32", "int32", "float32", "float32"]

        def run(inputs, results, dtype="float32", **flags):
            operands = [jnp.ones(s, d) for s, d in zip(inputs, dtypes, strict=False)]
            structs = [jax.ShapeDtypeStruct(s, np.dtype(dtype)) for s in results]
            call = jax.ffi.ffi_call(f"crnn_rnn_{target}", structs)
            jax.block_until_ready(call(*operands, **flags))

        inputs += more
        run(inputs, results, **flags)
        for k in range(len(inputs)):
            for wrong in ([*inputs[:k], (*inputs[k], 2), *inputs[k + 1 :]], inputs[:k]):
                with pytest.raises(REFUSED, match=r"crnn: operand \d is absent"):
                    run(wrong, results, **flags)
        for k in range(len(results)):
            wrong = [*results[:k], (*results[k], 2), *results[k + 1 :]]
            with pytest.raises(REFUSED, match=rf"crnn: result {k} is absent"):
                run(inputs, wrong, **flags)
        with pytest.raises(REFUSED, match="crnn: result 0 is absent"):
            run(inputs, results, "float64", **flags)
        for name in flags:
            rest = {key: value for key, value in flags.items() if key != name}
            for wrong in (rest, {**rest, name: 0.5}):
                with pytest.raises(REFUSED, match="crnn: attribute"):
                    run(inputs, results, **wrong)
        with pytest.raises(REFUSED, match="expected activation"):
            run(inputs, results, **{**flags, "activation": np.int32(7)})


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("gcc") is None, reason="no gcc")
def test_declarations_agree_with_the_header_of_jaxlib(tmp_path):
    """Compiling checks sizes and offsets; running checks the answer to unknown versions."""
    program = tmp_path / "check_xla"
    built = subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", CSRC, "-I", crnn.get_include(),
         "-isystem", jax.ffi.include_dir(), ROOT / "tests" / "c" / "xla" / "check_xla.c",
         CSRC / "xla" / "handler.c", "-o", program],
        capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_importing_the_handlers_needs_no_jax():
    code = "import crnn._engine.xla, sys; print('jax' in sys.modules, 'jaxlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False False\n"


def test_docstring_examples_run():
    jax.config.update("jax_enable_x64", False)  # the default, which readers have
    tried = doctest.testmod(crnn.jax.functions)
    assert tried.attempted > 0
    assert tried.failed == 0


def test_examples_of_the_page_run():
    jax.config.update("jax_enable_x64", False)
    pages.run_python(ROOT / "docs" / "jax.md")
