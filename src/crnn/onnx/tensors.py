"""The dtypes and the constant tensors of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from crnn._words import one_line
from crnn.reference import Array


def dtype_of(name: str, number: int) -> np.dtype[Any]:
    """The dtype of this number in ONNX; raises ValueError, which begins with a name."""
    try:
        dtype: np.dtype[Any] = helper.tensor_dtype_to_np_dtype(number)
    except KeyError:
        raise ValueError(f"{name}: expected a data type of ONNX, got {number}") from None
    return dtype


def array_of(tensor: TensorProto) -> Array:
    """The array of an initializer; raises ValueError if its numbers do not fit its shape."""
    dtype_of(tensor.name, tensor.data_type)
    refuse_external(tensor)
    try:
        array: Array = numpy_helper.to_array(tensor)
    except Exception as error:  # NumPy and onnx raise many kinds
        raise ValueError(f"{tensor.name}: {one_line(error)}") from error
    return array


def refuse_external(tensor: TensorProto) -> None:
    """Raise ValueError if numbers are in a file; onnx has read those beside a path."""
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ValueError(
            f"{tensor.name or 'value'}: expected its numbers in the model, they are in another "
            "file: give the path of the model"
        )
