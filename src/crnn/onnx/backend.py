"""crnn as an ONNX backend: crnn runs RNN, GRU and LSTM, and onnx's own NumPy code all others.

The functions follow `onnx.backend.base`. A model runs in `onnx.reference.ReferenceEvaluator`,
which implements every operator as the standard defines it. Its recurrent operators are replaced by
crnn's functions, with what the evaluator's own lack: relu and clip of RNN, and sequence_lens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, checker, helper
from onnx.backend.base import Backend, BackendRep, namedtupledict
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from crnn._words import one_line
from crnn.onnx import gated, rnn
from crnn.reference import Array

__all__ = [
    "CrnnBackend",
    "Prepared",
    "is_compatible",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]


class _Recurrence(OpRun):  # type: ignore[misc]
    """The operator RNN, GRU or LSTM. Its attributes are checked before anything runs."""

    op_domain = ""

    def __init__(self, onnx_node: NodeProto, run_params: dict[str, Any], schema: Any = None):
        super().__init__(onnx_node, run_params, schema)
        self._module: Any = gated if onnx_node.op_type in gated.GATED else rnn
        self._attributes = self._module.Attributes.of(onnx_node)

    @property
    def output(self) -> list[str]:
        """The outputs that have names; the evaluator would store an omitted one under ""."""
        return [name for name in self.onnx_node.output if name]

    def _run(self, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        found = self._module.forward(self._attributes, *inputs)
        named = zip(found, self.onnx_node.output, strict=False)
        return tuple(array for array, name in named if name)


_OPERATORS = [type(name, (_Recurrence,), {}) for name in ("RNN", *gated.GATED)]


class Prepared(BackendRep):  # type: ignore[misc]
    """A model that is ready to run, from `prepare`.

    Examples
    --------
    >>> import numpy as np, crnn, crnn.onnx.backend
    >>> model = crnn.RNN(2, 3, 4, rng=0)
    >>> prepared = crnn.onnx.backend.prepare(crnn.onnx.to_onnx(model))
    >>> [y.shape for y in prepared.run([np.ones((5, 1, 2), dtype="float32")])]
    [(1, 4)]
    """

    def __init__(self, model: ModelProto):
        self._evaluator = ReferenceEvaluator(_of_short_domain(model), new_ops=_OPERATORS)
        constants = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [name for name in self._evaluator.input_names if name not in constants]
        self._outputs = namedtupledict("Outputs", list(self._evaluator.output_names))

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Run the model once.

        Parameters
        ----------
        inputs : sequence of arrays, dict of str to array, or one array
            The graph's inputs: in its order, by name, or the only one.
        **kwargs
            None are accepted.

        Returns
        -------
        outputs : named tuple of arrays
            The graph's outputs, by position and by name.

        Raises
        ------
        ValueError
            If inputs are missing or too many, or do not fit the model's operators.
        TypeError
            If a keyword is given.

        Examples
        --------
        >>> import numpy as np, crnn, crnn.onnx.backend
        >>> graph = crnn.onnx.to_onnx(crnn.RNN(2, 3, 4, rng=0))
        >>> prepared = crnn.onnx.backend.prepare(graph)
        >>> outputs = prepared.run({"x": np.ones((5, 1, 2), dtype="float32")})
        >>> outputs._fields
        ('y_hat',)
        """
        if kwargs:
            raise TypeError(f"run: expected no keywords, got {sorted(kwargs)}")
        return self._outputs(*self._evaluator.run(None, _by_name(self._inputs, inputs)))  # type: ignore[no-any-return]


class CrnnBackend(Backend):  # type: ignore[misc]
    """The class that `onnx.backend.base` describes; its methods are this module's functions.

    Examples
    --------
    >>> from crnn.onnx.backend import CrnnBackend
    >>> CrnnBackend.supports_device("CPU"), CrnnBackend.supports_device("CUDA")
    (True, False)
    """

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether `prepare` accepts the model.

        Parameters
        ----------
        model : onnx.ModelProto
        device : str, optional
        **kwargs
            As for `prepare`.

        Returns
        -------
        bool

        Examples
        --------
        >>> import crnn
        >>> from crnn.onnx import backend, to_onnx
        >>> backend.is_compatible(to_onnx(crnn.RNN(3, 8, 2, rng=0)))
        True
        """
        try:
            cls.prepare(model, device, **kwargs)
        except (NotImplementedError, ValueError):
            return False
        return True

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Make a model ready to run many times.

        Parameters
        ----------
        model : onnx.ModelProto
        device : str, optional
            "CPU".
        **kwargs
            None are accepted.

        Returns
        -------
        Prepared
            Its `run` takes inputs and returns a named tuple of outputs.

        Raises
        ------
        ValueError
            If the model is not valid ONNX, or the device is not the CPU.
        NotImplementedError
            If it has an operator or an activation that is not supported; the message names it.
        TypeError
            If a keyword is given.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> from crnn.onnx import backend, to_onnx
        >>> ready = backend.prepare(to_onnx(crnn.RNN(3, 8, 2, rng=0)))
        >>> ready.run(np.zeros((5, 4, 3), "float32"))["y_hat"].shape
        (4, 2)
        """
        _check_device(device)
        if kwargs:
            raise TypeError(f"prepare: expected no keywords, got {sorted(kwargs)}")
        _check("model", super().prepare, model, device)
        return Prepared(model)

    @classmethod
    def run_model(
        cls, model: ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Array, ...]:
        """Run a model once.

        Parameters
        ----------
        model : onnx.ModelProto
        inputs : sequence of arrays, dict of str to array, or one array
            As for `Prepared.run`.
        device : str, optional
        **kwargs
            As for `prepare`.

        Returns
        -------
        outputs : named tuple of arrays

        Raises
        ------
        ValueError, TypeError, NotImplementedError
            As for `prepare` and `Prepared.run`.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> from crnn.onnx import backend, to_onnx
        >>> model = crnn.RNN(3, 8, 2, rng=0)
        >>> x = np.ones((5, 4, 3), "float32")
        >>> (y_hat,) = backend.run_model(to_onnx(model), [x])
        >>> bool(np.allclose(y_hat, model.predict_proba(x)))
        True
        """
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Any = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """Run one operator.

        Parameters
        ----------
        node : onnx.NodeProto
        inputs : sequence of arrays, dict of str to array, or one array
            The node's inputs that have names: in its order, by name, or the only one.
        device : str, optional
        outputs_info : object, optional
            Part of the convention; ignored.
        **kwargs
            `opset_version`, an int: the version of the operators, by default the newest that
            onnx knows.

        Returns
        -------
        outputs : named tuple of arrays
            The node's outputs that have names.

        Raises
        ------
        ValueError, TypeError, NotImplementedError
            As for `prepare` and `Prepared.run`.

        Examples
        --------
        >>> import numpy as np, onnx
        >>> from crnn.onnx import backend
        >>> node = onnx.helper.make_node("RNN", ["X", "W", "R"], ["", "Y_h"], hidden_size=1)
        >>> X = np.ones((3, 1, 2), "float32")             # T = 3, m = 1, n_x = 2
        >>> W, R = np.full((1, 1, 2), 0.25, "float32"), np.full((1, 1, 1), 0.5, "float32")
        >>> backend.run_node(node, [X, W, R])["Y_h"].round(4)
        array([[[0.6706]]], dtype=float32)
        """
        _check_device(device)
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        if kwargs:
            raise TypeError(f"run_node: expected opset_version alone, got {sorted(kwargs)}")
        _check("node", super().run_node, node, inputs, opset_version=version)
        names = list(dict.fromkeys(name for name in node.input if name))
        outputs = [name for name in node.output if name]
        # A function, not a graph: it needs no types.
        function = helper.make_function(
            "crnn", "node", names, outputs, [node], [helper.make_opsetid("", version)]
        )
        evaluator = ReferenceEvaluator(function, new_ops=_OPERATORS)
        found = evaluator.run(None, _by_name(names, inputs), attributes={})
        return namedtupledict("Outputs", outputs)(*found)  # type: ignore[no-any-return]

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether the device is the CPU.

        Parameters
        ----------
        device : str

        Returns
        -------
        bool

        Examples
        --------
        >>> from crnn.onnx import backend
        >>> backend.supports_device("CPU"), backend.supports_device("CUDA:0")
        (True, False)
        """
        return device.split(":")[0] == "CPU"


def _of_short_domain(model: ModelProto) -> ModelProto:
    """The model with "" for ONNX's own domain, whose other name the evaluator does not know."""
    if all(opset.domain != "ai.onnx" for opset in model.opset_import):
        return model
    found = ModelProto()
    found.CopyFrom(model)
    for item in [*found.opset_import, *found.graph.node]:
        item.domain = "" if item.domain == "ai.onnx" else item.domain
    return found


def _check(what: str, check: Any, *arguments: Any, **options: Any) -> None:
    """Call onnx's own method, which does nothing but check its arguments."""
    try:
        check(*arguments, **options)
    except checker.ValidationError as error:
        raise ValueError(f"{what}: not valid ONNX: {one_line(error)}") from None


def _check_device(device: str) -> None:
    if not CrnnBackend.supports_device(device):
        raise ValueError(f"device: expected 'CPU', got {device!r}")


def _by_name(names: list[str], inputs: Any) -> dict[str, Array]:
    """Inputs by name, from any of the three forms."""
    if isinstance(inputs, Mapping):
        given = dict(inputs)
        if set(given) != set(names):
            raise ValueError(f"inputs: expected {names}, got {[*given]}")
    else:
        values = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(values) != len(names):
            raise ValueError(f"inputs: expected {len(names)}, {names}, got {len(values)}")
        given = dict(zip(names, values, strict=True))
    return {name: np.asarray(value) for name, value in given.items()}


is_compatible = CrnnBackend.is_compatible
prepare = CrnnBackend.prepare
run_model = CrnnBackend.run_model
run_node = CrnnBackend.run_node
supports_device = CrnnBackend.supports_device
