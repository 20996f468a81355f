"""The processes of the workers, seen from the benchmark: started, asked, stopped."""

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

#: Seconds that a spinning thread pool may take to fall asleep, if there is no signal to stop it.
PAUSE = 0.02


class Worker:
    """An implementation in its own process, which runs only while it handles a request.

    Between its turns the process is stopped. So its threads may wait for work by spinning, as suits
    them best, without taking time from the implementation whose turn it is.
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
        """Call a method of `crnn.benchmark.worker.Handler`. Raises RuntimeError if it fails."""
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


class Workers:
    """The workers of a run. They end with the context."""

    def __init__(self) -> None:
        self.running: list[Worker] = []

    def __enter__(self) -> Workers:
        return self

    def start(self, name: str, threads: int) -> Worker:
        """Start another worker."""
        worker = Worker(name, threads)
        self.running.append(worker)
        return worker

    def end(self, worker: Worker) -> None:
        """End a worker that failed."""
        worker.close()
        self.running.remove(worker)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.running:
            worker.close()
