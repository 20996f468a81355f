"""Follows the graph of any exporter, to find its cells and what each of them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto

from crnn._words import one_line
from crnn.onnx import backend, head, links, pools, recurrence, states, symbols
from crnn.onnx.numbers import LARGEST, Ledger, Rows
from crnn.onnx.parts import Cell, Followed, Input, LastCell, Linear, Symbols
from crnn.onnx.room import Room
from crnn.onnx.tensors import array_of, refuse_external
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

#: What reads the other operators with one output, from the input to the end of the graph.
_READERS: dict[str, Callable[..., Array]] = {
    **symbols.READERS, **pools.READERS, **head.READERS, **links.READERS,
}  # fmt: skip


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
        if node.op_type in recurrence.READERS:
            found = recurrence.READERS[node.op_type](self, node, *inputs)
            each = zip(found, node.output, strict=False)
            return [Followed(numbers) for numbers, name in each if name]
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

    # What the readers of operators ask.

    def final_steps(self, reverse: bool) -> Array:
        """The step, (m,), after which a cell's state is the final one."""
        if reverse:
            return np.zeros(self.m, int)
        return np.full(self.m, self.T - 1) if self.lengths is None else self.lengths - 1

    def final_rows(self, cell: Cell) -> Array:
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
        if isinstance(rows.of, Cell) and np.array_equal(which, self.final_rows(rows.of)):
            return rows.of, 0
        return None

    @property
    def valid(self) -> Array:
        """Which steps are within an example's length: (T, m)."""
        lengths = np.full(self.m, self.T) if self.lengths is None else self.lengths
        return np.arange(self.T)[:, None] < lengths

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


def _each_once(which: Array, n: int) -> bool:
    return np.array_equal(np.sort(which, axis=None), np.arange(n))
