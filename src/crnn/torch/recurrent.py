"""The base class of the drop-ins: it reads the input, and runs layers and directions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from crnn._engine.packed import PackedWeights
from crnn._engine.sequence import lengths_of
from crnn.torch.arrays import array_of
from crnn.torch.checks import warn_once, why_equations, why_torch
from crnn.torch.gradients import in_plain_eager_mode

__all__ = ["SHORTEST", "Recurrent"]

#: Sequences of fewer steps are left to torch, which is faster there: a call of crnn takes as long
#: as some of torch's steps.
SHORTEST = 8

#: Fewer weights than this are packed again in every call, which takes about as long as to see
#: whether they have changed. An LSTM of 512 units has twice as many: 20 steps of one example take
#: 2.4 ms instead of 2.7, 100 steps take 8.0 either way.
MANY = 1 << 20


class Packed(NamedTuple):
    """The examples of packed rows: `first` and `last` are the rows of their first and last steps.

    Both are in the order of h_n; without `first`, the first steps are the first m rows.
    """

    lengths: Tensor | None = None
    first: Tensor | None = None
    last: Tensor | None = None


class Recurrent(torch.nn.RNNBase):  # type: ignore[misc]
    """What the three classes share: reading the input, layers and directions.

    States are tuples: (a,), or (a, c) of an LSTM.
    """

    _torchs: type[torch.nn.RNNBase]  # torch's own class
    _count = 1  # states
    #: One layer in one direction: all states a, perhaps followed by the last c.
    _compute: Callable[..., Any]
    _by_equations: Callable[..., Any]  # the same in torch's own operations

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a sequence, by crnn or, where that cannot, by torch: see the subclasses."""
        first = hx if isinstance(hx, (tuple, list)) else (hx,)
        if any(isinstance(value, Proxy) for value in (input, *first)):
            tracer = next(v for v in (input, *first) if isinstance(v, Proxy)).tracer
            return self._call_in_graph(tracer, input, hx)
        given = None if hx is None else self._states_of(hx)
        fits = self._has_torchs_options() and self._has_the_shapes(input, hx, given)
        if torch.onnx.is_in_onnx_export() or not fits:
            return self._torchs.forward(self, input, hx)
        data = input.data if isinstance(input, PackedSequence) else input
        weights = self.all_weights
        tensors = [data, *(given or ()), *chain.from_iterable(weights)]
        if reason := self._why_torch() or why_torch(tensors):
            result = self._torchs.forward(self, input, hx)  # or its error
            warn_once(reason)
            return result
        layer = self._compute
        if reason := why_equations(tensors):
            warn_once(reason)
            layer = self._by_equations
        elif self._is_short(input):
            return self._torchs.forward(self, input, hx)
        if isinstance(input, PackedSequence):
            output, last = self._run_packed(layer, weights, input, given)
            return output, self._as_hx(last)
        one = data.dim() == 2
        if one:
            x = data[:, None]
            given = None if given is None else tuple(s[:, None] for s in given)
        else:
            x = data.transpose(0, 1) if self.batch_first else data
        output, last = self._run(layer, weights, x.contiguous(), given, Packed())
        if one:
            return output[:, 0], self._as_hx(tuple(s[:, 0] for s in last))
        return output.transpose(0, 1) if self.batch_first else output, self._as_hx(last)

    def _inputs(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Any, ...]:
        """The arguments of one layer in one direction, for `_compute` and `_by_equations`."""
        raise NotImplementedError

    def _why_torch(self) -> str | None:
        """The option of this module that crnn does not support, or None."""
        return f"proj_size of {type(self).__name__}" if self.proj_size else None

    def _states_of(self, hx: Any) -> tuple[Any, ...] | None:
        """hx as a tuple of states, or None if it is not of their number."""
        return (hx,)

    def _as_hx(self, states: tuple[Tensor, ...]) -> Any:
        return states[0]

    def __prepare_scriptable__(self) -> Any:
        """torch.jit.script calls this first."""
        raise RuntimeError(
            f"crnn.torch.{type(self).__name__} cannot be compiled by torch.jit.script: use "
            f"torch.compile or torch.export, or script a torch.nn.{type(self).__name__} of the "
            "same arguments that has loaded this module's state_dict"
        )

    def _call_in_graph(self, tracer: Any, *arguments: Any) -> Any:
        """One node for the whole module in a graph of torch.fx, as torch's own modules are."""
        if self is getattr(tracer, "root", None):  # then torch.fx looks inside, and finds nothing
            return self._torchs.forward(self, *arguments)
        path = tracer.path_of_module(self)
        return tracer.create_proxy("call_module", path, arguments, {})

    def _has_torchs_options(self) -> bool:
        """Whether torch, which builds a module with any bidirectional, will call it, too."""
        flags = self.bias, self.batch_first, self.bidirectional
        return all(type(flag) is bool for flag in flags) and type(self.num_layers) is not bool

    def _has_the_shapes(self, input: Any, hx: Any, given: tuple[Any, ...] | None) -> bool:
        """Whether input and states fit and are not empty. If not, torch raises the error."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        if x.dim() not in ((2,) if packed else (2, 3)):
            return False
        if x.shape[-1] != self.input_size or x.numel() == 0:
            return False
        if hx is None:
            return True
        if given is None:
            return False
        cells = self.num_layers * (2 if self.bidirectional else 1)
        shape = [cells, self.hidden_size]
        if packed:
            shape.insert(1, int(input.batch_sizes[0]))
        elif x.dim() == 3:
            shape.insert(1, x.shape[0 if self.batch_first else 1])
        return all(isinstance(s, Tensor) and list(s.shape) == shape for s in given)

    def _is_short(self, input: Any) -> bool:
        """Whether there are so few steps that torch is faster, because of crnn's call overhead."""
        if torch.compiler.is_compiling():  # torch's own class would break its graph
            return False
        if isinstance(input, PackedSequence):
            T = len(input.batch_sizes)
        else:
            T = input.shape[1 if self.batch_first and input.dim() == 3 else 0]
        return T < SHORTEST

    def _run_packed(
        self,
        layer: Callable[..., Any],
        weights: list[list[Tensor]],
        packed: PackedSequence,
        given: tuple[Tensor, ...] | None,
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        """Run a PackedSequence. The examples stay in its order, by decreasing length."""
        x, batch_sizes, order, order_back = packed
        if given is not None and order is not None:
            given = tuple(s.index_select(1, order) for s in given)
        lengths, last = map(torch.from_numpy, lengths_of(array_of("batch_sizes", batch_sizes)))
        if order_back is not None:
            last = last.index_select(0, order_back)
        examples = Packed(lengths, order_back, last)
        output, states = self._run(layer, weights, x, given, examples)
        return PackedSequence(output, batch_sizes, order, order_back), states

    def _run(
        self,
        layer: Callable[..., Any],
        weights: list[list[Tensor]],
        x: Tensor,
        given: tuple[Tensor, ...] | None,
        packed: Packed,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Every layer in every direction: x (T, m, n_x) or (rows, n_x), states (cells, m, n_a)."""
        n = 2 if self.bidirectional else 1
        prepared = self._prepared(layer, weights, x)
        finals: list[tuple[Tensor, ...]] = []
        for below in range(0, len(weights), n):
            if below > 0 and self.training and self.dropout > 0:
                x = torch.nn.functional.dropout(x, self.dropout)
            states = []
            for k in range(below, below + n):
                reverse = k > below
                first = (None, None) if given is None else tuple(s[k] for s in given)
                inputs = self._inputs(x, weights[k], first, packed.lengths, reverse)
                found = layer(*inputs, **prepared[k])
                a, *others = (found if isinstance(found, tuple) else (found,))[: self._count]
                if packed.first is not None:  # in the order of h_n
                    others = [s.index_select(0, packed.first) for s in others]
                states.append(a)
                finals.append((_final(a, reverse, packed), *others))
            x = states[0] if n == 1 else torch.cat(states, -1)  # (..., n * n_a)
        return x, tuple(torch.stack(each) for each in zip(*finals, strict=True))

    def _prepared(
        self, layer: Callable[..., Any], weights: list[list[Tensor]], x: Tensor
    ) -> list[dict[str, Any]]:
        """What `layer` takes besides its inputs, for each layer and direction.

        In plain calls without gradients that are the weights as an earlier call has packed them.
        """
        nothing: list[dict[str, Any]] = [{} for _ in weights]
        if torch.is_grad_enabled() or layer is not self._compute or not in_plain_eager_mode():
            return nothing
        every = [*chain.from_iterable(weights)]
        if sum(w.numel() for w in every) < MANY:
            return nothing
        held: PackedWeights = self.__dict__.setdefault("_crnn_packed", PackedWeights())
        arrays = [array_of("weight", w) for w in every]
        packed = held.of(arrays, len(weights), x.shape[:-1].numel())
        return [{"packed": each} for each in packed]


def _final(a: Tensor, reverse: bool, packed: Packed) -> Tensor:
    """Each example's state after the last step that was read, (m, n_a)."""
    if packed.last is None:
        return a[0 if reverse else -1]
    if not reverse:
        return a.index_select(0, packed.last)
    m = len(packed.last)
    return a[:m] if packed.first is None else a.index_select(0, packed.first)
