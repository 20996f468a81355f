"""Threads: how their number is set, forks, signals, concurrent calls and exit.

test_kernels.py tests that results do not depend on the number of threads.
"""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl

import crnn
from crnn import check
from crnn._engine import workspace

needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="reads /proc/self/task"
)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

# Python 3.12 warns of a fork with threads, and so does JAX if another test has loaded it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning"),
]

#: Sizes (T, m, n_x, n_a) that are shared among threads by rows, and by columns of weights.
SHARED = [(120, 32, 9, 96), (2, 1, 5, 1100)]


@pytest.fixture(autouse=True)
def threads():
    before = crnn.get_num_threads()
    crnn.set_num_threads(2)
    yield
    crnn.set_num_threads(before)


@functools.cache  # so that no forked process calls NumPy's LAPACK, which is not tested here
def problem(sizes, **kind):
    return check.problem(*sizes, dtype="float32", **kind)


def forward_and_backward(sizes, **kind):
    """The bytes of all results of one forward and one backward call."""
    p = problem(sizes, **kind)
    a = crnn.rnn_forward(**p.arguments, **p.options)
    g = check.backward_of(crnn.rnn_backward, p, a)
    return b"".join(array.tobytes() for array in (a, *g) if array is not None)


def all_bits():
    return [forward_and_backward(sizes) for sizes in SHARED]


def python(code, *, seconds=600, **environment):
    """Run code in a new process and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestNumberOfThreads:
    @pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
    def test_comes_from_the_environment_at_import(self, variable):
        unset = {"OPENBLAS_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
        out = python("import crnn; print(crnn.get_num_threads())", **{**unset, variable: "1"})
        assert out == "1\n"

    def test_set_and_get_agree(self):
        for n in (1, 2, 3):
            crnn.set_num_threads(n)
            assert crnn.get_num_threads() == n

    def test_threadpoolctl_limits_and_restores_it(self):
        with threadpoolctl.threadpool_limits(1):
            assert crnn.get_num_threads() == 1
        assert crnn.get_num_threads() == 2
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            assert crnn.get_num_threads() == 1

    @needs_proc
    def test_is_clamped_to_the_size_of_the_pool(self):
        """With 1000 threads allowed, 63 workers share the work and the bits are the same."""
        code = """
import ctypes, os
import numpy as np, crnn
from crnn._engine import kernels
x, Waa, Wax = np.ones((400, 256, 8), "f4"), np.eye(128, dtype="f4"), np.ones((128, 8), "f4")
crnn.set_num_threads(1)
bits = crnn.rnn_forward(x, Waa, Wax).tobytes()
before = len(os.listdir("/proc/self/task"))
allow_1000 = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1000)
kernels.limit_threads(ctypes.cast(allow_1000, ctypes.c_void_p).value)
assert crnn.rnn_forward(x, Waa, Wax).tobytes() == bits
print(len(os.listdir("/proc/self/task")) - before)
"""
        assert python(code) == "63\n"

    @needs_proc
    @pytest.mark.parametrize(
        "one_thread", ["crnn.set_num_threads(1)", "threadpoolctl.threadpool_limits(1).__enter__()"]
    )
    def test_limits_the_workers_that_are_started(self, one_thread):
        """With one thread no worker is started, however large the call; with two, one worker is."""
        code = f"""
import os, threadpoolctl
import numpy as np, crnn
crnn.set_num_threads(2)
x, Waa, Wax = np.ones((200, 64, 8), "f4"), np.eye(128, dtype="f4"), np.ones((128, 8), "f4")
def threads():
    return len(os.listdir("/proc/self/task"))
def more_after_a_call():
    before = threads()
    crnn.rnn_forward(x, Waa, Wax)
    return threads() - before
{one_thread}
print(more_after_a_call())
crnn.set_num_threads(2)
print(more_after_a_call())
"""
        assert python(code) == "0\n1\n"


class TestProcesses:
    @needs_fork
    def test_fork_while_another_thread_computes(self):
        """If the child did not reset the pool, it would wait for a call of a thread it lacks."""
        bits, stop = all_bits(), threading.Event()

        def busy():
            while not stop.is_set():
                all_bits()

        thread = threading.Thread(target=busy)
        thread.start()
        try:
            for _ in range(5):
                with multiprocessing.get_context("fork").Pool(1) as pool:
                    assert pool.apply_async(all_bits).get(timeout=600) == bits
        finally:
            stop.set()
            thread.join()

    @needs_fork
    def test_a_call_in_the_parent_is_not_disturbed_by_a_fork(self):
        """Parent and children get the same bits. tests/c/threads checks that no fork waits."""
        code = """
import os, threading
import numpy as np, crnn
crnn.set_num_threads(2)
x, Waa, Wax = np.ones((3000, 64, 8), "f4"), np.eye(256, dtype="f4"), np.ones((256, 8), "f4")
few = x[:200]
bits = crnn.rnn_forward(x, Waa, Wax).tobytes()
bits_of_few = crnn.rnn_forward(few, Waa, Wax).tobytes()
out, children = np.empty((3000, 64, 256), "f4"), []
calls = threading.Thread(target=lambda: [crnn.rnn_forward(x, Waa, Wax, out=out) for _ in range(3)])
calls.start()
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(crnn.rnn_forward(few, Waa, Wax).tobytes() != bits_of_few)
    children.append(child)
calls.join()
assert out.tobytes() == bits
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
        python(code)

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_forked_and_spawned_processes_give_the_same_bits(self, method):
        if method not in multiprocessing.get_all_start_methods():
            pytest.skip(f"no {method}")
        bits = all_bits()
        with multiprocessing.get_context(method).Pool(2) as pool:
            results = [pool.apply_async(all_bits) for _ in range(4)]
            assert [result.get(timeout=600) for result in results] == [bits] * 4
        assert all_bits() == bits

    @needs_fork
    def test_a_fork_of_a_forked_process(self):
        code = """
import os, sys
import numpy as np, crnn
crnn.set_num_threads(2)
x, Waa, Wax = np.ones((200, 64, 8), "f4"), np.eye(128, dtype="f4"), np.ones((128, 8), "f4")
bits = crnn.rnn_forward(x, Waa, Wax).tobytes()
for _ in range(2):
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert crnn.rnn_forward(x, Waa, Wax).tobytes() == bits
"""
        python(code)


def run_in_threads(functions):
    """Run each function in its own thread and raise the first error."""
    with ThreadPoolExecutor(len(functions)) as pool:
        for future in [pool.submit(function) for function in functions]:
            future.result()


class TestConcurrentCalls:
    def test_results_are_those_of_separate_calls(self):
        """Interleaved calls of different sizes: only one caller at a time has the pool."""
        kinds = [{}, {"reverse": True}, {"lengths": True}, {"integers": True}]
        problems = [(sizes, kind) for sizes in (*SHARED, (40, 3, 2, 17)) for kind in kinds]
        bits = [forward_and_backward(sizes, **kind) for sizes, kind in problems]
        wrong, errors = [], []

        def caller(first):
            """Run all problems twice, starting at the given one and wrapping around."""
            circle = 2 * list(zip(problems, bits, strict=True))
            try:
                for (sizes, kind), expected in circle[first:] + circle[:first]:
                    if forward_and_backward(sizes, **kind) != expected:
                        wrong.append((sizes, kind))
            except BaseException as error:
                errors.append(error)

        callers = [threading.Thread(target=caller, args=(first,)) for first in (0, 3, 6, 9)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
        assert (wrong, errors) == ([], [])

    def test_models_train_concurrently(self):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((20, 64, 3)), rng.integers(0, 2, 64)

        def fitted(seed):
            model = crnn.RNN(3, 64, 2, rng=seed)
            model.fit(x, y, epochs=2, batch_size=32, progress=False, rng=seed)
            return {name: p.tobytes() for name, p in model.parameters.items()}

        alone, together = [fitted(seed) for seed in range(3)], {}
        learners = [
            threading.Thread(target=lambda seed=seed: together.update({seed: fitted(seed)}))
            for seed in range(3)
        ]
        for thread in learners:
            thread.start()
        for thread in learners:
            thread.join()
        assert [together[seed] for seed in range(3)] == alone


LONG_CALL = """
import sys, threading, time
import numpy as np, crnn
crnn.set_num_threads(2)
x, Waa, Wax = np.ones((3000, 64, 8), "f4"), np.eye(256, dtype="f4"), np.ones((256, 8), "f4")
a = np.empty((3000, 64, 256), "f4")
def call():
    crnn.rnn_forward(x, Waa, Wax, out=a)
"""


class TestWorkspace:
    def test_idle_threads_keep_little_memory(self):
        """At most 1 MB each and 64 MB together; larger workspaces are freed after their call."""
        megabyte, most = workspace.SMALL, workspace.MOST_KEPT
        done, kept = threading.Barrier(6), []

        def work():
            for nbytes in (megabyte, 30 * megabyte, 100 * megabyte):
                taken = workspace.take(nbytes)
                assert taken.nbytes >= nbytes
                assert taken.ctypes.data % 64 == 0
                done.wait()  # all hold a workspace at once, so no two may share one
                workspace.give_back(taken)
            kept.append(workspace._own.workspace.nbytes)
            done.wait()

        run_in_threads([work] * 6)
        assert kept == [megabyte] * 6
        assert sum(free.nbytes for free in workspace._shared._free) <= most

    def test_a_large_workspace_is_reused_by_any_thread(self):
        taken = workspace.take(2 * workspace.SMALL)
        workspace.give_back(taken)
        again = []
        run_in_threads([lambda: again.append(workspace.take(workspace.SMALL + 1))])
        assert np.shares_memory(again[0], taken)
        workspace.give_back(again[0])


class TestSignals:
    @needs_proc
    def test_workers_block_all_signals_except_faults(self):
        """The program's threads handle its signals, while faulthandler still sees faults."""
        code = """
import os, signal
import numpy as np, crnn
crnn.set_num_threads(2)
before = set(os.listdir("/proc/self/task"))
x, Waa, Wax = np.ones((200, 64, 8), "f4"), np.eye(128, dtype="f4"), np.ones((128, 8), "f4")
crnn.rnn_forward(x, Waa, Wax)
(worker,) = set(os.listdir("/proc/self/task")) - before
with open(f"/proc/self/task/{worker}/status") as status:
    mask = int(dict(line.split(":") for line in status)["SigBlk"], 16)
blocked = {s for s in signal.Signals if mask >> (s - 1) & 1}
assert {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGPROF} <= blocked
assert not {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT} & blocked
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""
        python(code)


class TestInterruptionAndExit:
    @pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
    def test_ctrl_c_is_raised_after_the_call_and_the_pool_still_works(self):
        code = (
            LONG_CALL
            + """
try:
    print("ready", flush=True)
    while True:
        a.fill(0)
        call()
except KeyboardInterrupt:
    print("interrupted", flush=True)
call()
print(bool(np.all(a[-1] == a[-2])), a[-1].min() > 0, flush=True)
"""
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=600)
        assert child.returncode == 0
        assert out == "interrupted\nTrue True\n"

    @pytest.mark.parametrize("daemon", [True, False])
    def test_the_interpreter_exits_while_a_thread_computes(self, daemon):
        """A daemon thread is abandoned during its call; the exit waits for any other thread."""
        code = (
            LONG_CALL
            + f"""
began = threading.Event()
def work():
    for _ in range(10**6 if {daemon} else 3):
        began.set()
        call()
    print("done")
threading.Thread(target=work, daemon={daemon}).start()
began.wait()
time.sleep(0.05)
"""
        )
        assert python(code) == ("" if daemon else "done\n")
