"""The leaky cell, the GRU and the LSTM through the C interface."""

import ctypes
import re

import numpy as np
import pytest
from c_problem import CallProblem
from c_record import (
    ALIGNMENT,
    API,
    CELL,
    LEAK,
    LENGTH,
    NULL,
    OK,
    OPTION,
    SIZE,
    WORKSPACE,
    wrong_values,
)

from crnn.check import cells as check_cells

NUMBERS = {"leaky": 1, "gru": 2, "lstm": 3}  # enum crnn_cell
EQUATIONS = ("rate", "current")  # enum crnn_equation

EVERY_CELL = pytest.mark.parametrize("name", list(check_cells.CELLS))
KINDS = [
    {},
    {"lengths": True},
    {"reverse": True},
    {"integers": True},
    {"lengths": True, "reverse": True, "integers": True},
    {"initial": False},
]


class Problem(CallProblem):
    """A call of one of the other cells."""

    def __init__(self, name, T=7, m=3, n_x=5, n_a=6, **kind):
        self.p = p = check_cells.problem(name, T, m, n_x, n_a, **kind)
        units, lengths = len(p.arguments["Waa"]), p.options["lengths"]
        steps = T * m if lengths is None else int(lengths.sum())
        inputs = {**p.arguments, **p.initial, "da": p.da}
        shapes = {"a": (T, m, n_a), "kept": (check_cells.KEPT[p.cell] * steps * n_a,),
                  "dWaa": (units, n_a), "dWax": (units, n_x), "dba": (units,),
                  "da0": (m, n_a)}  # fmt: skip
        if p.cell == "gru":
            shapes["dbaa"] = (n_a,)
        if p.cell == "lstm":
            inputs["dc_n"] = p.dc_n
            shapes |= {"c_n": (m, n_a), "dc0": (m, n_a)}
        if p.cell == "leaky":
            inputs["leak"] = p.options["leak"]
        super().__init__(
            p.cell, (T, m, n_x, n_a), inputs, lengths, shapes,
            activation=p.options.get("activation") == "relu",
            reverse=p.options["reverse"],
            cell=NUMBERS[p.cell],
            equation=EQUATIONS.index(p.options.get("equation", "rate")),
            noise=p.noise.get("noise", 0),
            seed=p.noise.get("seed", 0),
        )  # fmt: skip

    def expected(self):
        return self.p.results()


@EVERY_CELL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_numbers_are_those_of_the_package(name, dtype, kind, table):
    Problem(name, dtype=dtype, **kind).assert_as_in_python()
    Problem(name, 1, 1, 1, 1, dtype=dtype, **kind).assert_as_in_python()


@EVERY_CELL
def test_forward_need_not_keep_anything(name):
    p, without = Problem(name), Problem(name)
    without.call.kept = without.call.c_n = None
    for problem in (p, without):
        problem.run(backward=0)
    np.testing.assert_array_equal(p.outputs["a"], without.outputs["a"])
    assert np.isnan(without.outputs["kept"]).all()


@EVERY_CELL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_that_are_not_wanted(name, dtype):
    p = Problem(name, dtype=dtype)
    p.assert_as_in_python()
    wanted = {output: p.outputs[output].copy() for output in ("dWaa", "dWax")}
    optional = [n for n in ("dba", "dbaa", "dx", "da0", "dc0") if n in p.outputs]
    for output in optional:
        p.outputs[output][...] = np.nan
        setattr(p.call, output, None)
    p.run(backward=1)
    for output, value in wanted.items():
        np.testing.assert_array_equal(p.outputs[output], value)
    assert all(np.isnan(p.outputs[output]).all() for output in optional)


@EVERY_CELL
def test_biases_that_are_absent_are_zeros(name):
    p = Problem(name)
    for bias in {"ba", "baa"} & set(p.inputs):
        p.inputs[bias][...] = 0
        setattr(p.call, bias, None)
    p.assert_as_in_python()


def test_the_gradient_of_the_last_cells_alone():
    """dc_n in place of a da that is zero."""
    p = Problem("lstm", lengths=True)
    p.inputs["da"][...] = 0
    p.assert_as_in_python()
    dense = {name: output.copy() for name, output in p.outputs.items()}
    p.call.da = None
    p.run(backward=1)
    for name, output in p.outputs.items():
        np.testing.assert_array_equal(output, dense[name], err_msg=name)


class TestRefused:
    @EVERY_CELL
    @pytest.mark.parametrize("cell", [-1, 0, 1, 2, 3, 4, 2**31 - 1])
    def test_a_call_of_another_cell(self, name, cell):
        p = Problem(name)
        if cell == p.call.cell:
            assert p.function(0)(p.call) == OK
            return
        p.call.cell = cell
        assert p.refused() == p.refused(backward=1) == CELL
        known = cell in (0, 1, 2, 3)
        assert API.rnn_workspace(p.call, 0, ctypes.c_size_t()) == (OK if known else CELL)

    @EVERY_CELL
    def test_by_the_functions_of_the_vanilla_cell(self, name):
        p = Problem(name)
        assert API.rnn_forward(p.call) == API.rnn_backward(p.call) == CELL
        p.call.cell = 0
        assert API.rnn_forward(p.call) == CELL  # fields of the other cell are set

    @EVERY_CELL
    @pytest.mark.parametrize(
        ("field", "value"),
        [(field, 8) for field in ("baa", "dbaa", "c0", "c_n", "dc_n", "dc0", "leak")]
        + [("noise", 0.5), ("seed", 1), ("equation", 1)],
    )
    def test_fields_of_another_cell(self, name, field, value):
        p = Problem(name)
        own = {"gru": ("baa", "dbaa"), "lstm": ("c0", "c_n", "dc_n", "dc0")}
        if field in own.get(p.p.cell, ("leak", "noise", "seed", "equation")):
            return
        setattr(p.call, field, value)
        assert p.refused() == p.refused(backward=1) == CELL

    @EVERY_CELL
    def test_options(self, name):
        for field, value in (("activation", 2), ("reverse", 2), ("threads", -1)):
            p = Problem(name)
            setattr(p.call, field, value)
            assert p.refused() == p.refused(backward=1) == OPTION
        p = Problem(name)
        p.call.activation = 1
        if p.p.cell != "leaky":
            assert p.refused() == p.refused(backward=1) == OPTION
            return
        p.call.equation = 2
        assert p.refused() == p.refused(backward=1) == OPTION

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("wrong", [0, -0.5, 1.0001, np.nan, np.inf])
    def test_leaks(self, dtype, wrong):
        p = Problem("rate", dtype=dtype)
        p.inputs["leak"][-1] = wrong
        assert p.refused() == p.refused(backward=1) == LEAK

    @pytest.mark.parametrize(
        ("dtype", "wrong"),
        [("float64", -1), ("float64", np.nan), ("float64", np.inf), ("float32", 1e39)],
    )
    def test_noise(self, dtype, wrong):
        p = Problem("current", dtype=dtype)
        p.call.noise = wrong
        assert p.refused() == p.refused(backward=1) == LEAK

    @EVERY_CELL
    def test_absent(self, name):
        for field in ("x", "Waa", "Wax", "a", "workspace"):
            p = Problem(name)
            setattr(p.call, field, None)
            assert p.refused() == p.refused(backward=1) == NULL
        for field in ("kept", "dWaa", "dWax"):
            p = Problem(name)
            setattr(p.call, field, None)
            assert p.refused(backward=1) == NULL
        p = Problem(name)
        p.call.da = p.call.dc_n = None
        assert p.refused(backward=1) == NULL

    def test_a_leaky_cell_without_leaks(self):
        p = Problem("rate")
        p.call.leak = None
        assert p.refused() == p.refused(backward=1) == NULL

    @EVERY_CELL
    def test_misaligned(self, name):
        forward = {"ba", "baa", "c_n", "a", "kept", "leak", "c0", "a0"}
        backward = {"a", "kept", "leak", "c0", "a0", "dbaa", "dc0", "dc_n", "dba", "dx"}
        for k, fields in enumerate((forward, backward)):
            for field in fields:
                p = Problem(name)
                if getattr(p.call, field) is not None:
                    setattr(p.call, field, getattr(p.call, field) + 4)
                    assert p.refused(backward=k) == ALIGNMENT, field

    @EVERY_CELL
    @pytest.mark.parametrize("kind", KINDS[:4], ids=str)
    def test_a_workspace_one_byte_too_small(self, name, kind):
        p = Problem(name, **kind)
        for backward in (0, 1):
            p.call.workspace_bytes = p.needed(backward) - 1
            assert p.refused(backward) == WORKSPACE

    @EVERY_CELL
    def test_sizes_and_lengths(self, name):
        for size, value in (("T", 2**59), ("n_a", 2**31 - 1), ("m", 0)):
            p = Problem(name)
            setattr(p.call, size, value)
            assert p.refused() == p.refused(backward=1) == SIZE
        p = Problem(name, lengths=True)
        p.inputs["lengths"][1] = 8
        assert p.refused() == p.refused(backward=1) == LENGTH


@EVERY_CELL
@pytest.mark.parametrize("backward", [0, 1])
def test_the_words_of_a_status_name_the_field(name, backward):
    p, refused = Problem(name), set()
    for field in wrong_values(p.call):
        status = p.function(backward)(p.call)
        if status != OK:
            refused.add(field)
            words = API.status_message(status).decode()
            assert re.search(rf"\b{field}\b", words), f"{field}: {words}"
    assert refused >= {"struct_size", "dtype", "T", "n_a", "x", "Wax", "a", "workspace", "kept"}
    assert refused >= ({"dWaa", "norms", "da"} if backward else {"ba"})
