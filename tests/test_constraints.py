"""Masks and signs of weights: from the initial values, through training and files, to the bit."""

import contextlib
import copy
import json
import pickle
import signal

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import crnn
from crnn._network.constraints import Patterns, balanced

T, M, N_X, N_A, N_Y = 6, 8, 3, 10, 2
#: Four of five units excite, the others inhibit, and no unit has a connection to itself.
UNITS = np.where(np.arange(N_A) < 8, 1, -1)
NO_AUTAPSES = 1 - np.eye(N_A, dtype=int)
#: Inputs excite, and only excitatory units are read.
DALE = {
    "masks": {"Waa": NO_AUTAPSES, "Wya": UNITS > 0},
    "signs": {"Waa": UNITS, "Wax": 1, "Wya": UNITS},
}
OPTIMIZERS = [crnn.SGD(0.5), crnn.SGD(0.3, momentum=0.9), crnn.Adam(0.03)]


def data(m=M, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((T, m, N_X)), rng.integers(0, N_Y, m)


def closed(name, shape):
    return np.broadcast_to(np.asarray(DALE["masks"].get(name, 1)) == 0, shape)


def assert_dale(parameters):
    for name in ("Waa", "Wax", "Wya"):
        weight = parameters[name]
        sign = np.broadcast_to(DALE["signs"][name], weight.shape)
        assert (weight * sign >= 0).all(), name
        kept = weight[closed(name, weight.shape)]
        assert kept.tobytes() == bytes(kept.nbytes), f"{name}: not all bits are 0"


class TestTraining:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
    @pytest.mark.parametrize("options", [{}, {"cell": "leaky", "leak": 0.3, "noise": 0.5}], ids=str)
    def test_signs_and_masks_hold_exactly(self, dtype, optimizer, options):
        model = crnn.RNN(N_X, N_A, N_Y, activation="relu", dtype=dtype, rng=0, **DALE, **options)
        before = model.parameters["Waa"].copy()
        assert_dale(model.parameters)
        model.fit(*data(80), optimizer=optimizer, clip_norm=1.0, progress=False, rng=0)
        assert_dale(model.parameters)
        changed = model.parameters["Waa"] != before
        assert changed[~closed("Waa", changed.shape)].mean() > 0.9

    @pytest.mark.parametrize("kind", [crnn.SGD, crnn.RMSprop, crnn.Adam])
    @pytest.mark.parametrize("presses", [0, 1, 2])
    def test_they_hold_at_the_start_of_each_step_and_after_ctrl_c(self, kind, presses):
        """The parameters that a step gets are those that the step before left."""

        class Watched(kind):
            steps = 0

            def step(self, parameters, *arguments):
                assert_dale(model.parameters)
                super().step(parameters, *arguments)
                Watched.steps += 1
                for _ in range(presses if Watched.steps == 4 else 0):
                    signal.raise_signal(signal.SIGINT)

        model = crnn.RNN(N_X, N_A, N_Y, rng=0, **DALE)
        with pytest.raises(KeyboardInterrupt) if presses == 2 else contextlib.nullcontext():
            model.fit(*data(80), optimizer=Watched(0.05), epochs=4, progress=False, rng=0)
        assert Watched.steps == (4 if presses else 12)
        assert_dale(model.parameters)

    def test_a_stream_keeps_them_too(self):
        model = crnn.RNN(3, N_A, 3, steps="all", rng=0, **DALE)
        symbols = np.tile([0, 1, 2, 1], 50)
        model.fit_stream(symbols, batch_size=4, optimizer=crnn.Adam(0.1), progress=False)
        assert_dale(model.parameters)

    def test_weights_that_the_caller_assigned_are_brought_back(self):
        model = crnn.RNN(N_X, N_A, N_Y, rng=0, **DALE)
        model.parameters["Waa"] = -1.0
        model.parameters["Wya"] = -0.0
        model.fit(*data(), epochs=1, progress=False, rng=0)
        assert_dale(model.parameters)

    def test_layers_and_directions_have_their_own(self):
        names = ("Waa_l0", "Waa_l1_reverse")
        model = crnn.RNN(
            N_X, N_A, N_Y, num_layers=2, direction="bidirectional", rng=0,
            masks=dict.fromkeys(names, NO_AUTAPSES), signs=dict.fromkeys(names, UNITS),
        )  # fmt: skip
        model.fit(*data(), optimizer=crnn.Adam(0.03), progress=False, rng=0)
        for name, weight in model.parameters.items():
            if name.startswith("Waa"):
                assert ((weight * UNITS >= 0).all() and not np.diag(weight).any()) == (
                    name in names
                ), name

    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_gated_cells_take_a_mask_for_each_gate(self, cell):
        mask = np.random.default_rng(0).random((4 * N_A if cell == "lstm" else 3 * N_A, N_A)) < 0.5
        model = crnn.RNN(N_X, N_A, N_Y, cell=cell, masks={"Waa": mask}, rng=0)
        model.fit(*data(), optimizer=crnn.Adam(0.03), progress=False, rng=0)
        np.testing.assert_array_equal(model.parameters["Waa"] != 0, mask)

    def test_constraints_that_allow_everything_change_no_bit(self):
        free = {"masks": {"Waa": 1, "Wax": True}, "signs": {"Waa": 0, "Wya": np.zeros(N_A)}}
        trained = []
        for options in ({}, free):
            model = crnn.RNN(N_X, N_A, N_Y, rng=0)
            constrained = crnn.RNN(N_X, N_A, N_Y, rng=1, **options)
            for name, value in model.parameters.items():
                constrained.parameters[name] = value
            constrained.fit(*data(), optimizer=crnn.Adam(0.03), progress=False, rng=0)
            trained.append(constrained.parameters)
        for name, value in trained[0].items():
            np.testing.assert_array_equal(value, trained[1][name])


@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("options", [{}, {"cell": "leaky", "leak": 0.3}], ids=str)
def test_gradients_are_those_without_a_mask_and_0_where_it_is(steps, options):
    constrained = crnn.RNN(N_X, N_A, N_Y, steps=steps, dtype="float64", rng=0, **DALE, **options)
    free = crnn.RNN(N_X, N_A, N_Y, steps=steps, dtype="float64", rng=0, **options)
    for name, value in constrained.parameters.items():
        free.parameters[name] = value
    x, y = data()
    y = y if steps == "last" else np.tile(y, (T, 1))
    (loss, found), (expected_loss, expected) = (m.gradients(x, y) for m in (constrained, free))
    assert loss == expected_loss
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], np.where(closed(name, value.shape), 0, value))


class TestInitialValues:
    @pytest.mark.parametrize("init", ["orthogonal", "pytorch", "keras"])
    @pytest.mark.parametrize("n", [50, 400])
    def test_a_balanced_start_has_no_outlier_eigenvalue(self, init, n):
        """The naive start has one, which grows as the root of n; now all are in the free disk."""
        units = np.where(np.arange(n) < 0.8 * n, 1, -1)
        options = {"init": init, "dtype": "float64", "rng": 0}
        free = crnn.RNN(N_X, n, N_Y, **options).parameters["Waa"]
        radius = np.linalg.norm(free) / np.sqrt(n)
        naive = np.abs(np.linalg.eigvals(np.abs(free) * units)).max()
        assert naive > 0.4 * radius * np.sqrt(n)

        mask = 1 - np.eye(n)
        model = crnn.RNN(N_X, n, N_Y, masks={"Waa": mask}, signs={"Waa": units}, **options)
        Waa = model.parameters["Waa"]
        largest = np.abs(np.linalg.eigvals(Waa)).max()
        assert 0.9 * radius < largest < 1.0001 * radius
        np.testing.assert_allclose(Waa.sum(axis=1), 0, atol=1e-12)
        assert (Waa * units >= 0).all()
        assert not np.diag(Waa).any()

    def test_every_gate_is_balanced(self):
        n = 50
        units = np.where(np.arange(n) < 40, 1, -1)
        Waa = crnn.RNN(
            N_X, n, N_Y, cell="lstm", signs={"Waa": units}, dtype="float64", rng=0
        ).parameters["Waa"]
        for gate in np.split(Waa, 4):
            assert 0.9 < np.abs(np.linalg.eigvals(gate)).max() < 1.0001

    def test_without_inhibition_the_outlier_itself_is_scaled(self):
        Waa = crnn.RNN(N_X, 100, N_Y, signs={"Waa": 1}, rng=0).parameters["Waa"]
        assert (Waa > 0).all()
        assert np.abs(np.linalg.eigvals(Waa)).max() == pytest.approx(1, rel=0.02)

    def test_a_mask_alone_keeps_the_radius(self):
        mask = np.random.default_rng(1).random((200, 200)) < 0.1
        Waa = crnn.RNN(N_X, 200, N_Y, masks={"Waa": mask}, rng=0).parameters["Waa"]
        assert 0.9 < np.abs(np.linalg.eigvals(Waa)).max() < 1.0001
        np.testing.assert_array_equal(Waa != 0, mask)

    def test_a_mask_of_zeros_leaves_nothing(self):
        assert not crnn.RNN(N_X, N_A, N_Y, masks={"Waa": 0}, rng=0).parameters["Waa"].any()

    def test_a_mask_without_loops_keeps_the_size_of_the_entries(self):
        """All eigenvalues are 0 and cannot set the scale."""
        mask = np.tri(200, k=-1)
        Waa = crnn.RNN(N_X, 200, N_Y, masks={"Waa": mask}, rng=0).parameters["Waa"]
        assert np.linalg.norm(Waa) == pytest.approx(np.sqrt(200), rel=0.01)

    def test_free_entries_keep_their_signs(self):
        Waa = np.random.default_rng(0).standard_normal((N_A, N_A))
        sign = np.where(np.arange(N_A) < 5, UNITS, 0)
        found = balanced(Waa, np.ones_like(Waa, bool), np.broadcast_to(sign, Waa.shape))
        np.testing.assert_array_equal(np.sign(found[:, 5:]), np.sign(Waa[:, 5:]))

    def test_a_seed_gives_the_same_bits(self):
        first, second = (crnn.RNN(N_X, N_A, N_Y, rng=3, **DALE).parameters for _ in range(2))
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])


class TestFiles:
    def model(self):
        return crnn.RNN(N_X, N_A, N_Y, cell="leaky", leak=0.2, noise=0.1, rng=0, **DALE)

    def test_a_loaded_model_keeps_them_in_training(self, tmp_path):
        model = self.model()
        model.save(tmp_path / "m")
        loaded = crnn.load(tmp_path / "m")
        assert loaded.config == model.config
        for trained in (loaded, model):
            trained.fit(*data(), optimizer=crnn.Adam(0.05), progress=False, rng=0)
            assert_dale(trained.parameters)
        for name, value in model.parameters.items():
            np.testing.assert_array_equal(loaded.parameters[name], value)

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_copies_keep_them(self, copied):
        model = copied(self.model())
        assert model.config == self.model().config
        assert hash(model.config) == hash(self.model().config)
        model.fit(*data(), optimizer=crnn.Adam(0.05), progress=False, rng=0)
        assert_dale(model.parameters)

    def test_the_header_names_them_only_where_there_are_some(self, tmp_path):
        crnn.RNN(N_X, N_A, N_Y, rng=0).save(tmp_path / "free")
        assert b"masks" not in (tmp_path / "free").read_bytes()
        self.model().save(tmp_path / "m")
        with safe_open(tmp_path / "m", "numpy") as file:
            config = json.loads(file.metadata()["crnn"])["config"]
        assert config["masks"] == ["Waa", "Wya"]
        assert config["signs"] == ["Waa", "Wax", "Wya"]

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            ("masks.Waa", None, "its tensors are not those of its configuration"),
            ("masks.Wxx", np.ones(3, bool), "its tensors are not those of its configuration"),
            ("masks.Waa", np.ones(3, bool), r"masks\.Waa: expected BOOL of shape \(10, 10\)"),
            ("signs.Wax", np.ones((N_A, N_X), "f"), r"signs\.Wax: expected I8 of shape \(10, 3\)"),
            ("signs.Wax", np.full((N_A, N_X), 2, "b"), r"signs\['Wax'\]: expected numbers among"),
        ],
    )
    def test_a_file_whose_tensors_do_not_fit_is_refused(self, tmp_path, name, array, message):
        self.model().save(tmp_path / "m")
        with safe_open(tmp_path / "m", "numpy") as file:
            header = file.metadata()
        tensors = load_file(tmp_path / "m")
        tensors.pop(name, None)
        if array is not None:
            tensors[name] = array
        save_file(tensors, tmp_path / "m", header)
        with pytest.raises(ValueError, match=message):
            crnn.load(tmp_path / "m")

    @pytest.mark.parametrize(
        ("masks", "message"),
        [("Waa", "masks: expected a list of names"), ([1], "masks: expected a list of names")],
    )
    def test_a_header_that_does_not_fit_is_refused(self, tmp_path, masks, message):
        self.model().save(tmp_path / "m")
        with safe_open(tmp_path / "m", "numpy") as file:
            header = json.loads(file.metadata()["crnn"])
        header["config"]["masks"] = masks
        save_file(load_file(tmp_path / "m"), tmp_path / "m", {"crnn": json.dumps(header)})
        with pytest.raises(ValueError, match=message):
            crnn.load(tmp_path / "m")


def test_the_configuration_cannot_be_changed():
    mask = np.ones((N_A, N_A))
    config = crnn.RNN(N_X, N_A, N_Y, masks={"Waa": mask}, rng=0).config
    mask[...] = 0
    assert config.masks["Waa"].all()
    with pytest.raises(ValueError, match="read-only"):
        config.masks["Waa"][0, 0] = 0


def test_a_repr_shows_names_and_shapes():
    model = crnn.RNN(N_X, N_A, N_Y, rng=0, **DALE)
    assert "masks={'Waa': <bool (10, 10)>, 'Wya': <bool (2, 10)>}" in repr(model)


def test_patterns_are_compared_by_value():
    ones = Patterns({"Waa": np.ones(2)})
    assert ones == Patterns({"Waa": np.ones(2)})
    assert ones != Patterns({"Waa": np.zeros(2)})
    assert ones != Patterns({"Wax": np.ones(2)})
    assert ones != {"Waa": 1}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"masks": NO_AUTAPSES}, TypeError, "masks: expected a dict of names to arrays, got ndar"),
        ({"masks": {"ba": 1}}, ValueError, "masks: expected names among Waa, Wax, Wya, got 'ba'"),
        ({"signs": {0: 1}}, ValueError, "signs: expected names among Waa, Wax, Wya, got 0"),
        ({"masks": {"Waa": UNITS}}, ValueError, r"masks\['Waa'\]: expected numbers among 0, 1"),
        ({"signs": {"Waa": 0.5}}, ValueError, r"signs\['Waa'\]: expected numbers among"),
        ({"signs": {"Waa": "+"}}, ValueError, r"signs\['Waa'\]: expected numbers among"),
        ({"signs": {"Wax": UNITS}}, ValueError, r"signs\['Wax'\]: expected shape \(10, 3\)"),
        ({"signs": {"Waa": [np.nan] * N_A}}, ValueError, r"signs\['Waa'\]: expected numbers among"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        crnn.RNN(N_X, N_A, N_Y, rng=0, **options)
