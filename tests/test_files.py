"""Files: bits survive, hostile files do not get in, and a killed save leaves no half model."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

import crnn


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
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


def test_killed_in_the_middle_of_saving(tmp_path):
    """kill -9 at any moment: the path holds a whole model, old or new."""
    path = tmp_path / "m"
    crnn.RNN(4, 300, 4, rng=0).save(path)
    code = (
        "import crnn\nm = crnn.RNN(4, 300, 4, rng=1)\nprint(flush=True)\n"
        f"while True: m.save({str(path)!r})"
    )
    for delay in (0.0, 0.003, 0.01):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        child.wait()
        child.stdout.close()
        assert crnn.load(path).config.n_a == 300


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
            ({"num_layers": 10**9}, "tensors are not those"),
            ({"num_layers": -1}, "num_layers: expected"),
            ({"n_x": "3"}, "n_x: expected a whole number"),
            ({"dtype": "float64"}, "Waa: expected float64"),
            ({"dtype": None}, "dtype: expected"),
            ({"direction": ["forward"]}, "direction: expected"),
            ({"surprise": 1}, "configuration does not have the entries"),
        ],
    )
    def test_configurations_that_do_not_fit(self, tmp_path, changed, message):
        self.refused(self.write(tmp_path / "m", *self.good(**changed)), message)

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("", "Expecting value"),
            ("[" * 100_000, ""),
            ([], "no 'crnn' entry"),
            ({"format": 2}, "format 2, and this version reads 1"),
            ({"format": 1, "config": [], "metadata": {}}, "configuration does not have"),
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
