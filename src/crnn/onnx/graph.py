"""Follows the graph of any exporter, to find its cells and what each of them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, helper

from crnn._words import one_line
from crnn.onnx import backend, gated, links, pools, rnn, states
from crnn.onnx.numbers import LARGEST, LOWEST, Ledger, Rows
from crnn.onnx.room import Room
from crnn.onnx.tensors import array_of, dtype_of, refuse_external
from crnn.reference import Array

#: Operators that move values without changing them, and which of their inputs they move.
_MOVES = {
    "Concat": "all",
    **dict.fromkeys(
        ["Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape",
         "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"],
        "first",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Input:
    """The input of the first layer: rows of x, or rows of a table selected by the integers of x."""

    table: Array | None  # (symbols, n_x); None: x itself, or one-hot rows


@dataclass(frozen=True)
class Symbols:
    """The integers of x, before a node looks them up in a table."""


@dataclass(frozen=True)
class Cell:
    """One direction of a recurrent node; its rows are states, numbered by step and example."""

    below: list[Rows]  # of an Input, or of one cell or more
    reverse: bool
    activation: str
    Waa: Array
    Wax: Array
    ba: Array
    kind: str = "vanilla"  # or "gru", "lstm"
    baa: Array | None = None  # of a GRU
    starts: tuple[states.Place, ...] = ()  # one per state; none: from zeros


@dataclass(frozen=True)
class LastCell:
    """Y_c of one direction of a node LSTM, which no node may read; its rows are examples."""

    of: Cell


@dataclass(frozen=True)
class Linear:
    """``Wya a + by``, and what is made of it; its rows are numbered by (step and) example."""

    below: list[Rows]  # of cells
    steps: str
    Wya: Array
    by: Array
    link: str = "linear"  # as `crnn._network.losses` names it


@dataclass
class Followed:
    """The numbers (see `crnn.onnx.numbers`) of values that depend on x."""

    numbers: Array


class Graph:
    """The nodes of a model, run on numbers for an input of one size.

    Parameters
    ----------
    model : onnx.ModelProto
        Checked.
    x : str
        The graph's input that is followed.
    symbols : bool
        Whether x has integers.
    shape : tuple of int
        Of x: T and m in either order, and n_x unless x has integers.
    known : dict of str to array
        The graph's other inputs.
    lengths : array (m,) or None
        What sequence_lens must be, unless all T steps count.
    initial : dict of str to tuple of int
        The shapes of the inputs that are states, (m, n_a) or (k, m, n_a).

    Attributes
    ----------
    starts : dict of str to int
        How many states (m, n_a) each of these inputs has.
    """

    def __init__(
        self,
        model: ModelProto,
        x: str,
        symbols: bool,
        shape: tuple[int, ...],
        known: dict[str, Array],
        lengths: Array | None,
        initial: Mapping[str, tuple[int, ...]],
    ):
        self.ledger, self.lengths = Ledger(), lengths
        self.of_numbers, self.of_constants = Room(LARGEST), Room(2**24 + model.ByteSize())
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
        self.sizes = shape[:2]
        self.T, self.m = 0, 0  # known from the first node RNN
        width, of = (1, Symbols()) if symbols else (shape[2], Input(None))
        rows = self.ledger.rows(shape[0] * shape[1], width, of)
        constants = {tensor.name: array_of(tensor) for tensor in model.graph.initializer}
        self.values: dict[str, Any] = {
            "": None, **constants, **known, x: Followed(rows.numbers.reshape(shape))
        }  # fmt: skip
        self.starts = {name: 1 if len(shape) == 2 else shape[0] for name, shape in initial.items()}
        for name, shape in initial.items():
            rows = self.ledger.rows(int(np.prod(shape[:-1])), shape[-1], states.Start(name))
            self.values[name] = Followed(rows.numbers.reshape(shape))
        for node in model.graph.node:
            self._run(node)

    def final_steps(self, reverse: bool) -> Array:
        """The step, (m,), after which a cell's state is the final one."""
        if reverse:
            return np.zeros(self.m, int)
        return np.full(self.m, self.T - 1) if self.lengths is None else self.lengths - 1

    def _final_rows(self, cell: Cell) -> Array:
        """Which of a cell's rows are the final states (m,)."""
        return self.final_steps(cell.reverse) * self.m + np.arange(self.m)

    def final_state(self, numbers: Array) -> tuple[Cell, int] | None:
        """The cell whose final state these numbers (m, n_a) are, and which of its states."""
        found = self.ledger.whole_rows(numbers) or []
        if len(found) != 1:
            return None
        rows, which = found[0]
        if isinstance(rows.of, LastCell):
            return (rows.of.of, 1) if np.array_equal(which, np.arange(self.m)) else None
        if isinstance(rows.of, Cell) and np.array_equal(which, self._final_rows(rows.of)):
            return rows.of, 0
        return None

    @property
    def valid(self) -> Array:
        """Which steps are within an example's length: (T, m)."""
        lengths = np.full(self.m, self.T) if self.lengths is None else self.lengths
        return np.arange(self.T)[:, None] < lengths

    @staticmethod
    def is_cell(rows: Rows) -> bool:
        """Whether these rows are the states of a cell."""
        return isinstance(rows.of, Cell)

    def _run(self, node: NodeProto) -> None:
        try:
            if node.domain not in ("", "ai.onnx"):
                raise ValueError(f"crnn has no operators of the domain {node.domain}")
            inputs = [self.values[name] for name in node.input]
            outputs = self._outputs(node, inputs)
        except Exception as error:  # NumPy and onnx raise many kinds for a graph that cannot run
            called = f"{node.op_type} {node.name!r}" if node.name else node.op_type
            raise ValueError(f"{called}: {one_line(error)}") from error
        self.values.update(zip(filter(None, node.output), outputs, strict=True))

    def _outputs(self, node: NodeProto, inputs: list[Any]) -> Iterable[Any]:
        """The values of the outputs that have names."""
        followed = [isinstance(value, Followed) for value in inputs]
        if node.op_type in ("RNN", "GRU", "LSTM"):
            each = zip(self._recurrence(node, *inputs), node.output, strict=False)
            return [numbers for numbers, name in each if name]
        if node.op_type in ("Shape", "Size") or not any(followed):
            return self._evaluated(node, inputs)
        if node.op_type in _MOVES and followed[0]:
            if any(followed[1:]) if _MOVES[node.op_type] == "first" else not all(followed):
                raise ValueError(
                    "uses the input as an index or a shape, or mixes it with constants"
                )
            return [Followed(numbers) for numbers in self._evaluated(node, inputs)]
        if node.op_type in _READERS:
            return [Followed(_READERS[node.op_type](self, node, *inputs))]
        raise ValueError("crnn.RNN has no such operator after its input")

    def _evaluated(self, node: NodeProto, inputs: list[Any]) -> tuple[Array, ...]:
        """The operator's result for constants, or for numbers."""
        if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in node.attribute):
            raise ValueError("crnn does not run the graph inside of a node")  # it may never end
        for attribute in node.attribute:
            refuse_external(attribute.t)
        arrays = [v.numbers if isinstance(v, Followed) else v for v in inputs if v is not None]
        named = {name: a for name, a in zip(filter(None, node.input), arrays, strict=True)}
        follows = any(isinstance(value, Followed) for value in inputs)
        (self.of_numbers if follows else self.of_constants).take(node, named, self.opset)
        return backend.run_node(node, named, opset_version=self.opset)

    # The recurrence.

    def _recurrence(
        self,
        node: NodeProto,
        X: Any,
        W: Any,
        R: Any,
        B: Any = None,
        sequence_lens: Any = None,
        *initial: Any,
    ) -> tuple[Followed, ...]:
        if any(isinstance(value, Followed) for value in (W, R, B)):
            raise ValueError("W, R, B: expected constants")
        module: Any = rnn if node.op_type == "RNN" else gated
        batch_first, kinds = module.cells_of(node, W, R, B)
        if not isinstance(X, Followed):
            raise ValueError("X: expected the input or the states of the layer below")
        x = X.numbers.swapaxes(0, 1) if batch_first else X.numbers
        if x.shape[2] != W.shape[2]:
            raise ValueError(f"X: expected {W.shape[2]} inputs, as W has columns, got {x.shape[2]}")
        below = self._below(x)
        self._check_lengths(sequence_lens)
        starts = states.begun(self, node.op_type, batch_first, len(kinds), initial)
        every, last, last_c = [], [], []
        for kind, start in zip(kinds, starts, strict=True):
            cell = Cell(below, **kind, starts=start)
            n_a = cell.Waa.shape[1]
            rows = self.ledger.rows(self.T * self.m, n_a, cell)
            every.append(rows.numbers.reshape(self.T, self.m, n_a))
            last.append(rows.numbers[self._final_rows(cell)])
            last_c.append(self.ledger.rows(self.m, n_a, LastCell(cell)).numbers)
        Y = np.stack(every, axis=1)  # (T, D, m, n_a)
        Y_h, Y_c = np.stack(last), np.stack(last_c)  # (D, m, n_a)
        if batch_first:
            Y, Y_h, Y_c = Y.transpose(2, 0, 1, 3), Y_h.swapaxes(0, 1), Y_c.swapaxes(0, 1)
        return Followed(Y), Followed(Y_h), Followed(Y_c)

    def _below(self, x: Array) -> list[Rows]:
        """What X (T, m, n) consists of: the input, or states of cells, in their original order."""
        T, m = x.shape[:2]
        if T == 1:
            raise ValueError(
                "X: the graph has a single step: export it with several, or a symbolic T"
            )
        found = self.ledger.whole_rows(x) or []
        kinds = [type(rows.of) for rows, _ in found]
        if kinds != [Input] and set(kinds) != {Cell}:
            raise ValueError("X: expected the input or the states of the layer below, in order")
        in_order = np.arange(T * m).reshape(T, m)
        if kinds == [Input]:
            if (T, m) != self.sizes or not np.array_equal(found[0][1], in_order):
                in_order = np.arange(T * m).reshape(m, T).T  # x has its examples first
            self.T, self.m = T, m
        if (T, m) != (self.T, self.m) or any((which != in_order).any() for _, which in found):
            raise ValueError("X: expected every step and example in its original order")
        return [rows for rows, _ in found]

    def _check_lengths(self, sequence_lens: Any) -> None:
        every_step = np.full(self.m, self.T)
        expected = every_step if self.lengths is None else self.lengths
        given = every_step if sequence_lens is None else sequence_lens
        if isinstance(given, Followed) or not np.array_equal(given, expected):
            raise ValueError("sequence_lens: expected the graph's input of lengths, or none")

    # The input.

    def _symbols(self, indices: Any) -> Array:
        """The index of the integer of x at each position."""
        if not isinstance(indices, Followed):
            raise ValueError("expected indices that are the integers of x, got constants")
        found = self.ledger.whole_rows(indices.numbers[..., None])
        if found is None or not isinstance(found[0][0].of, Symbols):
            raise ValueError("expected indices that are the integers of x")
        return found[0][1]

    def _one_hot(self, node: NodeProto, indices: Any, depth: Any, values: Any) -> Array:
        which = self._symbols(indices)
        if _attribute(node, "axis", -1) not in (-1, which.ndim) or [*values] != [0, 1]:
            raise ValueError("expected rows of 0 and 1 along the last axis")
        return self._rows_of_input(which, int(np.ravel(depth)[0]), None)

    def _gather(self, node: NodeProto, table: Any, indices: Any) -> Array:
        which = self._symbols(indices)
        if isinstance(table, Followed) or table.ndim != 2 or _attribute(node, "axis", 0) != 0:
            raise ValueError("expected rows of a constant table")
        return self._rows_of_input(which, table.shape[1], table)

    def _rows_of_input(self, which: Array, n_x: int, table: Array | None) -> Array:
        rows = self.ledger.rows(self.sizes[0] * self.sizes[1], n_x, Input(table))
        return rows.numbers[which]

    def _cast(self, node: NodeProto, value: Any) -> Array:
        kind = dtype_of("to", _attribute(node, "to", None)).kind
        self._symbols(value)
        if kind not in "iu":
            raise ValueError("expected the integers of x to stay integers")
        return value.numbers  # type: ignore[no-any-return]

    # The output layer.

    def _gemm(self, node: NodeProto, A: Any, B: Any, C: Any = None) -> Array:
        if _attribute(node, "transA", 0):
            raise ValueError("transA: expected 0")
        alpha, beta = _attribute(node, "alpha", 1.0), _attribute(node, "beta", 1.0)
        B = B if isinstance(B, Followed) or not _attribute(node, "transB", 0) else B.T
        logits = self._matmul(node, A, B, alpha)
        return logits if C is None else self._add(node, Followed(logits), C, beta)

    def _matmul(self, node: NodeProto, A: Any, B: Any, alpha: float = 1.0) -> Array:
        if not isinstance(A, Followed) or isinstance(B, Followed) or B.ndim != 2:
            raise ValueError("expected states times a constant matrix")
        if len(B) != A.numbers.shape[-1]:
            raise ValueError(
                f"expected a matrix for {A.numbers.shape[-1]} states, got {len(B)} rows"
            )
        found = self.ledger.whole_rows(A.numbers)
        if found is None or not all(isinstance(rows.of, (Cell, pools.Pool)) for rows, _ in found):
            raise ValueError("expected the states of the top layer, the directions side by side")
        if any(isinstance(rows.of, pools.Pool) for rows, _ in found):
            below, steps, which = pools.features(self, found)
        else:
            below = [rows for rows, _ in found]
            steps, which = self.places(found)
        Wya = B.T if alpha == 1.0 else B.T * B.dtype.type(alpha)
        linear = Linear(below, steps, Wya, np.zeros(len(Wya), Wya.dtype))
        count = self.T * self.m if steps == "all" else self.m
        return self.ledger.rows(count, len(Wya), linear).numbers[which]

    def places(self, found: list[tuple[Rows, Array]]) -> tuple[str, Array]:
        """Whether these are each cell's final states or those of all steps, and their rows."""
        which = [which for _, which in found]
        example = which[0] % self.m
        final = [self.final_steps(rows.of.reverse)[example] * self.m + example for rows, _ in found]
        if _each_once(example, self.m) and all(map(np.array_equal, which, final)):
            return "last", example
        if _each_once(which[0], self.T * self.m) and all(
            np.array_equal(w, which[0]) for w in which
        ):
            return "all", which[0]
        raise ValueError(
            "expected the states of every step, or each direction's after its last valid step "
            "(with lengths that is Y_h; of a reverse direction it is step 0). A graph that reads "
            "the last step of both directions, as torch's out[:, -1], is the last step of a model "
            "with steps='all': export it without that selection, and select from y_hat"
        )

    def _add(self, node: NodeProto, a: Any, b: Any, beta: float = 1.0) -> Array:
        value, constant = (a, b) if isinstance(a, Followed) else (b, a)
        rows, which = self.answers(value, "Wya a<t>")
        if (
            isinstance(constant, Followed)
            or constant.size not in (1, rows.width)
            or constant.shape[:-1] != (1,) * (constant.ndim - 1)
            or constant.ndim > which.ndim + 1
        ):
            raise ValueError("expected a constant of one number per output")
        if constant.dtype != rows.of.by.dtype:
            raise ValueError(f"expected {rows.of.by.dtype} as in Wya, got {constant.dtype}")
        by = rows.of.by + constant.dtype.type(beta) * constant.reshape(-1)
        return self.ledger.rows(rows.count, rows.width, replace(rows.of, by=by)).numbers[which]

    def answers(self, value: Any, what: str) -> tuple[Rows, Array]:
        """The rows of an output layer that a value consists of; raises ValueError."""
        found = self.ledger.whole_rows(value.numbers)
        if (
            found is None
            or not isinstance(found[0][0].of, Linear)
            or found[0][0].of.link != "linear"
        ):
            raise ValueError(f"expected {what} of an output layer")
        return found[0]

    def _where(self, node: NodeProto, condition: Any, a: Any, b: Any) -> Array:
        """Zeros or -inf past an example's length; or standard deviations among means."""
        if isinstance(b, Followed) and not isinstance(condition, Followed):
            return links.where(self, node, condition, a, b)
        constants = not isinstance(condition, Followed) and not isinstance(b, Followed)
        if constants and np.isneginf(b).all():
            return np.where(condition, a.numbers, LOWEST)
        if not constants or b.any():
            raise ValueError(
                "expected values of the model where a constant condition holds, else 0 or -inf"
            )
        return np.where(condition, a.numbers, 0)


_READERS: dict[str, Callable[..., Array]] = {
    "Add": Graph._add,
    "Cast": Graph._cast,
    "Gather": Graph._gather,
    "Gemm": Graph._gemm,
    "MatMul": Graph._matmul,
    "OneHot": Graph._one_hot,
    "Where": Graph._where,
    **links.READERS,
    **pools.READERS,
}


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return (
        helper.get_node_attr_value(node, name)
        if any(attribute.name == name for attribute in node.attribute)
        else default
    )


def _each_once(which: Array, n: int) -> bool:
    return np.array_equal(np.sort(which, axis=None), np.arange(n))
