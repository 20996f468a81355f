"""Print the differences of a compiled module and its gradients from those of torch.nn.RNN."""

import torch
import torch._dynamo.exc
from torch._inductor import exc

import crnn.torch

# Older versions of torch raise one error for all backends.
InductorError = getattr(exc, "InductorError", torch._dynamo.exc.BackendCompilerFailed)

torch.manual_seed(0)
theirs = torch.nn.RNN(3, 5, num_layers=2)
mine = crnn.torch.RNN(3, 5, num_layers=2)
mine.load_state_dict(theirs.state_dict())
x = torch.randn(11, 4, 3, requires_grad=True)


def results(run, rnn):
    output, h_n = run(x)
    loss = output.square().sum() + h_n.sum()
    return output, h_n, *torch.autograd.grad(loss, [x, *rnn.parameters()])


if __name__ == "__main__":
    try:
        compiled = results(torch.compile(mine, fullgraph=True), mine)
    except InductorError as error:
        print("no compiler:", error)
    else:
        pairs = zip(compiled, results(theirs, theirs), strict=True)
        print(max(float((a - b).abs().max()) / max(1, float(b.abs().max())) for a, b in pairs))
