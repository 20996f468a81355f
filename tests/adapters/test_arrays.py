"""torch tensors, JAX arrays and pandas columns are read without a copy, or refused."""

from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn import check
from crnn._engine import validate

PAGE = Path(__file__).parents[2] / "docs" / "arrays.md"


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def jnp():
    return pytest.importorskip("jax.numpy")


def by_torch():
    torch = pytest.importorskip("torch")
    return torch.from_numpy, lambda a: a.data_ptr()


def by_jax():
    jnp = pytest.importorskip("jax.numpy")
    return jnp.asarray, lambda a: a.unsafe_buffer_pointer()


LIBRARIES = pytest.mark.parametrize("library", [by_torch, by_jax])


@LIBRARIES
class TestLibraries:
    def test_arrays_are_not_copied(self, library):
        foreign, address = library()
        for dtype in ("float32", "int32"):
            a = foreign(np.arange(12, dtype=dtype).reshape(3, 4))
            assert validate.plain("x", a).ctypes.data == address(a)

    @pytest.mark.parametrize("integers", [False, True])
    def test_functions_give_the_same_bits(self, library, integers):
        foreign, _ = library()
        p = check.problem(6, 3, 4, 5, dtype="float32", integers=integers, lengths=True)
        a = crnn.rnn_forward(**p.arguments, **p.options)
        truth = check.backward_of(crnn.rnn_backward, p, a)
        arguments = {name: foreign(value) for name, value in p.arguments.items()}
        lengths = foreign(p.options["lengths"].astype("i4"))
        np.testing.assert_array_equal(crnn.rnn_forward(**arguments, lengths=lengths), a)
        arguments.pop("ba")
        g = crnn.rnn_backward(foreign(p.da), foreign(a), **arguments, lengths=lengths)
        for one, other in zip(g, truth, strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
    def test_every_method_gives_the_same_bits(self, library, loss):
        foreign, _ = library()
        rng = np.random.default_rng(0)
        x, lengths = rng.standard_normal((6, 3, 4)).astype("f4"), np.int32([2, 6, 1])
        y = rng.integers(0, 4, 3) if loss == "cross_entropy" else rng.random((3, 4), "f4")
        model, twin = (crnn.RNN(4, 5, 4, loss=loss, rng=0) for _ in range(2))
        given, theirs = (x, y, lengths), (foreign(x), foreign(y), foreign(lengths))
        assert model.evaluate(*theirs) == model.evaluate(*given)
        np.testing.assert_array_equal(model.predict(theirs[0]), model.predict(x))
        listed = [foreign(x[:n, i].copy()) for i, n in enumerate(lengths)]
        np.testing.assert_array_equal(model.predict(listed), model.predict(x, lengths))
        options = {"epochs": 1, "batch_size": 2, "progress": False, "rng": 0}
        model.fit(*given[:2], lengths=lengths, validation=given, **options)
        twin.fit(*theirs[:2], lengths=theirs[2], validation=theirs, **options)
        gradients = twin.gradients(*theirs)[1]
        for name, value in model.gradients(*given)[1].items():
            np.testing.assert_array_equal(gradients[name], value)
            twin.parameters[name] = foreign(value)
            np.testing.assert_array_equal(twin.parameters[name], value)

    def test_streams_and_symbols(self, library):
        foreign, _ = library()
        model = crnn.RNN(3, 4, 3, steps="all", rng=0)
        x, symbols = np.random.default_rng(0).standard_normal((2, 3)).astype("f4"), np.int32([2, 0])
        first, second = model.stream(2), model.stream(2)
        out = np.empty((2, 3), "f4")
        np.testing.assert_array_equal(second.step(foreign(x), out), first.step(x))
        np.testing.assert_array_equal(second.step(foreign(symbols)), first.step(symbols))
        before = second.state
        with pytest.raises(ValueError, match="x_t: expected numbers of shape"):
            second.step(foreign(x[:, :2].copy()))
        np.testing.assert_array_equal(second.state, before)
        second.state = [foreign(a) for a in before]
        np.testing.assert_array_equal(
            model.sample(4, prime=foreign(symbols), rng=0), model.sample(4, prime=[2, 0], rng=0)
        )


class TestTorch:
    def test_out_may_be_a_tensor(self, torch):
        x, W, out = torch.ones(3, 2, 4), torch.eye(4), torch.empty(3, 2, 4)
        assert crnn.rnn_forward(x, W, W, out=out.numpy()).ctypes.data == out.data_ptr()
        with pytest.raises(TypeError, match=r"out: expected a numpy\.ndarray, got Tensor"):
            crnn.rnn_forward(x, W, W, out=out)
        with pytest.raises(ValueError, match="out: expected memory of its own"):
            crnn.rnn_forward(x, W, W, out=x.numpy())

    def test_a_non_contiguous_view_is_copied(self, torch):
        x, W = torch.randn(2, 3, 4).transpose(0, 1), torch.eye(4)
        np.testing.assert_array_equal(
            crnn.rnn_forward(x, W, W), crnn.rnn_forward(x.contiguous(), W, W)
        )
        np.testing.assert_array_equal(
            crnn.rnn_forward(torch.ones(1, 1, 4).expand(3, 2, 4), W, W),
            crnn.rnn_forward(torch.ones(3, 2, 4), W, W),
        )

    def test_unsupported_tensors_are_refused(self, torch):
        x = torch.ones(3, 2, 4)
        refused = [
            (x.clone().requires_grad_(), "requires no grad, got one that does: pass its .detach"),
            (x.bfloat16(), "got Tensor .dtype torch.bfloat16, device cpu"),
            (x.to_sparse(), "got Tensor .*: .*Sparse"),
            (x.to("meta"), "got Tensor .*device meta"),
            (torch.complex(x, x).conj().imag, "got Tensor .*negative bit"),  # lazily negated
            ([x.clone().requires_grad_()], ": .*detach"),
        ]
        for value, message in refused:
            for call in (
                lambda v: crnn.rnn_forward(v, torch.eye(4), torch.eye(4)),
                crnn.RNN(4, 5, 2, rng=0).predict,
                crnn.RNN(4, 5, 2, rng=0).stream(2).step,
            ):
                with pytest.raises(TypeError, match=f"^x.*{message}"):
                    call(value)
        with pytest.raises(TypeError, match="expected float32 or float64, got float16"):
            crnn.rnn_forward(x, torch.eye(4).half(), torch.eye(4).half())


class TestJax:
    def test_bfloat16_and_traced_arrays_are_refused(self, jnp):
        import jax

        W = np.eye(4, dtype="f4")
        with pytest.raises(ValueError, match=r"x: expected numbers .* got bfloat16"):
            crnn.RNN(4, 5, 2, rng=0).predict(jnp.ones((3, 2, 4), jnp.bfloat16))
        with pytest.raises(TypeError, match="Waa: expected float32 or float64, got bfloat16"):
            crnn.rnn_forward(np.ones((3, 2, 4), "f4"), jnp.asarray(W, jnp.bfloat16), W)
        with pytest.raises(TypeError, match=r"^x: expected an array, got .*Tracer"):
            jax.jit(lambda x: crnn.rnn_forward(x, W, W))(jnp.ones((3, 2, 4)))


class TestPandas:
    def test_columns_are_not_copied(self):
        pandas = pytest.importorskip("pandas")
        symbols = pandas.Series(np.arange(60) % 3)
        assert np.shares_memory(validate.plain("symbols", symbols), symbols.to_numpy())
        model = crnn.RNN(3, 4, 3, steps="all", rng=0)
        assert model.evaluate_stream(symbols) == model.evaluate_stream(np.arange(60) % 3)

    def test_a_data_frame_is_a_sequence_and_must_be_numeric(self):
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        model = crnn.RNN(2, 4, 3, rng=0)
        np.testing.assert_array_equal(
            model.predict_proba([table]), model.predict_proba([table.to_numpy()])
        )
        table["b"] = ["3", None]
        with pytest.raises(ValueError, match=r"x\[0\]: expected numbers .* got object"):
            model.predict([table])


def test_examples_of_the_page_run(torch, jnp):
    assert "stream" in pages.run_python(PAGE)
