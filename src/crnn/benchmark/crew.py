"""The near end of the workers: who is at work, and who must hold still."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Any

from crnn.benchmark import peers

#: Without signals that stop a process: how long a spinning pool may take to fall asleep, seconds.
PAUSE = 0.02


class Worker:
    """An implementation in a process of its own that runs only while it is asked something.

    Between its turns the process is stopped. Its threads may then wait for work as they wait
    best, spinning, and take nothing from the one whose turn it is.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        environment = os.environ | peers.find(name).environment(threads)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crnn.benchmark.worker", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.version = self.ask("version")

    def ask(self, method: str, *arguments: Any) -> Any:
        """Have a method of `crnn.benchmark.worker.Desk` called; RuntimeError where it fails."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        self._signal("SIGCONT")
        try:
            pickle.dump((method, arguments), process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            raise RuntimeError(f"{self.name}: its process ended") from None
        self._signal("SIGSTOP")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _signal(self, name: str) -> None:
        if hasattr(signal, name):
            self._process.send_signal(getattr(signal, name))
        elif name == "SIGSTOP":
            time.sleep(PAUSE)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class Crew:
    """Every worker of a run, by name and number of threads; ended on the way out."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []

    def __enter__(self) -> Crew:
        return self

    def hire(self, name: str, threads: int) -> Worker:
        """Start another worker."""
        worker = Worker(name, threads)
        self.workers.append(worker)
        return worker

    def dismiss(self, worker: Worker) -> None:
        """End one that cannot go on."""
        worker.close()
        self.workers.remove(worker)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.close()
