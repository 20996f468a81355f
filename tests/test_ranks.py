"""Training by several processes: they agree, with and without shards, and they end together."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mpi_cases
import numpy as np
import pages
import pytest

import crnn

CASES = [case.__name__ for case in mpi_cases.SAME]
#: Those that draw none: it is drawn for each shard.
WITHOUT_NOISE = [name for name in CASES if name not in ("weighted", "grouped")]


def mpiexec():
    """The program that starts the processes, or None."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or mpiexec() is None, reason="no mpi4py or mpiexec"
)


def start(folder, ranks, case):
    """Run a case of mpi_cases.py; a rank that waits forever fails the test after a minute."""
    command = [mpiexec(), "-n", str(ranks), sys.executable, mpi_cases.__file__, folder, case]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, check=False
    )


def results(folder, ranks, case):
    """What each rank of a case found."""
    done = start(folder, ranks, case)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory):
    """What 2 and 4 ranks found, for every case."""
    return {n: results(tmp_path_factory.mktemp("ranks"), n, "every_case") for n in (2, 4)}


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """How each of two ranks ended, for everything that goes wrong."""
    return results(tmp_path_factory.mktemp("failures"), 2, "failures")


@pytest.mark.parametrize("case", WITHOUT_NOISE)
def test_shards_agree_with_whole_batches(case):
    case = getattr(mpi_cases, case)
    whole, cut = (mpi_cases.found(case, shards=shards) for shards in (None, 4))
    np.testing.assert_allclose(cut["numbers"], whole["numbers"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cut["losses"], whole["losses"], rtol=1e-5)


def test_shards_draw_dropout():
    x, y, *_ = mpi_cases.examples()
    found = []
    for dropout in (0.0, 0.5):
        model = crnn.RNN(3, 8, 2, num_layers=2, dropout=dropout, rng=0)
        model.fit(x, y, shards=2, rng=0, **mpi_cases.QUIET)
        found.append(model.parameters["Waa_l0"].copy())
    assert (found[0] != found[1]).any()


def test_each_batch_of_a_step_begins_at_the_initial_state():
    """As without shards, in float64 to its rounding: no state passes from batch to batch."""
    x, y, lengths, _ = mpi_cases.examples()
    found = []
    for shards in (None, 1, 2):
        model = crnn.RNN(3, 8, 2, dtype="float64", rng=0)
        model.fit(
            x, y, lengths=lengths, batch_size=8, accumulate=3, shards=shards, rng=0,
            **mpi_cases.QUIET,
        )  # fmt: skip
        found.append(model.parameters["Waa"].copy())
    for waa in found[1:]:
        np.testing.assert_allclose(waa, found[0], rtol=1e-9, atol=1e-12)


def test_uneven_shards_have_the_gradient_of_the_whole_batch():
    """In float64 to its rounding: shards of unequal sizes, lengths and weights."""
    x, y, lengths, w = mpi_cases.examples()
    models = [crnn.RNN(3, 8, 2, dtype="float64", rng=0) for _ in range(2)]
    for model, shards in zip(models, (None, 5), strict=True):
        model.fit(x, y, lengths=lengths, sample_weight=w, batch_size=12, epochs=1, progress=False,
                  rng=0, shards=shards)  # fmt: skip
    for name, p in models[0].parameters.items():
        np.testing.assert_allclose(models[1].parameters[name], p, rtol=1e-10, atol=1e-14)


@needs_mpi
class TestAgreement:
    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("ranks", [2, 4])
    def test_shards_give_the_bits_of_one_process(self, of_ranks, ranks, case):
        expected = mpi_cases.found(getattr(mpi_cases, case), shards=4)
        for found in of_ranks[ranks]:
            assert found[f"{case} 4"] == expected

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("ranks", [2, 4])
    def test_all_ranks_end_with_the_same_model_and_history(self, of_ranks, ranks, case):
        first, *others = (found[f"{case} None"] for found in of_ranks[ranks])
        assert all(other == first for other in others)

    @pytest.mark.parametrize("case", WITHOUT_NOISE)
    @pytest.mark.parametrize("ranks", [2, 4])
    def test_without_shards_they_agree_with_one_process_to_rounding(self, of_ranks, ranks, case):
        alone = mpi_cases.found(getattr(mpi_cases, case))
        found = of_ranks[ranks][0][f"{case} None"]
        np.testing.assert_allclose(found["numbers"], alone["numbers"], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-5)


@needs_mpi
class TestEnds:
    def test_arguments_that_differ_are_named_on_all_ranks(self, failures):
        message = "ValueError: batch_size: expected the same on all ranks, got 6 on rank 0 and 7"
        assert all(found["other arguments"].startswith(message) for found in failures)

        message = "ValueError: x: expected the same on all ranks, got 'float"
        assert all(found["other arrays"].startswith(message) for found in failures)

    def test_an_error_on_one_rank_is_quoted_by_the_others(self, failures):
        bad = "ValueError: epochs: expected a whole number >= 1, got 0"
        assert failures[1]["a bad argument"] == bad
        assert failures[0]["a bad argument"] == f"RuntimeError: rank 1 of 2 failed: {bad}"
        full = "OSError: the disk is full"
        assert failures[0]["callback"] == full
        assert failures[1]["callback"] == f"RuntimeError: rank 0 of 2 failed: {full}"
        assert failures[1]["gradient"] == full
        assert failures[0]["gradient"] == f"RuntimeError: rank 1 of 2 failed: {full}"

    def test_an_iterable_that_fails_on_one_rank_ends_all(self, failures):
        bad = "ValueError: batch 1 y: expected shape (12,), got int64 of shape (11,)"
        assert failures[1]["a bad batch"].startswith(bad)
        assert failures[0]["a bad batch"].startswith(f"RuntimeError: rank 1 of 2 failed: {bad}")

    def test_a_rank_may_have_more_batches_than_the_others(self, failures):
        expected = mpi_cases.unequal()
        for found in failures:
            for one, other in zip(found["more batches"], expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)

    def test_a_divergence_ends_all_ranks_with_the_same_message(self, failures):
        first, second = (found["divergence"] for found in failures)
        assert first == second
        assert first.startswith("DivergenceError: x: expected finite numbers, got nan")

    def test_ctrl_c_on_one_rank_ends_all_after_the_same_step(self, failures):
        assert [found["interrupt"] for found in failures] == ["interrupted: True, epochs 1"] * 2

    def test_bad_arguments(self, failures):
        for found in failures:
            assert found["few rows"] == (
                "ValueError: batch_size: expected at least one row for each of the 2 ranks, got 1"
            )
            assert found["few shards"] == (
                "ValueError: shards: expected at least one for each of the 2 ranks, got 1"
            )
            assert found["inspect"] == (
                "ValueError: inspect: expected False with comm or shards, got True"
            )

    def test_threads_of_all_ranks_are_no_more_than_the_cores(self, failures):
        most = max(1, mpi_cases.cores() // 2)
        assert [found["threads"] for found in failures] == [[most]] * 2

    def test_a_rank_that_is_killed_ends_all_and_the_file_is_good(self, tmp_path):
        done = start(tmp_path, 2, "dies")
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        resumed, _ = mpi_cases.saved(tmp_path / "killed.safetensors", lambda: None, shards=4)
        never_stopped, _ = mpi_cases.saved(tmp_path / "other", lambda: None, shards=4)
        assert mpi_cases.bits(resumed) == mpi_cases.bits(never_stopped)

    def test_an_error_of_mpi_is_one_line(self, tmp_path):
        done = start(tmp_path, 2, "lost")
        assert done.returncode != 0
        says = "crnn: rank 1 of 2: another process ended or cannot be reached (MPI: "
        assert says in done.stderr
        assert "Traceback" not in done.stderr

    def test_an_error_that_no_sum_can_tell_ends_all_with_its_message(self, tmp_path):
        done = start(tmp_path, 2, "alone")
        assert done.returncode != 0
        assert "crnn: rank 1 of 2 failed: OSError: the disk is full; all ranks end" in done.stderr

    def test_the_first_rank_alone_draws_and_prints(self, tmp_path):
        done = start(tmp_path, 2, "printed")
        assert done.returncode != 0
        assert done.stderr.count("ValueError: epochs: expected a whole number >= 1, got 0") == 1
        assert done.stderr.count("epoch 2/2: 100%") == 1


@needs_mpi
def test_a_training_that_was_stopped_goes_on_with_the_same_bits(tmp_path):
    """On as many ranks as before, and in one process."""
    found = results(tmp_path, 2, "resumed")
    never_stopped, _ = mpi_cases.saved(tmp_path / "other", lambda: None, shards=4)
    expected = mpi_cases.bits(never_stopped)
    for of_rank in found:
        assert of_rank["Ctrl-C"] == {"ends": "interrupted: True, epochs 1", "bits": expected}
        assert of_rank["SIGTERM"]["bits"] == expected
    assert found[1]["SIGTERM"]["ends"] == "OSError: terminated"
    assert found[0]["SIGTERM"]["ends"] == "RuntimeError: rank 1 of 2 failed: OSError: terminated"
    for name in ("Ctrl-C", "SIGTERM"):
        model, history = mpi_cases.saved(tmp_path / f"{name}.copy", lambda: None, shards=4)
        assert mpi_cases.bits(model) == expected
        assert len(history.loss) == 2


@needs_mpi
def test_the_page_runs_in_one_process_and_its_script_in_several(tmp_path):
    page = Path(__file__).parent.parent / "docs" / "scaling.md"
    names = pages.run_python(page)
    script = tmp_path / "train.py"
    script.write_text(pages.blocks(page.read_text("utf-8"), "python")[0], "utf-8")
    command = [mpiexec(), "-n", "2", sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("accuracy 0.9")
    assert names["comm"].size == 1


@needs_mpi
class TestCommand:
    """``mpiexec -n 2 crnn train``."""

    @pytest.fixture
    def crnn_train(self, tmp_path):
        """A function that runs `crnn train` on a small text, in some processes."""
        (tmp_path / "text.txt").write_text("to be or not to be, that is the question\n" * 30)

        def run(ranks, *arguments):
            small = ["--text", "text.txt", "--hidden", "8", "--steps", "16", "--batch", "8"]
            command = [mpiexec(), "-n", str(ranks)] if ranks > 1 else []
            command += [sys.executable, "-m", "crnn", "train", *small, "--length", "10", *arguments]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
            )

        return run

    def test_the_first_process_prints_and_the_bits_are_those_of_one(self, crnn_train, tmp_path):
        done = crnn_train(2, "--shards", "2", "--epochs", "2", "--out", "two")
        assert (done.returncode, done.stdout.count("epoch 2/2")) == (0, 1), done.stderr
        assert done.stderr.count("epoch 2/2: 100%") == 1
        more = crnn_train(2, "--shards", "2", "--resume", "two", "--epochs", "3")
        assert (more.returncode, more.stdout.count("epoch 3/3")) == (0, 1), more.stderr
        assert crnn_train(1, "--shards", "2", "--epochs", "3", "--out", "one").returncode == 0
        one, two = (crnn.load(tmp_path / name).parameters for name in ("one", "two"))
        assert all(np.array_equal(one[name], p) for name, p in two.items())

    def test_a_training_of_two_goes_on_in_one_with_as_many_shards(self, crnn_train):
        assert crnn_train(2, "--epochs", "1", "--out", "two").returncode == 0
        done = crnn_train(1, "--resume", "two", "--epochs", "2")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            2,
            "crnn train: --shards: two has a training with sums of 2 parts, which --shards 2 "
            "continues; --start two begins a new training with its model",
        )
        done = crnn_train(1, "--resume", "two", "--epochs", "2", "--shards", "2")
        assert (done.returncode, done.stdout.count("epoch 2/2")) == (0, 1), done.stderr

    def test_errors_are_printed_once(self, crnn_train):
        done = crnn_train(2, "--text", "missing.txt")
        assert done.returncode == 2
        assert done.stderr.count("crnn train: missing.txt: No such file or directory\n") == 1
        assert "rank" not in done.stderr
        diverged = crnn_train(2, "--lr", "1e30", "--clip", "0", "--quiet")
        assert diverged.returncode == 1
        assert diverged.stderr.count("crnn train: training diverged at step") == 1

    def test_processes_that_cannot_reach_each_other_are_refused(self, crnn_train, monkeypatch):
        monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
        done = crnn_train(1)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "crnn train: 2 processes were started, but each one is alone: the launcher does not fit"
        )

    def test_every_process_has_rows(self, crnn_train):
        done = crnn_train(1, "--shards", "9")
        assert (done.returncode, done.stderr) == (
            2, "crnn train: --batch: expected a row for each of 9 processes or shards, got 8\n"
        )  # fmt: skip


@pytest.mark.parametrize("comm", [0, "world", object()])
def test_anything_but_a_communicator_is_refused(comm):
    x, y, *_ = mpi_cases.examples(4)
    model = crnn.RNN(3, 4, 2, rng=0)
    with pytest.raises(TypeError, match="comm: expected a communicator of mpi4py"):
        model.fit(x, y, comm=comm, progress=False)
    with pytest.raises(ValueError, match="shards: expected a whole number >= 1, got 0"):
        model.fit(x, y, shards=0, progress=False)
