"""Threads: who sets their number, and what they survive. Their bits: test_kernels.py."""

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

# Python 3.12 warns of what is tested here, and so does JAX, where another test has loaded it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning"),
]

#: Enough for several threads, by rows and by columns of weights: T, m, n_x, n_a.
SHARED = [(120, 32, 9, 96), (2, 1, 5, 1100)]


@pytest.fixture(autouse=True)
def threads():
    before = crnn.get_num_threads()
    crnn.set_num_threads(2)
    yield
    crnn.set_num_threads(before)


@functools.cache  # drawn once: NumPy's LAPACK is no part of what is tested, in a fork least of all
def problem(sizes, **kind):
    return check.problem(*sizes, dtype="float32", **kind)


def forward_and_backward(sizes, **kind):
    """One call of each, and the bits of all they give."""
    p = problem(sizes, **kind)
    a = crnn.rnn_forward(**p.arguments, **p.options)
    g = check.backward_of(crnn.rnn_backward, p, a)
    return b"".join(array.tobytes() for array in (a, *g) if array is not None)


def all_bits():
    return [forward_and_backward(sizes) for sizes in SHARED]


def python(code, *, seconds=600, **environment):
    """A process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestNumber:
    @pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
    def test_is_taken_from_the_environment_at_import(self, variable):
        unset = {"OPENBLAS_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
        out = python("import crnn; print(crnn.get_num_threads())", **{**unset, variable: "1"})
        assert out == "1\n"

    def test_set_and_get_agree(self):
        for n in (1, 2, 3):
            crnn.set_num_threads(n)
            assert crnn.get_num_threads() == n

    def test_threadpoolctl_limits_it_and_gives_it_back(self):
        with threadpoolctl.threadpool_limits(1):
            assert crnn.get_num_threads() == 1
        assert crnn.get_num_threads() == 2
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            assert crnn.get_num_threads() == 1

    @needs_proc
    def test_more_than_the_pool_can_have_is_clamped(self):
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
    def test_is_obeyed_by_what_runs(self, one_thread):
        """With 1 the pool has no workers, whatever the work; with 2 it starts one."""
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
    def test_a_fork_while_another_thread_is_in_a_call(self):
        """Unless the child resets the pool, it waits for a call that no thread of it will end."""
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
    def test_a_call_goes_on_in_the_parent_when_another_thread_forks(self):
        """With the same bits, in the children too. That no fork waits: tests/c/threads."""
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
    def test_processes_of_both_kinds_give_the_same_bits(self, method):
        if method not in multiprocessing.get_all_start_methods():
            pytest.skip(f"no {method}")
        bits = all_bits()
        with multiprocessing.get_context(method).Pool(2) as pool:
            results = [pool.apply_async(all_bits) for _ in range(4)]
            assert [result.get(timeout=600) for result in results] == [bits] * 4
        assert all_bits() == bits

    @needs_fork
    def test_a_grandchild(self):
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
    """Each in a thread of its own; the first error of one is raised."""
    with ThreadPoolExecutor(len(functions)) as pool:
        for future in [pool.submit(function) for function in functions]:
            future.result()


class TestManyCallers:
    def test_each_gets_its_own_numbers(self):
        """Forward and backward of different sizes, interleaved: one has the pool, others do not."""
        kinds = [{}, {"reverse": True}, {"lengths": True}, {"integers": True}]
        problems = [(sizes, kind) for sizes in (*SHARED, (40, 3, 2, 17)) for kind in kinds]
        bits = [forward_and_backward(sizes, **kind) for sizes, kind in problems]
        wrong, errors = [], []

        def caller(first):
            """All problems twice, in a circle that begins at the first."""
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

    def test_models_learn_side_by_side(self):
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
    def test_idle_threads_keep_little(self):
        """A megabyte each at most, and 64 together; what is larger is freed after its call."""
        megabyte, most = workspace.SMALL, workspace.MOST_KEPT
        done, kept = threading.Barrier(6), []

        def work():
            for nbytes in (megabyte, 30 * megabyte, 100 * megabyte):
                taken = workspace.take(nbytes)
                assert taken.nbytes >= nbytes
                assert taken.ctypes.data % 64 == 0
                done.wait()  # all are in a call at once, so no two may have the same
                workspace.give_back(taken)
            kept.append(workspace._own.workspace.nbytes)
            done.wait()

        run_in_threads([work] * 6)
        assert kept == [megabyte] * 6
        assert sum(free.nbytes for free in workspace._shared._free) <= most

    def test_a_large_one_is_used_again_by_any_thread(self):
        taken = workspace.take(2 * workspace.SMALL)
        workspace.give_back(taken)
        again = []
        run_in_threads([lambda: again.append(workspace.take(workspace.SMALL + 1))])
        assert np.shares_memory(again[0], taken)
        workspace.give_back(again[0])


class TestSignals:
    @needs_proc
    def test_workers_block_all_but_their_own_faults(self):
        """The program's own threads handle its signals; faulthandler still sees a fault."""
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


class TestEnding:
    @pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
    def test_ctrl_c_comes_after_the_call_and_the_pool_goes_on(self):
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
    def test_the_interpreter_ends_while_a_thread_is_in_a_call(self, daemon):
        """A daemon is left behind in its call; any other thread is waited for."""
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
