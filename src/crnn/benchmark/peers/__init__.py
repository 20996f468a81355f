"""The implementations that crnn is compared with, one module each, each in its fastest form."""

from __future__ import annotations

from crnn.benchmark.peers.crnn import Crnn
from crnn.benchmark.peers.jax import Jax
from crnn.benchmark.peers.keras import Keras
from crnn.benchmark.peers.numpy import Numpy
from crnn.benchmark.peers.onednn import OneDnn
from crnn.benchmark.peers.onnxruntime import OnnxRuntime
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.benchmark.peers.torch import Torch
from crnn.benchmark.peers.torch_compiled import TorchCompiled

__all__ = ["OURS", "PEERS", "Peer", "Prepared", "find"]

#: What the peers are compared with.
OURS = Crnn.name

#: In the order of the table.
PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        Torch,
        TorchCompiled,
        Jax,
        OnnxRuntime,
        OneDnn,
        Keras,
        Numpy,
    )
}


def find(name: str) -> type[Peer]:
    """The implementation called `name`. Raises KeyError if there is none."""
    return Crnn if name == OURS else PEERS[name]
