"""A damaged ONNX graph is refused by name, or read as the model that it computes."""

import random
from functools import cache

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import helper  # noqa: E402

import crnn  # noqa: E402
from crnn.onnx import backend, from_onnx, to_onnx  # noqa: E402
from fuzz.damage import Choices, damaged_bytes  # noqa: E402
from fuzz.models import TIMES, problems  # noqa: E402
from fuzz.protobuf import damage  # noqa: E402


@cache
def graphs():
    """Graphs of crnn's, which together have every operator that the reader follows."""
    found = []
    for options, inputs in (
        ({}, {}),
        ({"direction": "bidirectional", "num_layers": 2}, {"lengths": True}),
        ({"cell": "gru", "steps": "all"}, {"lengths": True}),
        ({"cell": "lstm", "direction": "reverse"}, {"integers": True}),
        ({"activation": "relu", "loss": "gaussian_nll"}, {}),
        ({"loss": "binary_cross_entropy", "steps": "all", "dtype": "float64"}, {}),
    ):
        model = crnn.RNN(2, 3, 2, rng=0, **options)
        for value in model.parameters.values():
            value += 0.125
        found.append(to_onnx(model, **inputs))
    found.append(_looked_up(found[0]))
    return found


def _looked_up(proto):
    """The graph of a model that reads rows of a table, one for each integer."""
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    table = np.linspace(-1, 1, 8, dtype="f4").reshape(4, 2)
    found.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))
    found.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("symbols", onnx.TensorProto.INT64, ["T", "m"])
    )
    cast = helper.make_node("Cast", ["symbols"], ["integers"], to=onnx.TensorProto.INT32)
    gather = helper.make_node("Gather", ["table", "integers"], ["x"])
    nodes = [cast, gather, *found.graph.node]
    del found.graph.node[:]
    found.graph.node.extend(nodes)
    del found.metadata_props[:]
    return found


@cache
def operators():
    """The names of all operators of the standard."""
    return sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})


def damaged_graph(choices):
    """The bytes of a damaged graph."""
    proto = onnx.ModelProto()
    proto.CopyFrom(choices.of(graphs()))
    if choices.below(16) == 15:
        return damaged_bytes(choices, proto.SerializeToString())
    for _ in range(1 + choices.below(3)):
        damage(choices, proto, {"op_type": operators()})
    return proto.SerializeToString()


def read(data):
    """Target: `from_onnx`. What it reads computes what the backend computes."""
    content = damaged_graph(Choices(data))
    try:
        model = from_onnx(content)
    except ValueError as error:
        message = str(error)
        assert ":" in message, message
        assert "\n" not in message, message
        return
    again = from_onnx(to_onnx(model))
    assert again.config == model.config
    for name, value in model.parameters.items():
        assert again.parameters[name].tobytes() == value.tobytes()
    require_same_answers(model, onnx.load_model_from_string(content))


def require_same_answers(model, proto):
    """Raise AssertionError if the model's answers are not the graph's."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    types = {v.name: v.type.tensor_type for v in proto.graph.input if v.name not in constants}
    shapes = {name: [dim.dim_value or 3 for dim in of.shape.dim] for name, of in types.items()}
    name = next(name for name, shape in shapes.items() if len(shape) > 1)
    shape = shapes[name]
    if np.prod(shape) > 1000:
        return
    draw = np.random.default_rng(0)
    if len(shape) == 2:
        x = draw.integers(0, model.config.n_x, shape)
    else:
        x = draw.standard_normal(shape)
    x = x.astype(helper.tensor_dtype_to_np_dtype(types[name].elem_type))
    for first, T, m in ((False, *shape[:2]), (True, *shape[1::-1])):
        given, lengths = {name: x}, None
        for other, of in types.items():
            if other != name:  # lengths: all T steps, one less, ...
                lengths = np.maximum(1, T - np.arange(m))
                given[other] = lengths.astype(helper.tensor_dtype_to_np_dtype(of.elem_type))
        with np.errstate(all="ignore"):
            found = model.predict_proba(x.swapaxes(0, 1) if first else x, lengths)
            try:
                (expected,) = backend.run_model(proto, given)
            except ValueError:  # lengths that do not fit: the examples are the other axis
                assert not first
                continue
        for y_hat in (found, found.swapaxes(0, 1)):
            if y_hat.shape == expected.shape and np.allclose(y_hat, expected, 1e-4, 1e-5, True):
                return
    raise AssertionError(f"{found} and {expected}")


@settings(derandomize=True, database=None, deadline=None, max_examples=40 * TIMES)
@given(problems(), st.booleans())
def test_models(p, lengths):
    """A model that ONNX can hold comes back, and its graph gives the same answers."""
    config, options = p.model.config, {"integers": p.x.ndim == 2, "lengths": lengths}
    leaky = config.cell == "leaky" and (config.leak != 1 or config.noise)
    if leaky or config.initial_state == "trained":
        with pytest.raises(ValueError, match=r"^model: expected (the cell|initial_state)"):
            to_onnx(p.model, **options)
        return
    proto = to_onnx(p.model, **options)
    again = from_onnx(proto)
    for name, value in p.model.parameters.items():
        assert again.parameters[name].tobytes() == value.tobytes()
    given = {"x": p.x}
    if lengths:
        given["lengths"] = np.full(p.x.shape[1], len(p.x)) if p.lengths is None else p.lengths
        given["lengths"] = given["lengths"].astype("i4")
    (found,) = backend.run_model(proto, given)
    expected = p.model.predict_proba(p.x, given.get("lengths"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


TARGETS = {"graph": (read, 200)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_graphs(name):
    target, count = TARGETS[name]
    draw = random.Random(0)
    for _ in range(count):
        target(draw.randbytes(40))
