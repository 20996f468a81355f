"""How much memory a graph may ask for: a few bytes of it can name any sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import NodeProto, helper, numpy_helper
from onnx.shape_inference import InferenceError, infer_node_outputs

from crnn._words import one_line
from crnn.reference import Array

#: Inputs with at most this many numbers, such as shapes, are shown to the operators' inference.
_SHOWN = 1024


class Room:
    """A number of values that the results of nodes may have together."""

    def __init__(self, values: int) -> None:
        self._values = self._left = values

    def take(self, node: NodeProto, inputs: Mapping[str, Array], opset: int) -> None:
        """Check that a node's results still fit, before it runs; raises ValueError."""
        count = _count(node, inputs, opset)
        if count > self._left:
            raise ValueError(
                f"sizes: expected at most {self._values} values in all, got {count} more than "
                f"{self._values - self._left}: export the graph with a symbolic T and m"
            )
        self._left -= count


def _count(node: NodeProto, inputs: Mapping[str, Array], opset: int) -> int:
    """The values of a node's results, which the standard's own inference tells from its inputs."""
    types, shown = {}, {}
    for name, a in inputs.items():
        types[name] = helper.make_tensor_type_proto(
            helper.np_dtype_to_tensor_dtype(a.dtype), a.shape
        )
        if a.size <= _SHOWN:
            shown[name] = numpy_helper.from_array(a, name)
    version = helper.make_opsetid("", opset)
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        found = infer_node_outputs(schema, node, types, shown, opset_imports=[version])
    except (InferenceError, onnx.defs.SchemaError) as error:
        raise ValueError(one_line(error)) from None
    given = sum(a.size for a in inputs.values())
    return sum(_values(found.get(name), given) for name in node.output if name)


def _values(result: Any, given: int) -> int:
    """The values of one result. An axis that only the numbers tell is at most as long as these."""
    if result is None or not result.tensor_type.HasField("shape"):
        raise ValueError("crnn does not run this operator: the size of its result is not known")
    count = 1
    for dim in result.tensor_type.shape.dim:
        count *= max(0, dim.dim_value) if dim.HasField("dim_value") else given
    return count
