"""The benchmark: arithmetic, checks of the peers and output. It needs no peer but NumPy."""

import datetime
import io
import json
import os
import pickle
import sys
import time

import numpy as np
import pytest

from crnn import cli, reference
from crnn.benchmark import (
    PEERS,
    SHAPES,
    Case,
    Report,
    cases,
    clock,
    machine,
    peers,
    plot,
    regression,
    results,
    roofline,
    run,
    table,
    worker,
    workers,
)
from crnn.benchmark.peers.crnn import Crnn
from crnn.benchmark.peers.numpy import Numpy
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.weights import gates as layouts

SMALL = Case(3, 2, 4, 5)
# Older versions of matplotlib use names that newer versions of pyparsing have deprecated.
quiet = pytest.mark.filterwarnings("ignore:.* deprecated - use:DeprecationWarning")
CACHES = {1: 32 << 10, 2: 1 << 20, 3: 16 << 20}


class TestCases:
    def test_parse_accepts_a_shape(self):
        assert Case.parse("3x2x4x5") == SMALL
        assert Case.parse(Case.parse("3x2x4x5", "float64").name, "float64").dtype == "float64"

    @pytest.mark.parametrize(
        ("cell", "name", "gates"),
        [("vanilla", "3x2x4x5", 1), ("leaky", "leaky 3x2x4x5", 1), ("gru", "gru 3x2x4x5", 3),
         ("lstm", "lstm 3x2x4x5", 4)],
    )  # fmt: skip
    def test_a_case_names_its_cell(self, cell, name, gates):
        case = Case.parse("3x2x4x5", cell=cell)
        assert (case.name, case.gates) == (name, gates)
        assert case.problem().arguments["Waa"].shape == (gates * 5, 5)

    @pytest.mark.parametrize("text", ["", "3x2x4", "3x2x4x5x6", "3x2x4x0", "3x-2x4x5", "axbxcxd"])
    def test_parse_refuses_other_text(self, text):
        with pytest.raises(ValueError, match="expected a shape TxMxN_XxN_A such as"):
            Case.parse(text)

    def test_default_shapes_cover_typical_sizes(self):
        every = [Case.parse(shape) for shape in SHAPES]
        assert len(set(every)) == len(every)
        assert {1, 2, 5, 7} <= {case.m for case in every}
        assert {48, 100, 200, 300} <= {case.n_a for case in every}
        assert {10, 5000} <= {case.T for case in every}
        assert set(cases.QUICK) <= set(SHAPES)


class TestRoofline:
    case = Case(10, 2, 3, 4)

    def test_operations_by_hand(self):
        # 10 steps x 2 examples x 4 units x (4 + 3) products = 560, of two operations each.
        assert roofline.flops(self.case, "forward") == 1120
        assert roofline.flops(self.case, "training") == 3360

    @pytest.mark.parametrize(("cell", "gates"), [("leaky", 1), ("gru", 3), ("lstm", 4)])
    def test_each_gate_has_products_and_weights_of_its_own(self, cell, gates):
        case = Case(10, 2, 3, 4, cell=cell)
        assert roofline.flops(case, "training") == gates * 3360
        assert roofline.weight_bytes(case, "training") == gates * 1280

    def test_weight_bytes_by_hand(self):
        # 16 weights of 4 bytes are read in each of 10 steps; the backward pass reads them again.
        assert roofline.weight_bytes(self.case, "forward") == 640
        assert roofline.weight_bytes(self.case, "training") == 1280

    def test_small_weights_are_bound_by_computation(self):
        peaks = roofline.Peaks(fma=1120, L2=1, L3=1)
        assert roofline.least_seconds(self.case, "forward", peaks, caches=CACHES) == 1
        assert roofline.least_seconds(self.case, "training", peaks, caches=CACHES) == 3

    def test_float64_has_half_the_operations(self):
        peaks = roofline.Peaks(fma=1120, L2=1, L3=1)
        case = Case(10, 2, 3, 4, "float64")
        assert roofline.least_seconds(case, "forward", peaks, caches=CACHES) == 2

    @pytest.mark.parametrize(
        ("n_a", "threads", "bandwidth"),
        [(512, 1, 100.0), (1024, 1, 10.0), (1024, 4, 100.0), (8192, 1, 10.0)],
    )
    def test_bandwidth_is_of_the_smallest_cache_that_holds_a_threads_weights(
        self, n_a, threads, bandwidth
    ):
        peaks = roofline.Peaks(fma=1e30, L2=100.0, L3=10.0)
        least = roofline.least_seconds(Case(7, 1, 1, n_a), "forward", peaks, threads, CACHES)
        assert least == pytest.approx(7 * n_a * n_a * 4 / bandwidth)

    def test_least_time_is_the_larger_bound(self):
        peaks = roofline.Peaks(fma=1.0, L2=1e30, L3=1e30)
        case = Case(7, 1, 1, 512)
        assert roofline.least_seconds(case, "forward", peaks, caches=CACHES) == pytest.approx(
            roofline.flops(case, "forward")
        )

    @pytest.mark.parametrize("threads", [1, 2])
    def test_probes_return_plausible_rates(self, threads):
        peaks = roofline.Probes(threads).measure()
        assert all(1e6 < rate < 1e15 for rate in (peaks.fma, peaks.L2, peaks.L3))

    def test_probes_count_their_operations(self):
        probe = roofline.probe
        x = np.ones(probe.BLOCK + 1, np.float32)
        assert probe.read(x, 3) == 3 * 4 * probe.BLOCK
        assert probe.read(x[:-2], 3) == 0
        assert probe.fma(10) == 2 * probe.fma(5) > 0
        assert probe.name() in ("avx512", "avx2", "neon", "portable")


class TestClock:
    """With a fake clock that advances only during the timed calls."""

    @pytest.fixture
    def takes(self, monkeypatch):
        now, calls = [0.0], []
        monkeypatch.setattr(time, "perf_counter", lambda: now[0])

        def takes(seconds):
            def call():
                now[0] += seconds
                calls.append(seconds)

            return call

        takes.calls = calls
        return takes

    def test_short_calls_are_timed_in_batches(self, takes):
        assert clock.time_calls(takes(1e-6), 0.002) == pytest.approx(1e-6)
        samples = 1 + 20  # the first measures how many calls fill a sample
        assert len(takes.calls) == pytest.approx(samples * clock.SAMPLE / 1e-6, rel=0.1)

    def test_a_long_call_is_timed_singly(self, takes):
        assert clock.time_calls(takes(0.5), 0) == 0.5
        assert takes.calls == [0.5, 0.5], "the first call is a warm-up"

    def test_fastest_returns_the_index_of_the_fastest_call(self, takes):
        slow, quick = takes(2e-4), takes(1e-5)
        assert clock.fastest([slow, quick, slow], seconds=1e-3) == 1


class Wrong(Numpy):
    """A peer whose states or gradients are slightly wrong, misshapen or NaN."""

    name = "wrong"

    def __init__(self, field="dWax", change=lambda d: 1.01 * d):
        self.field, self.change = field, change

    def prepare(self, case):
        prepared = super().prepare(case)
        if self.field == "a":
            prepared.states = self.change
        else:
            prepared.gradients = lambda g: g._replace(
                **{self.field: self.change(getattr(g, self.field))}
            )
        return prepared


class Broken(Peer):
    """A peer whose library raises."""

    name = "broken"

    def version(self):
        return "0"

    def prepare(self, case):
        raise OSError("no such kernel")


class ForwardOnly(Numpy):
    name = "forward-only"

    def prepare(self, case):
        prepared = super().prepare(case)
        return Prepared(prepared.forward, prepared.states, reasons={"training": "has none"})


class TestHandler:
    @pytest.mark.parametrize("peer", [Crnn, Numpy])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("cell", ["vanilla", "leaky", "gru", "lstm"])
    def test_a_correct_peer_is_timed(self, peer, dtype, cell):
        handler = worker.Handler(peer(), 1)
        case = Case(20, 3, 4, 5, dtype, cell)
        assert handler.prepare(case) == {}
        for operation in cases.OPERATIONS:
            assert handler.time(case, operation, 1e-3) > 0
        assert handler.version()
        handler.forget()
        with pytest.raises(KeyError):
            handler.time(case, "forward", 1e-3)

    @pytest.mark.parametrize("field", reference.Gradients._fields)
    def test_a_wrong_gradient_is_reported(self, field):
        reasons = worker.Handler(Wrong(field), 1).prepare(SMALL)
        assert list(reasons) == ["training"]
        assert reasons["training"].startswith(f"Mismatch: {field} differs from crnn's by 1.0e-02")

    @pytest.mark.parametrize(
        ("cell", "field"),
        [("leaky", "dWaa"), *(("gru", name) for name in reference.GRUGradients._fields),
         *(("lstm", name) for name in reference.LSTMGradients._fields)],
    )  # fmt: skip
    def test_a_wrong_gradient_of_another_cell_is_reported(self, cell, field):
        """A change of a tenth: gradients of gated cells are compared with the largest of all."""
        wrong = Wrong(field, lambda d: d + 0.1 * np.abs(d).max())
        reasons = worker.Handler(wrong, 1).prepare(Case(3, 2, 4, 5, cell=cell))
        assert list(reasons) == ["training"]
        assert reasons["training"].startswith(f"Mismatch: {field} differs from crnn's by")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda a: a + 0.01, "Mismatch: a differs from crnn's by"),
            (lambda a: a * np.nan, "Mismatch: a differs from crnn's by nan"),
            (lambda a: a[:, :1], r"Mismatch: a has shape (3, 1, 5), crnn's (3, 2, 5)"),
        ],
    )
    def test_wrong_states_are_reported(self, change, message):
        reasons = worker.Handler(Wrong("a", change), 1).prepare(SMALL)
        assert reasons["forward"].startswith(message)

    def test_an_error_of_the_library_is_reported(self):
        reasons = worker.Handler(Broken(), 1).prepare(SMALL)
        assert reasons == dict.fromkeys(cases.OPERATIONS, "OSError: no such kernel")

    def test_requests_are_answered_in_order(self):
        requests, answers = io.BytesIO(), io.BytesIO()
        for request in (("prepare", (SMALL,)), ("time", (SMALL, "fly", 0)), ("probe", ())):
            pickle.dump(request, requests)
        requests.seek(0)
        worker.serve(worker.Handler(Numpy(), 1), requests, answers)
        answers.seek(0)
        assert pickle.load(answers) == {}
        error = pickle.load(answers)
        assert isinstance(error, RuntimeError)
        assert "AttributeError" in str(error)
        assert isinstance(pickle.load(answers), roofline.Peaks)


class TestLayouts:
    """With a letter for each gate, in the orders that the libraries document."""

    @pytest.mark.parametrize(
        ("order", "ours", "theirs"),
        [
            (layouts.ONNX["gru"], "rrzznn", "zzrrnn"),
            (layouts.ONNX["lstm"], "iiffggoo", "iiooffgg"),
            (layouts.KERAS["gru"], "rrzznn", "zzrrnn"),
            (layouts.KERAS["lstm"], "iiffggoo", "iiffggoo"),
        ],
    )
    def test_gates_are_reordered_and_restored(self, order, ours, theirs):
        moved = layouts.reordered(np.array(list(ours)), order)
        assert "".join(moved) == theirs
        assert "".join(layouts.restored(moved, order)) == ours

    def test_only_a_gru_has_a_second_bias(self):
        ba = np.ones(6)
        assert layouts.recurrent_bias({"ba": ba}).tolist() == [0] * 6
        second = layouts.recurrent_bias({"ba": ba, "baa": np.array([2.0, 3.0])})
        assert second.tolist() == [0, 0, 0, 0, 2, 3]


class TestPeers:
    def test_missing_names_uninstalled_packages(self):
        class Absent(Peer):
            packages, modules = ("pip", "no-such-package"), ("pip", "no_such_module")

        assert Absent.missing() == "not installed: no-such-package"
        assert Numpy.missing() is None

    def test_peer_modules_import_without_their_libraries(self):
        assert PEERS.keys() == {
            "torch", "torch-compiled", "jax", "onnxruntime", "onednn", "keras", "numpy",
        }  # fmt: skip
        for name, peer in PEERS.items():
            assert peer.name == name
            assert all(isinstance(v, str) for v in peer.environment(2).values())

    def test_onednn_binding_is_built_only_on_request(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert PEERS["onednn"].missing()


@pytest.fixture
def near(monkeypatch):
    """Run workers in this process, so that they can use the peers defined here."""
    every = {peer.name: peer for peer in (Crnn, Numpy, Wrong, Broken, ForwardOnly)}

    class Near:
        def __init__(self, name, threads):
            self.name, self.threads = name, threads
            self.handler = worker.Handler(every[name](), 1)
            self.version = self.ask("version")

        def ask(self, method, *arguments):
            return getattr(self.handler, method)(*arguments)

        def close(self):
            self.handler = None

    monkeypatch.setattr(peers, "find", every.__getitem__)
    monkeypatch.setattr(workers, "Worker", Near)
    return Near


class TestRun:
    def test_measures_every_case_thread_count_and_operation(self, near):
        said = []
        both = [SMALL, Case(3, 2, 4, 5, "float64")]
        report = run(both, ["numpy"], threads=[1, 2], rounds=3, seconds=1e-4, log=said.append)
        assert said == ["1/1  3x2x4x5"]
        assert len(report.cells) == 2 * 2 * 2 * 2  # dtypes, threads, operations, implementations
        assert all(len(cell.rounds) == 3 for cell in report.cells)
        assert [(peak.threads, len(peak.rounds)) for peak in report.peaks] == [(1, 3), (2, 3)]
        assert report.peers == ["numpy"]
        assert len(report.rows) == 8
        words = "\n".join(table.summary(report))
        assert "crnn: 2 threads over 1: geometric mean" in words
        assert "crnn: time of float64 over float32: geometric mean" in words

    def test_wrong_or_missing_peers_are_skipped_and_named(self, near, monkeypatch):
        monkeypatch.setattr(Numpy, "missing", classmethod(lambda cls: "not installed: numpy"))
        monkeypatch.setattr(Wrong, "missing", classmethod(lambda cls: None))
        monkeypatch.setattr(ForwardOnly, "missing", classmethod(lambda cls: None))
        names = ["numpy", "wrong", "broken", "forward-only"]
        report = run([SMALL], names, rounds=1, seconds=1e-4)
        assert report.skipped == {"numpy": "not installed: numpy"}
        timed = {(cell.peer, cell.operation) for cell in report.cells}
        assert timed == {
            ("crnn", "forward"), ("crnn", "training"), ("wrong", "forward"),
            ("forward-only", "forward"),
        }  # fmt: skip
        words = "\n".join(table.summary(report))
        assert "numpy was skipped: not installed: numpy" in words
        assert "wrong, training, was not timed: Mismatch: dWax differs" in words
        assert "broken, forward, was not timed: OSError: no such kernel (every shape)" in words
        assert "forward-only, training, was not timed: has none (every shape)" in words

    @pytest.mark.parametrize("when", ["prepare", "time"])
    def test_a_failing_peer_is_skipped_from_then_on(self, near, monkeypatch, when):
        def ask(self, method, *arguments):
            if self.name == "numpy" and method == when and arguments[0].T == 3:
                raise RuntimeError("its process ended")
            return getattr(self.handler, method)(*arguments)

        monkeypatch.setattr(near, "ask", ask)
        three = [Case(2, 2, 4, 5), SMALL, Case(3, 2, 4, 5, "float64"), Case(1, 1, 1, 1)]
        report = run(three, ["numpy"], rounds=2, seconds=1e-4)
        assert report.skipped["numpy"].startswith("its process ended (from there on")
        assert {cell.case.T for cell in report.cells if cell.peer == "numpy"} == {2}
        assert {cell.case.T for cell in report.cells if cell.peer == "crnn"} == {1, 2, 3}
        assert all(len(cell.rounds) == 2 for cell in report.cells)

    def test_a_failure_of_crnn_is_raised(self, near, monkeypatch):
        def ask(self, method, *arguments):
            if method == "time":
                raise RuntimeError("its process ended")
            return getattr(self.handler, method)(*arguments)

        monkeypatch.setattr(near, "ask", ask)
        with pytest.raises(RuntimeError, match="its process ended"):
            run([SMALL], [], rounds=1, seconds=1e-4)

    def test_a_peer_that_does_not_start_is_skipped(self, near, monkeypatch):
        def version(self):
            raise RuntimeError("does not load")

        monkeypatch.setattr(Broken, "version", version)
        assert run([SMALL], ["broken"], rounds=1, seconds=1e-4).skipped == {
            "broken": "does not load"
        }


def becomes_stopped(pid):
    """Whether a child process stops, rather than ends. Signals are not delivered immediately."""
    change = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return change.si_code == os.CLD_STOPPED


class TestWorker:
    def test_runs_in_a_separate_process(self):
        with workers.Workers() as running:
            one = running.start("numpy", 1)
            assert one.version == np.__version__
            assert one.ask("prepare", SMALL) == {}
            assert one.ask("time", SMALL, "forward", 1e-3) > 0
            with pytest.raises(RuntimeError, match="KeyError"):
                one.ask("time", Case(1, 1, 1, 1), "forward", 1e-3)
            if sys.platform == "linux":
                assert becomes_stopped(one._process.pid), "it must stop between requests"
            one._process.kill()
            with pytest.raises(RuntimeError, match="numpy: its process ended"):
                one.ask("version")
            running.end(one)
            assert running.running == []

    def test_without_signals_the_caller_waits_for_it_to_idle(self, monkeypatch):
        monkeypatch.setattr(workers, "signal", None)
        slept = []
        monkeypatch.setattr(workers.time, "sleep", slept.append)
        with workers.Workers() as running:
            running.start("numpy", 1)
        assert slept == [workers.PAUSE]


class TestMachine:
    def test_describe(self, monkeypatch):
        monkeypatch.setattr(machine.sys, "argv", ["/bin/crnn", "bench", "--shapes", "a b"])
        described = machine.describe()
        assert described["command"] == "crnn bench --shapes 'a b'"
        assert datetime.date.fromisoformat(described["date"]) <= datetime.date.today()
        assert described["cpu"]
        assert described["cores"] == len(machine.cores()) >= 1
        assert described["caches"]["L1"] >= 1024
        assert json.loads(json.dumps(described)) == described

    def test_defaults_without_system_information(self, monkeypatch, tmp_path):
        monkeypatch.setattr(machine, "_CPU", tmp_path)
        monkeypatch.setattr(machine, "_sysctl", lambda name: "")
        assert machine.caches() == machine._DEFAULT_CACHES
        assert machine.cores()
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        assert len(machine.cores()) == os.cpu_count()

    def test_caches_from_sysctl(self, monkeypatch, tmp_path):
        monkeypatch.setattr(machine, "_CPU", tmp_path)
        sizes = {"hw.l1dcachesize": "65536", "hw.l2cachesize": "4194304", "hw.l3cachesize": "0"}
        monkeypatch.setattr(machine, "_sysctl", sizes.get)
        assert machine.caches() == {1: 65536, 2: 4194304}

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity")
    def test_pinned_binds_to_one_core_per_thread(self, monkeypatch):
        bound = []
        monkeypatch.setattr(os, "sched_setaffinity", lambda _, cpus: bound.append(cpus))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
        monkeypatch.setattr(machine, "cores", lambda: [0, 2])
        with machine.pinned(1):
            assert bound == [[0]]
        assert bound == [[0], {0, 1, 2}]
        with machine.pinned(3):
            assert len(bound) == 2


def fake_report(**times):
    """A report on one forward case, given the seconds of each implementation in each round."""
    case = Case(10, 2, 3, 4)
    report = Report(
        {"cpu": "abacus", "cores": 1, "caches": {"L1": 32768}, "simd": "beads", "probe": "fingers",
         "load": 3.0, "crnn": "0"},
        versions=dict.fromkeys(times, "1"),
    )  # fmt: skip
    for name, rounds in times.items():
        report.cells.append(results.Cell(case, "forward", 1, name, rounds))
    peaks = [roofline.Peaks(fma=1120.0, L2=2.0, L3=1.0)] * 3
    report.peaks.append(results.Peak(case.name, 1, peaks))
    return report


class TestReport:
    report = fake_report(crnn=[2.0, 2.0, 4.0], slow=[8.0, 8.0, 8.0], fair=[3.0, 3.0, 6.0])

    def test_figures_computed_by_hand(self):
        (row,) = self.report.rows
        assert row.best == "fair"
        assert row.ratio("fair") == 1.5
        assert row.ratio("slow") == 4, "the median over rounds of 4, 4 and 2"
        assert row.share == 0.5, "1120 operations, at 1120 a second, in 2 seconds"
        assert row.ours.quartiles == (2, 3)
        assert results.geometric_mean([2, 0.5, 1]) == pytest.approx(1)
        assert np.isnan(results.geometric_mean([]))

    def test_table(self):
        head, line = table.table(self.report).splitlines()
        assert head.split() == [
            "shape", "dtype", "operation", "threads", "crnn", "spread", "slow", "fair", "best",
            "peer", "ratio", "roofline",
        ]  # fmt: skip
        assert line.split() == [
            "10x2x3x4", "float32", "forward", "1", "2000", "50%", "8000", "3000", "fair", "1.50",
            "50%",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("seconds", "printed"),
        [(0.5, "500"), (0.0123456, "12.3"), (0.001, "1.00"), (1.234e-6, "0.00123")],
    )
    def test_times_have_three_significant_digits(self, seconds, printed):
        assert table._milliseconds(seconds) == printed

    def test_summary(self):
        words = "\n".join(table.summary(self.report))
        assert "abacus, 1 cores, kernels beads" in words
        assert "the machine was busy with other work (load 3.0)" in words
        assert "forward: times as fast as the best peer: geometric mean 1.50" in words
        assert "forward: times as fast as slow: geometric mean 4.00" in words

    def test_without_peers(self):
        report = fake_report(crnn=[2.0])
        assert table.table(report).splitlines()[1].split()[-3:] == ["-", "-", "50%"]
        assert "times as fast" not in "\n".join(table.summary(report))

    def test_json_round_trip(self):
        self.report.refusals.append(results.Refusal("fair", SMALL, "training", "has none"))
        text = self.report.to_json()
        assert Report.from_json(text).to_json() == text
        assert json.loads(text)["rows"][0]["ratios"] == {"slow": 4, "fair": 1.5}
        assert json.loads(text)["cells"][0]["quartiles"] == [2, 3]

    def test_a_result_file_from_before_other_cells_is_of_the_vanilla_cell(self):
        whole = json.loads(self.report.to_json())
        for record in whole["cells"] + whole["refusals"]:
            del record["case"]["cell"]
        assert Report.from_json(json.dumps(whole)).rows[0].case == Case(10, 2, 3, 4)

    @quiet
    def test_plot_writes_a_png(self, tmp_path):
        plot.draw(self.report, tmp_path / "ratios.png")
        assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")

    @pytest.fixture
    def draw_figure(self, tmp_path, monkeypatch):
        """A function that draws a report and returns the Figure."""
        from matplotlib.figure import Figure

        figures = []
        monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))

        def draw_figure(report):
            plot.draw(report, tmp_path / "ratios.png")
            figures[-1].draw_without_rendering()
            return figures[-1]

        return draw_figure

    @quiet
    def test_plot_legend_has_the_peers_versions(self, draw_figure):
        legend = draw_figure(self.report).legends[0]
        assert [text.get_text() for text in legend.get_texts()] == ["slow 1", "fair 1"]

    @quiet
    @pytest.mark.parametrize(("load", "told"), [(None, False), (0.1, False), (3.14, True)])
    def test_plot_title_says_if_the_machine_was_busy(self, draw_figure, load, told):
        report = fake_report(crnn=[1.0], slow=[2.0])
        report.machine["load"] = load
        title = draw_figure(report).get_suptitle()
        assert ("busy with other work (load 3.1)" in title) == told
        assert title.startswith("abacus, beads kernels, crnn 0")

    @quiet
    def test_plot_tick_labels_have_no_exponent(self, draw_figure):
        axes = draw_figure(fake_report(crnn=[1.0], slow=[1000.0], fair=[0.9])).axes[0]
        words = [tick.get_text() for tick in axes.get_xticklabels()]
        assert max(map(float, words)) > 100
        assert not any("e" in word for word in words), "128, not 1.3e+02"


class TestCommand:
    @quiet
    def test_prints_a_table_and_writes_json_and_a_plot(self, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        arguments = "bench --quick --shapes 10x2x8x8 --peers numpy --seconds 0.001"
        code = cli.main([*arguments.split(), "--json", "bench.json", "--plot", "bench.png"])
        out, err = capsys.readouterr()
        assert code == 0
        assert out.count("10x2x8x8  float32") == 2
        assert "times as fast as numpy: geometric mean" in out
        assert err == "1/1  10x2x8x8\n"
        report = Report.from_json((tmp_path / "bench.json").read_text())
        assert report.versions["numpy"] == np.__version__
        assert all(len(cell.rounds) == 3 for cell in report.cells)
        assert (tmp_path / "bench.png").stat().st_size > 1000

    def test_several_cells_have_rows_of_their_own(self, capsys, near):
        arguments = "bench --cell gru vanilla --shapes 3x2x4x5 --peers numpy --rounds 1"
        assert cli.main([*arguments.split(), "--seconds", "0.0001"]) == 0
        out, err = capsys.readouterr()
        assert err == "1/2  gru 3x2x4x5\n2/2  3x2x4x5\n"
        assert out.count("\ngru 3x2x4x5  float32") == 2
        assert out.count("\n3x2x4x5      float32") == 2

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                "--shapes 1x2",
                "--shapes: expected a shape TxMxN_XxN_A such as 100x32x128x128, got '1x2'",
            ),
            ("--peers numpy,abacus", "--peers: expected some of torch"),
            ("--threads 0", "--threads: expected a whole number >= 1, got 0"),
            ("--threads 4096", "--threads: expected a whole number <= "),
            ("--seconds nan", "--seconds: expected a finite number >= 0, got nan"),
            ("--json .", "--json: .: Is a directory"),
            ("--shapes=", "--shapes: expected a shape TxMxN_XxN_A"),
            ("--rounds 0", "--rounds: expected a whole number >= 1, got 0"),
            (
                "--json none/bench.json",
                f"--json: {os.path.abspath('none/bench.json')}: No such file",
            ),
            ("--plot bench.txt", "--plot: expected a name ending in .png, .svg or .pdf, got bench"),
        ],
    )
    def test_wrong_arguments_are_one_line_errors(self, capsys, arguments, message):
        assert cli.main(["bench", *arguments.split()]) == 2
        assert capsys.readouterr().err.startswith(f"crnn bench: {message}")

    def test_standard_output_is_no_file(self, capsys):
        with pytest.raises(SystemExit):
            cli.main(["bench", "--json", "-"])
        assert "--json: expected the name of a file, got '-'" in capsys.readouterr().err

    def test_missing_matplotlib_is_reported_before_the_run(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
        assert cli.main(["bench", "--plot", "bench.png"]) == 2
        assert capsys.readouterr().err.startswith("crnn bench: --plot needs matplotlib")

    def test_a_read_only_file_is_reported_before_the_run(self, capsys, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "bench.json").touch()
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        assert cli.main(["bench", "--json", "bench.json"]) == 2
        assert capsys.readouterr().err == "crnn bench: --json: bench.json: Permission denied\n"

    def test_fails_if_no_shape_fits_in_memory(self, capsys, near):
        shape = "999999999x999999x9999x9999"
        assert cli.main(["bench", "--shapes", shape, "--peers", "numpy", "--rounds", "1"]) == 2
        err = capsys.readouterr().err
        assert err.endswith("crnn bench: --shapes: nothing could be timed\n")

    def test_build_onednn_runs_before_the_benchmark(self, monkeypatch, capsys, near):
        onednn = sys.modules["crnn.benchmark.peers.onednn"]
        monkeypatch.setattr(onednn, "build", lambda: "the binding")
        arguments = "bench --shapes 1x1x1x1 --peers numpy --rounds 1 --build-onednn"
        assert cli.main(arguments.split()) == 0
        assert "built the binding" in capsys.readouterr().err


class TestRegression:
    @pytest.fixture
    def measured(self, monkeypatch):
        """The times of crnn that the next measurements return."""
        times = []
        monkeypatch.setattr(regression, "measure", lambda: fake_report(crnn=[9.0, times.pop(0)]))
        return times

    @pytest.fixture
    def baseline(self, tmp_path, measured, capsys):
        measured += [2.0, 1.0]
        path = tmp_path / "baseline.json"
        path.write_text('{"another": {}}')
        assert regression.main([str(path), "--write"]) == 0
        assert "10x2x3x4 forward             100.0% of the roofline" in capsys.readouterr().out
        return path

    def test_write_keeps_the_better_of_two_and_other_entries(self, baseline):
        assert json.loads(baseline.read_text()) == {
            "another": {},
            "abacus, beads kernels": {"10x2x3x4 forward": 1.0},
        }

    def test_a_loss_up_to_the_limit_passes(self, baseline, measured):
        measured += [1.33]
        assert regression.main([str(baseline)]) == 0

    def test_a_larger_loss_fails(self, baseline, measured, capsys):
        measured += [1.35] * regression.TRIES
        assert regression.main([str(baseline)]) == 1
        assert capsys.readouterr().out == "10x2x3x4 forward: lost 26% of its speed\n"
        assert measured == []

    def test_a_loss_is_measured_again_before_it_counts(self, baseline, measured):
        measured += [5.0, 1.1, 1.1]
        assert regression.main([str(baseline)]) == 0
        assert measured == [1.1]

    def test_a_processor_without_a_baseline_is_an_error(self, tmp_path, measured, capsys):
        (tmp_path / "baseline.json").write_text("{}")
        measured += [1.0]
        assert regression.main([str(tmp_path / "baseline.json")]) == 2
        assert "has no entry for abacus, beads kernels" in capsys.readouterr().out

    def test_an_entry_of_the_model_comes_before_one_of_the_name(self, tmp_path):
        """Else a processor that starts more multiply-adds in a cycle would seem to be slow."""
        path, report = tmp_path / "baseline.json", fake_report(crnn=[1.0])
        report.machine["cpu_version"] = "family 1 model 2"
        entries = {"abacus, beads kernels": {"a": 1.0}}
        path.write_text(json.dumps(entries))
        assert regression.entry(path, report) == {"a": 1.0}
        entries["abacus, family 1 model 2, beads kernels"] = {"a": 0.5}
        path.write_text(json.dumps(entries))
        assert regression.entry(path, report) == {"a": 0.5}

    def test_measures_both_operations_of_guarded_shapes(self, near, monkeypatch):
        monkeypatch.setattr(regression, "GUARDED", ["3x2x4x5"])
        report = regression.measure()
        assert regression.shares(report).keys() == {"3x2x4x5 forward", "3x2x4x5 training"}
