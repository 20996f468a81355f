"""The base class of `crnn.RNN`: its network and parameters, and how it is copied."""

from __future__ import annotations

from typing import Any, Self

from crnn._network.arena import Views
from crnn._network.config import Config
from crnn._network.network import Network
from crnn.reference import Array, stack

#: The attributes that are not copied: a copy builds its own.
_BUILT = ("_network", "_memory", "_trainer", "metadata")


class Model:
    """A network with metadata, to which other modules add the methods of `crnn.RNN`."""

    _network: Network
    metadata: dict[str, str]

    def _build(self, config: Config) -> None:
        self._network = Network(config)
        self.metadata = {}

    @classmethod
    def _of(cls, config: Config, parameters: dict[str, Array], metadata: dict[str, str]) -> Self:
        model = cls.__new__(cls)
        model._build(config)
        for name, value in parameters.items():
            model.parameters[name] = value
        model.metadata.update(metadata)
        return model

    def __getstate__(self) -> Any:
        """What copies and pickles keep besides the configuration, parameters and metadata."""
        state = super().__getstate__()  # a dict, or a dict and a subclass's slots
        own, *slots = state if isinstance(state, tuple) else (state,)
        own = {name: value for name, value in own.items() if name not in _BUILT}
        return (own, *slots) if slots else own

    def __reduce__(self) -> tuple[Any, ...]:
        # In a copy too, the parameters must be views of one arena, so the copy builds a new one.
        parts = self.config, dict(self.parameters), self.metadata
        return self._of, parts, self.__getstate__()

    def __repr__(self) -> str:
        shown = self.config.entries() | {"loss": self.config.loss}
        arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"RNN({arguments})"

    @property
    def config(self) -> Config:
        """The constructor's arguments."""
        return self._network.config

    @property
    def parameters(self) -> Views:
        """Views by name; assigning to a name copies values into its view."""
        return self._network.parameters

    @property
    def Wa(self) -> Array:
        """``[Waa | Wax]`` of a single layer, side by side: a copy, (n_a, n_a + n_x)."""
        if "Waa" not in self.parameters:
            raise AttributeError("Wa: expected a model of one layer and one direction")
        return stack(self.parameters["Waa"], self.parameters["Wax"])
