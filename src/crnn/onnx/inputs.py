"""The inputs of a graph: which of them is x, and which are the lengths and the states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, ValueInfoProto

from crnn.onnx.tensors import dtype_of


@dataclass
class Inputs:
    """The inputs of the graph."""

    x: str
    dtype: np.dtype[Any] | None  # of x; None for integers, which stand for one-hot rows
    shape: list[int | None]  # of x; None if symbolic
    lengths: str | None
    m_axis: int  # of x, if there are lengths
    states: list[ValueInfoProto]
    names: list[str]  # of x's first two axes, "" if they are fixed

    @classmethod
    def of(cls, model: ModelProto) -> Inputs:
        """Find x, which is the first with its axes, lengths and states by their axes.

        Raises ValueError for an input that is none of these.
        """
        constants = {tensor.name for tensor in model.graph.initializer}
        x, lengths, states = None, None, []
        for value in model.graph.input:
            if value.name in constants:
                continue
            tensor = value.type.tensor_type
            if not value.type.HasField("tensor_type"):
                raise ValueError(f"{value.name}: expected a tensor")
            integers = dtype_of(value.name, tensor.elem_type).kind in "iu"
            rank = len(tensor.shape.dim)
            if x is None and rank == (2 if integers else 3):
                x = value
            elif lengths is None and integers and rank == 1:
                lengths = value
            elif not integers and rank in (2, 3):
                states.append(value)
            else:
                raise ValueError(
                    f"{value.name}: expected the inputs x, floats (T, m, n_x) or integers (T, m), "
                    f"and perhaps lengths, integers (m,), and states, floats (m, n_a) or "
                    f"(layers, m, n_a); got {rank} axes"
                )
        if x is None:
            raise ValueError("inputs: expected x, floats (T, m, n_x) or integers (T, m)")
        dims = list(x.type.tensor_type.shape.dim)
        shape = [_size(dim) for dim in dims]
        if any(size is not None and size < 1 for size in shape):
            raise ValueError(f"{x.name}: expected axes of at least 1, got {shape}")
        dtype = None if len(shape) == 2 else dtype_of(x.name, x.type.tensor_type.elem_type)
        if dtype is not None and shape[2] is None:
            raise ValueError(f"{x.name}: expected a known n_x, got a symbolic third axis")
        names = [dim.dim_param for dim in dims[:2]]
        if lengths is None:
            return cls(x.name, dtype, shape, None, 1, states, names)
        of_lengths = lengths.type.tensor_type.shape.dim[0]
        m_axis = 0 if of_lengths == dims[0] != dims[1] else 1
        if None not in (shape[m_axis], _size(of_lengths)) and of_lengths != dims[m_axis]:
            raise ValueError(
                f"{lengths.name}: expected {shape[m_axis]} numbers, one for each example, got "
                f"{_size(of_lengths)}"
            )
        return cls(x.name, dtype, shape, lengths.name, m_axis, states, names)

    def dtypes(self) -> set[np.dtype[Any]]:
        """Of x, unless it has integers, and of the states."""
        of_states = {dtype_of(v.name, v.type.tensor_type.elem_type) for v in self.states}
        return of_states if self.dtype is None else {self.dtype, *of_states}


def _size(dim: Any) -> int | None:
    """The size of an axis, or None if it is symbolic."""
    return dim.dim_value if dim.HasField("dim_value") else None
