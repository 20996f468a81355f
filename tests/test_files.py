"""Files: models are restored bit for bit, bad files are refused, and saving is atomic."""

import json
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

import crnn
from crnn._network.config import Config


@pytest.fixture
def model():
    model = crnn.RNN(3, 5, 2, num_layers=2, direction="bidirectional", steps="all", rng=0)
    model.metadata["labels"] = "ja\nnein é"
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_configuration_parameters_and_metadata_come_back_bit_for_bit(tmp_path, dtype):
    model = crnn.RNN(3, 5, 2, activation="relu", loss="mse", dtype=dtype, rng=0)
    model.metadata["note"] = "x"
    model.parameters["Waa"][0, 0] = np.nan
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = crnn.load(path)
    assert loaded.config == model.config
    assert loaded.metadata == model.metadata
    for name, p in model.parameters.items():
        assert loaded.parameters[name].tobytes() == p.tobytes()
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_the_same_model_gives_the_same_file(tmp_path, model):
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_loaded_model_goes_on_learning(tmp_path, model):
    model.save(tmp_path / "m")
    loaded = crnn.load(str(tmp_path / "m"))
    x, y = np.ones((4, 2, 3)), np.ones((4, 2), int)
    for m in (model, loaded):
        m.fit(x, y, epochs=2, progress=False, rng=0)
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))


def test_saving_over_a_link_keeps_the_link(tmp_path, model):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    model.save(link)
    assert link.is_symlink()
    assert crnn.load(target).config == model.config


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, model, monkeypatch):
    path = tmp_path / "m"
    model.save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        model.save(path)
    assert str(caught.value) == f"[Errno 28] No space left on device: '{path}'"
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


class TestKilledWhileSaving:
    """After kill -9 at any moment the path holds a complete model, old or new."""

    def save_in_a_child(self, path, code):
        code = f"import crnn, crnn._atomic, os, time\nm = crnn.RNN(4, 300, 4, rng=1)\n{code}"
        command = [sys.executable, "-c", code, str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def kill(self, child):
        child.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        child.wait()
        child.stdout.close()

    def test_half_way_through_writing(self, tmp_path):
        path = tmp_path / "m"
        crnn.RNN(4, 300, 4, rng=0).save(path)
        before = path.read_bytes()
        slow = """
import sys
class Slow:
    def __init__(self, *arguments): self.file = open(*arguments)
    def __enter__(self): return self
    def __exit__(self, *_): self.file.close()
    def write(self, content):
        self.file.write(content[:len(content) // 2])
        self.file.flush()
        print("half", flush=True)
        time.sleep(60)
crnn._atomic.open = Slow
m.save(sys.argv[1])
"""
        child = self.save_in_a_child(path, slow)
        assert child.stdout.readline() == "half\n"
        self.kill(child)
        (left,) = set(os.listdir(tmp_path)) - {"m"}
        assert left.endswith(".tmp")
        assert (tmp_path / left).stat().st_size == len(before) // 2
        assert path.read_bytes() == before

    def test_at_any_moment(self, tmp_path):
        path = tmp_path / "m"
        crnn.RNN(4, 300, 4, rng=0).save(path)
        again = "import sys\nprint(flush=True)\nwhile True: m.save(sys.argv[1])"
        for delay in (0.0, 0.003, 0.01):
            child = self.save_in_a_child(path, again)
            child.stdout.readline()
            time.sleep(delay)
            self.kill(child)
            assert crnn.load(path).config.n_a == 300


class TestSavesAtOnce:
    def test_one_that_begins_and_ends_within_another(self, tmp_path, monkeypatch):
        path = tmp_path / "m"
        first, second = (crnn.RNN(2, 3, 4, rng=seed) for seed in (0, 1))
        seen = []

        def fsync(_):
            if not seen:
                seen.append("the other saves")
                second.save(path)
                seen.append(crnn.load(path))

        monkeypatch.setattr(os, "fsync", fsync)
        first.save(path)
        for saved, model in ((seen[1], second), (crnn.load(path), first)):
            np.testing.assert_array_equal(saved.parameters["Waa"], model.parameters["Waa"])
        assert os.listdir(tmp_path) == ["m"]

    def test_of_many_threads(self, tmp_path):
        path = tmp_path / "m"
        models = [crnn.RNN(2, 30, 4, rng=seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                list(pool.map(lambda model: model.save(path), models))
                crnn.load(path)
        assert os.listdir(tmp_path) == ["m"]


@pytest.mark.skipif(os.name != "posix", reason="permissions")
class TestPermissions:
    def mode(self, path):
        return stat.S_IMODE(path.stat().st_mode)

    def test_of_a_new_file_are_those_the_umask_leaves(self, tmp_path, model):
        before = os.umask(0o027)
        try:
            model.save(tmp_path / "m")
        finally:
            os.umask(before)
        assert self.mode(tmp_path / "m") == 0o640

    @pytest.mark.parametrize("mode", [0o600, 0o664])
    def test_of_an_existing_file_are_kept(self, tmp_path, model, mode):
        path = tmp_path / "m"
        path.write_bytes(b"old")
        path.chmod(mode)
        model.save(path)
        assert self.mode(path) == mode
        assert crnn.load(path).config == model.config


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path, model):
    model.save(tmp_path / ("m" * 250))
    assert os.listdir(tmp_path) == ["m" * 250]


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": None}, {"a": b"b"}, ["a"], None])
def test_metadata_that_are_not_strings_are_refused(tmp_path, model, metadata):
    model.metadata = metadata
    with pytest.raises(TypeError, match="metadata: expected"):
        model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", ".", "none/m", "m" * 300, "file/m"])
def test_paths_that_cannot_be_files_are_refused(tmp_path, model, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"^\[Errno"):
        model.save(name)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "a pipe", "a folder", "a missing file"])
def test_what_is_no_file_is_refused_with_its_path(tmp_path, name):
    """And a pipe is not waited for."""
    os.mkfifo(tmp_path / "a pipe")
    (tmp_path / "a folder").mkdir()
    path = name if name.startswith("/") else str(tmp_path / name)
    with pytest.raises(OSError, match=re.escape(repr(path))) as error:
        crnn.load(path)
    assert error.value.filename == path


def test_an_empty_file_is_refused_with_its_path(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 'empty'))}: not a model"):
        crnn.load(tmp_path / "empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_or_a_device_is_not_renamed_over(tmp_path, model):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):
        model.save(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@dataclass(frozen=True)
class NewerConfig(Config):
    """What a later version of crnn might have: one more field."""

    horizon: float = 1.0


class TestOtherVersions:
    """The first new field of a configuration breaks no file, of a new version or an old one."""

    def save(self, path, **fields):
        model = crnn.RNN(2, 3, 4, rng=0)
        config = NewerConfig(**asdict(model.config), **fields)
        crnn.files.save(path, config, model.parameters, {})

    def test_an_older_version_reads_a_model_that_does_not_need_the_new_field(self, tmp_path):
        self.save(tmp_path / "m")
        assert crnn.load(tmp_path / "m").config == Config(2, 3, 4)

    def test_an_older_version_refuses_a_model_that_needs_it_and_names_the_field(self, tmp_path):
        self.save(tmp_path / "m", horizon=0.5)
        with pytest.raises(ValueError, match="configuration has 'horizon': it needs a newer crnn"):
            crnn.load(tmp_path / "m")

    def test_a_newer_version_reads_older_files_and_its_own(self, tmp_path, monkeypatch):
        crnn.RNN(2, 3, 4, rng=0).save(tmp_path / "old")
        self.save(tmp_path / "new", horizon=0.5)
        monkeypatch.setattr(crnn.files, "Config", NewerConfig)
        assert crnn.load(tmp_path / "old").config == NewerConfig(2, 3, 4)
        assert crnn.load(tmp_path / "new").config == NewerConfig(2, 3, 4, horizon=0.5)

    def test_files_are_those_of_0_1_0(self, tmp_path):
        """Versions that know exactly the fields of 0.1.0 refuse a file with any other set."""
        crnn.RNN(2, 3, 4, rng=0).save(tmp_path / "m")
        with safe_open(tmp_path / "m", framework="numpy") as file:
            header = json.loads(file.metadata()["crnn"])
        assert header == {
            "format": 1,
            "config": {
                "n_x": 2, "n_a": 3, "n_y": 4, "num_layers": 1, "direction": "forward",
                "activation": "tanh", "steps": "last", "loss": "cross_entropy", "dtype": "float32",
            },
            "metadata": {},
        }  # fmt: skip

    @pytest.mark.parametrize("left_out", ["num_layers", "direction", "activation", "steps", "loss"])
    def test_a_field_that_is_missing_has_its_default(self, tmp_path, left_out):
        model = crnn.RNN(2, 3, 4, rng=0)
        config = asdict(model.config)
        del config[left_out]
        header = {"format": 1, "config": config, "written by": "somebody"}  # and no metadata
        content = to_bytes(dict(model.parameters), {"crnn": json.dumps(header)})
        (tmp_path / "m").write_bytes(content)
        loaded = crnn.load(tmp_path / "m")
        assert loaded.config == model.config
        assert loaded.metadata == {}


class TestHostile:
    def write(self, path, header, tensors):
        crnn_entry = header if isinstance(header, str) else json.dumps(header)
        path.write_bytes(to_bytes(tensors, {"crnn": crnn_entry}))
        return path

    def good(self, **changed):
        model = crnn.RNN(2, 3, 4, rng=0)
        config = {name: getattr(model.config, name) for name in model.config.__dataclass_fields__}
        return (
            {"format": 1, "config": {**config, **changed}, "metadata": {}},
            dict(model.parameters),
        )

    def refused(self, path, message):
        with pytest.raises(ValueError, match="not a model of crnn's, or damaged: .*" + message):
            crnn.load(path)

    def test_every_truncation_is_refused(self, tmp_path, model):
        path = tmp_path / "m"
        model.save(path)
        content = path.read_bytes()
        for length in [*range(20), len(content) // 2, len(content) - 1]:
            path.write_bytes(content[:length])
            self.refused(path, "")

    def test_every_flipped_byte_of_the_header_is_refused_or_harmless(self, tmp_path):
        path = tmp_path / "m"
        crnn.RNN(2, 3, 4, rng=0).save(path)
        content = path.read_bytes()
        for k in range(8 + int.from_bytes(content[:8], "little")):
            damaged = bytearray(content)
            damaged[k] ^= 0x15
            path.write_bytes(damaged)
            try:
                loaded = crnn.load(path)
            except ValueError:
                continue
            assert loaded.parameters["Waa"].shape == (3, 3)

    def test_nothing_is_unpickled(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (exec, ("raise SystemExit('unpickled')",))

        path = tmp_path / "m"
        path.write_bytes(pickle.dumps(Bomb()))
        self.refused(path, "")

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"n_a": 10**9}, "Waa: expected"),
            ({"num_layers": 10**4}, "tensors are not those"),
            ({"num_layers": 10**9}, "num_layers: expected a whole number <= 10000"),
            ({"num_layers": -1}, "num_layers: expected"),
            ({"n_x": "3"}, "n_x: expected a whole number"),
            ({"dtype": "float64"}, "Waa: expected float64"),
            ({"dtype": None}, "dtype: expected"),
            ({"dtype": ","}, "dtype: expected 'float32' or 'float64', got ','"),
            ({"dtype": "f4"}, "dtype: expected"),
            ({"dtype": ["float32"]}, "dtype: expected"),
            ({"n_x": True}, "n_x: expected a whole number"),
            ({"direction": ["forward"]}, "direction: expected"),
            ({"surprise": 1}, "configuration has 'surprise': it needs a newer crnn"),
            (
                {"loss": {"name": "huber", "two\nlines": 1}},
                "unexpected keyword argument 'two lines'",
            ),
        ],
    )
    def test_configurations_that_do_not_fit(self, tmp_path, changed, message):
        self.refused(self.write(tmp_path / "m", *self.good(**changed)), message)

    def test_the_leak_of_a_damaged_file_takes_no_memory(self, tmp_path):
        """It is one number: no array of n_a is made before n_a is known to be right."""
        path = self.write(tmp_path / "m", *self.good(cell="leaky", leak=0.5, n_a=2**24))
        tracemalloc.start()
        try:
            self.refused(path, "Waa: expected")
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("", "Expecting value"),
            ("[" * 100_000, ""),
            ([], "no 'crnn' entry"),
            ({"format": 2}, "format 2, and this version reads 1"),
            ({"format": True}, "format True, and this version reads 1"),
            ({"format": 1.0}, r"format 1\.0, and this version reads 1"),
            ({"format": 1, "config": [], "metadata": {}}, "configuration is not a mapping"),
            ({"format": 1, "metadata": {}}, "configuration is not a mapping"),
            ({"format": 1, "config": {"n_x": 2}}, "configuration lacks 'n_a', 'n_y'"),
            ({"format": 1, "config": {}, "metadata": {"a": 1}}, "metadata are not strings"),
        ],
    )
    def test_headers_that_do_not_fit(self, tmp_path, header, message):
        self.refused(self.write(tmp_path / "m", header, self.good()[1]), message)

    def test_tensors_that_do_not_fit(self, tmp_path):
        header, tensors = self.good()
        self.refused(self.write(tmp_path / "m", header, {**tensors, "more": np.zeros(1)}), "")
        del tensors["by"]
        self.refused(self.write(tmp_path / "m", header, tensors), "tensors are not those")

    def test_a_foreign_safetensors_file(self, tmp_path):
        (tmp_path / "m").write_bytes(to_bytes({"a": np.zeros(2)}))
        self.refused(tmp_path / "m", "no 'crnn' entry")

    def test_missing_files_and_folders_are_pythons_own_errors(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            crnn.load(tmp_path / "none")
        with pytest.raises(OSError, match=r"directory|denied"):
            crnn.load(tmp_path)


class TestStateOfATraining:
    """A file may hold a training's state beside the model."""

    STATE = crnn.files.Training(
        {"version": 1, "rng": np.random.default_rng(0).bit_generator.state, "best": float("inf")},
        {"memory.m": np.arange(5.0), "memory.t": np.zeros((), "int8")},
    )

    @pytest.fixture
    def path(self, tmp_path, model):
        crnn.files.save(tmp_path / "m", model.config, model.parameters, {"a": "b"}, self.STATE)
        return tmp_path / "m"

    def test_comes_back_bit_for_bit(self, path, model):
        config, parameters, metadata, state = crnn.files.load_training(path)
        assert (config, metadata) == (model.config, {"a": "b"})
        assert all((parameters[name] == p).all() for name, p in model.parameters.items())
        assert state.entry == self.STATE.entry
        assert state.tensors.keys() == self.STATE.tensors.keys()
        for name, a in self.STATE.tensors.items():
            assert (state.tensors[name].dtype, state.tensors[name].shape) == (a.dtype, a.shape)
            assert state.tensors[name].tobytes() == a.tobytes()

    def test_load_reads_the_model_and_save_writes_the_model_alone(self, path, model):
        loaded = crnn.load(path)
        np.testing.assert_array_equal(loaded.parameters["Wya"], model.parameters["Wya"])
        loaded.save(path)
        assert crnn.files.load_training(path)[3] is None

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
    def test_a_truncated_file_is_refused(self, path, share):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match="not a model of crnn's, or damaged"):
            crnn.files.load_training(path)
