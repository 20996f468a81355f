"""A call of the C interface with its arrays, for the tests of every cell."""

import ctypes

import numpy as np
from c_record import API, OK, Call

GUARD = 8


class CallProblem:
    """A call and its arrays; outputs and workspace begin as NaN, with a guard behind each."""

    def __init__(self, function, sizes, inputs, lengths, shapes, offset=0, **fields):
        """`function` is the first part of the names of the two functions, as in rnn_forward."""
        self.name, self.inputs, dtype = function, dict(inputs), inputs["Waa"].dtype
        if inputs["x"].dtype.kind == "i":
            self.inputs["symbols"] = self.inputs.pop("x").astype(np.intp)
        else:
            shapes = {**shapes, "dx": inputs["x"].shape}
        if lengths is not None:
            self.inputs["lengths"] = lengths.astype(np.intp)
        self.outputs = {
            output: np.full(int(np.prod(shape)) + GUARD, np.nan, dtype)[:-GUARD].reshape(shape)
            for output, shape in shapes.items()
        }
        self.arrays = {**self.inputs, **self.outputs}
        self.call = call = Call(ctypes.sizeof(Call), 1 if dtype == np.float32 else 2)
        call.T, call.m, call.n_x, call.n_a = sizes
        pointers = {name: array.ctypes.data for name, array in self.arrays.items()}
        for field, value in {**fields, **pointers}.items():
            setattr(call, field, value)
        call.workspace_bytes = max(self.needed(0), self.needed(1))
        self.memory = np.full(call.workspace_bytes + 128, 0xFF, np.uint8)  # NaN of any dtype
        call.workspace = self.memory[-self.memory.ctypes.data % 64 + offset :].ctypes.data

    def expected(self):
        """What the package's own functions give, by name."""
        raise NotImplementedError

    def needed(self, backward):
        """The bytes of workspace that are asked for."""
        bytes_ = ctypes.c_size_t()
        assert API.rnn_workspace(self.call, backward, bytes_) == OK
        return bytes_.value

    def function(self, backward):
        return getattr(API, f"{self.name}_{'backward' if backward else 'forward'}")

    def run(self, backward):
        """Exactly the workspace that is asked for, nothing behind any array written."""
        self.call.workspace_bytes = size = self.needed(backward)
        end = self.call.workspace + size - self.memory.ctypes.data
        self.memory[:] = 0xFF
        assert self.function(backward)(self.call) == OK
        assert (self.memory[end:] == 0xFF).all()
        for output in self.outputs.values():
            assert np.isnan(output.base[-GUARD:]).all()

    def assert_as_in_python(self):
        """Both directions give the bits of the package's own functions."""
        self.run(backward=0)
        self.run(backward=1)
        for name, expected in self.expected().items():
            if expected is not None and name in self.outputs:
                np.testing.assert_array_equal(self.outputs[name], expected, err_msg=name)

    def refused(self, backward=0):
        """The status of a call that is refused, with every output as it was."""
        status = self.function(backward)(self.call)
        assert all(np.isnan(output).all() for output in self.outputs.values())
        assert (self.memory == 0xFF).all()
        return status
