"""Time models that to_onnx writes in ONNX Runtime, in crnn.onnx.backend and as a crnn.RNN.

    python bench/onnx_backend.py

Milliseconds per call on one thread, for a classifier of 10 classes after the last step, with each
cell that ONNX has. The implementations take turns; the results are medians over the turns. The
vanilla cell is also timed with a clip that is never reached, and with one that is reached from the
first step on.
"""

import numpy as np
import onnxruntime
from onnx import helper

import crnn
from crnn.benchmark.clock import time_calls
from crnn.onnx import backend, to_onnx

SHAPES = [(100, 1, 32, 32), (100, 1, 128, 128), (100, 32, 128, 128)]  # T, m, n_x, n_a
CLIPS = {"": None, "clip 50": 50.0, "clip 0.1": 0.1}  # crnn clips in the vanilla cell only
KINDS = [("vanilla", clip) for clip in CLIPS] + [("gru", ""), ("lstm", "")]
TURNS, SECONDS = 9, 0.05


def session(proto):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def ways_of(cell, clip, T, m, n_x, n_a):
    """A function without arguments for each implementation, checked to give the same numbers."""
    model = crnn.RNN(n_x, n_a, 10, cell=cell, rng=0)
    x = np.random.default_rng(0).standard_normal((T, m, n_x)).astype("float32")
    proto = to_onnx(model)
    if clip is not None:
        proto.graph.node[0].attribute.append(helper.make_attribute("clip", clip))
    theirs, ours = session(proto), backend.prepare(proto)
    (expected,) = theirs.run(None, {"x": x})
    assert np.allclose(ours.run(x)[0], expected, atol=1e-5), "not the same numbers"
    ways = {"onnxruntime": lambda: theirs.run(None, {"x": x}), "backend": lambda: ours.run(x)}
    return ways | ({"crnn.RNN": lambda: model.predict_proba(x)} if clip is None else {})


def main():
    crnn.set_num_threads(1)
    for cell, clip in KINDS:
        for shape in SHAPES:
            ways = ways_of(cell, CLIPS[clip], *shape)
            times = [[time_calls(call, SECONDS) for call in ways.values()] for _ in range(TURNS)]
            figures = zip(ways, 1e3 * np.median(times, axis=0), strict=True)
            print(f"{cell:8} {' x '.join(map(str, shape)):20} {clip:8}",
                  *(f"{way} {figure:8.3f}" for way, figure in figures), sep="   ")  # fmt: skip


if __name__ == "__main__":
    main()
