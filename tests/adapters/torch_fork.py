"""Forked processes and DataLoader workers compute the same results as their parent."""

import os
import signal
import sys

import torch

import crnn
import crnn.torch

rnn = crnn.torch.RNN(64, 64)
x = torch.randn(100, 32, 64, generator=torch.Generator().manual_seed(0))  # enough for two threads


def final_state(k):
    """Computed by crnn and by operations of torch that are small enough for one thread."""
    with torch.no_grad():
        return rnn(x[k:])[1]


class FinalStates(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, k):
        return final_state(k)


if __name__ == "__main__":
    torch.set_num_threads(2)
    crnn.set_num_threads(2)
    expected = [final_state(k) for k in range(2)]  # this starts the threads of crnn
    torch.zeros(10**6).fill_(1)  # and this those of torch

    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if torch.equal(final_state(0), expected[0]) else 1)
    print("same" if os.waitpid(child, 0)[1] == 0 else "not the same, or hung")

    loader = torch.utils.data.DataLoader(
        FinalStates(), batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=60
    )
    same = all(torch.equal(h, e) for h, e in zip(loader, expected, strict=True))
    print("same" if same else "not the same")
