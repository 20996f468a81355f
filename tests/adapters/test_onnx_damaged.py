"""Graphs that are damaged, or made to do harm: each is refused by name, in one line, at once.

`tests/fuzz/test_onnx.py` found them.
"""

import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import crnn  # noqa: E402
from crnn.onnx import backend, from_onnx, to_onnx  # noqa: E402


@pytest.fixture
def proto():
    return to_onnx(crnn.RNN(2, 3, 2, steps="all", rng=0))


def refused(proto, message):
    """Check that the error begins with this, and is one line."""
    with pytest.raises(ValueError, match=rf"^{message}") as found:
        from_onnx(proto.SerializeToString())
    assert "\n" not in str(found.value)


def set_sizes(value, *sizes):
    for dim, size in zip(value.type.tensor_type.shape.dim, sizes, strict=False):
        dim.dim_value = size


def test_what_onnx_says_in_several_lines_is_one_line(proto):
    proto.graph.node[0].op_type = "none"
    refused(proto, "model: not valid ONNX: No Op registered for none ")
    with pytest.raises(ValueError, match=r"^model: not valid ONNX: No Op") as found:
        backend.prepare(proto)
    assert "\n" not in str(found.value)


def test_a_configuration_with_line_breaks_is_shown_in_one_line(proto):
    helper.set_model_props(proto, {"crnn.config": "two\nlines"})
    refused(proto, r"metadata_props: crnn\.config is two lines: ")


def test_metadata_that_are_no_utf_8(proto):
    """protobuf reads them, as bytes."""
    helper.set_model_props(proto, {"author": "anna"})
    content = proto.SerializeToString().replace(b"anna", b"a\xff\xffa")
    with pytest.raises(ValueError, match=r"^metadata_props: expected UTF-8, got b'a"):
        from_onnx(content)


@pytest.mark.parametrize("number", [0, 77, -1])
def test_data_types_that_onnx_does_not_have(proto, number):
    proto.graph.input[0].type.tensor_type.elem_type = number
    refused(proto, f"x: expected a data type of ONNX, got {number}")


def test_data_types_of_weights_that_onnx_does_not_have(proto):
    name = proto.graph.initializer[0].name
    proto.graph.initializer[0].data_type = 77
    refused(proto, f"{name}: expected a data type of ONNX, got 77")


def test_numbers_that_do_not_fit_their_shape(proto):
    tensor = proto.graph.initializer[0]
    tensor.dims[1] = 7
    refused(proto, "model: not valid ONNX: .* raw_data size")
    tensor.CopyFrom(numpy_helper.from_array(np.array([b"a", b"b"], object), tensor.name))
    tensor.string_data[0] = b"\xff"
    refused(proto, f"{tensor.name}: ")


@pytest.mark.parametrize("sizes", [(2**31, 5), (2**62, 2**62), (0, 3), (-(2**63), 2)])
def test_sizes_that_no_memory_has(proto, sizes):
    """No array of a size that the graph names is made before the size is known to be small."""
    set_sizes(proto.graph.input[0], *sizes)
    tracemalloc.start()
    try:
        refused(proto, "(sizes: expected at most|x: expected axes of at least 1)")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def constant(name, value, dtype="i8"):
    return numpy_helper.from_array(np.array(value, dtype), name)


#: Nodes of constants that make much of little, and the constants.
LARGE = {
    "ConstantOfShape": ([("ConstantOfShape", ["n"], {})], [constant("n", [2**31])]),
    "Range": (
        [("Range", ["first", "n", "step"], {})],
        [constant("first", 0), constant("n", 2**40), constant("step", 1)],
    ),
    "Tile": ([("Tile", ["a", "n"], {})], [constant("a", [1, 2]), constant("n", [2**30])]),
    "Expand": ([("Expand", ["a", "n"], {})], [constant("a", [[1], [2]]), constant("n", [2**30])]),
    "Pad": ([("Pad", ["a", "n"], {})], [constant("a", [1.0], "f4"), constant("n", [0, 2**31])]),
    "RandomNormal": ([("RandomNormal", [], {"shape": [2**30]})], []),
    "Add": (
        [("Range", ["first", "n", "step"], {}), ("Unsqueeze", ["0", "axis"], {}),
         ("Add", ["0", "1"], {})],
        [constant("first", 0), constant("n", 2**20), constant("step", 1), constant("axis", [1])],
    ),
    "Concat": (
        [("Concat", ["a"] * 8, {"axis": 0})]
        + [("Concat", [str(k)] * 8, {"axis": 0}) for k in range(9)],
        [constant("a", [1, 2, 3])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_results_of_few_bytes(proto, name):
    nodes, constants = LARGE[name]
    made = [
        helper.make_node(operator, inputs, [str(k)], **attributes)
        for k, (operator, inputs, attributes) in enumerate(nodes)
    ]
    proto.graph.initializer.extend(constants)
    made.extend(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(made)
    tracemalloc.start()
    refused(proto, f"{name}: sizes: expected at most [0-9]+ values in all, got [0-9]+ more than ")
    assert tracemalloc.get_traced_memory()[1] < 300e6
    tracemalloc.stop()


def test_numbers_in_another_file(tmp_path, monkeypatch):
    """They are read beside a model that is a file, not from wherever the program happens to be."""
    monkeypatch.chdir(tmp_path)
    model = crnn.RNN(64, 64, 2, rng=0)
    onnx.save(to_onnx(model), "m.onnx", save_as_external_data=True, location="numbers")
    np.testing.assert_array_equal(from_onnx("m.onnx").parameters["Waa"], model.parameters["Waa"])
    with pytest.raises(ValueError, match=r"^\w+: expected its numbers in the model, they are in"):
        from_onnx((tmp_path / "m.onnx").read_bytes())


def test_a_constant_in_another_file(proto, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numbers").write_bytes(b"1234")
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="numbers")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))
    refused(proto, "Constant: value: expected its numbers in the model, they are in another file")


def test_a_loop_without_end(proto):
    """A node on constants is run by onnx's evaluator, which would run for ever."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["k"], ["n"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("k", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
        ],
    )
    for name, value in (("most", np.int64(2**60)), ("true", np.bool_(True)), ("k0", np.int64(0))):
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    loop = helper.make_node("Loop", ["most", "true", "k0"], ["k"], body=body)
    proto.graph.node.insert(0, loop)
    refused(proto, "Loop: crnn does not run the graph inside of a node")


def test_an_input_of_another_dtype_than_the_weights(proto):
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    refused(proto, "x: expected the dtype of all weights, got float32, float64")


@pytest.mark.parametrize("dtype", ["float64", "uint64"])
def test_a_bias_of_another_dtype_than_the_matrix(proto, dtype):
    for tensor in proto.graph.initializer:
        if tensor.name == "by":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(2, dtype), "by"))
    refused(proto, f"(Gemm|Add)( '.*')?: expected float32 as in Wya, got {dtype}")


def test_a_matrix_of_another_dtype_than_the_cells():
    proto = to_onnx(crnn.RNN(2, 3, 2, rng=0))
    for tensor in proto.graph.initializer:
        if tensor.name in ("Wya", "by"):
            tensor.CopyFrom(
                numpy_helper.from_array(np.float64(numpy_helper.to_array(tensor)), tensor.name)
            )
    refused(proto, "x: expected the dtype of all weights, got float32, float64")


def test_lengths_of_another_number_of_examples():
    proto = to_onnx(crnn.RNN(2, 3, 2, rng=0), lengths=True)
    set_sizes(proto.graph.input[0], 5, 3)
    set_sizes(proto.graph.input[1], 4)
    refused(proto, "lengths: expected 3 numbers, one for each example, got 4")


@pytest.mark.parametrize("name", ["", "constant", "others"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_node_with_lengths_of_its_own(layer, name):
    """None, which are all T steps; constants; or the graph's with another sign."""
    proto = to_onnx(crnn.RNN(2, 3, 2, num_layers=2, rng=0), lengths=True)
    constants = numpy_helper.from_array(np.full(3, 4, "i4"), "constant")
    proto.graph.initializer.append(constants)
    set_sizes(proto.graph.input[0], 5, 3)
    set_sizes(proto.graph.input[1], 3)
    nodes = [node for node in proto.graph.node if node.op_type == "RNN"]
    assert nodes[layer].input[4] == "lengths"
    nodes[layer].input[4] = name
    proto.graph.node.insert(0, helper.make_node("Neg", ["lengths"], ["others"]))
    refused(proto, r"RNN( '\w*')?: sequence_lens: expected the graph's input of lengths, or none")


def test_the_long_name_of_onnx_own_domain(proto):
    """It is the same domain, and onnx's evaluator knows the short name only."""
    proto.opset_import[0].domain = "ai.onnx"
    x = np.ones((4, 3, 2), "f4")
    expected = from_onnx(proto).predict_proba(x)
    np.testing.assert_allclose(backend.run_model(proto, [x])[0], expected, atol=1e-6)
    assert proto.opset_import[0].domain == "ai.onnx"
