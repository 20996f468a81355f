"""ONNX: models written and read, and an ONNX backend whose operator RNN is crnn's.

It needs onnx: ``pip install "crnn[onnx]"``. The backend is the module `crnn.onnx.backend`.
"""

from crnn._extras import extra

with extra("onnx", "ONNX"):
    from crnn.onnx.reader import from_onnx
    from crnn.onnx.writer import to_onnx

__all__ = ["from_onnx", "to_onnx"]
