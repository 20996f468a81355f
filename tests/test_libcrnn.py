"""libcrnn: what it exports, and steppers, whose answers are the bits of `stream.step`."""

import ctypes
import json
import locale
import os
import re
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from c_record import (
    ALIGNMENT,
    CELL,
    DTYPE,
    LEAK,
    NOT_A_MODEL,
    NULL,
    OK,
    OPTION,
    SIZE,
    SYMBOL,
    UNREADABLE,
    UNSUPPORTED,
    VERSION,
    wrong_values,
)
from libcrnn import (
    ARRAYS,
    CELLS,
    DTYPES,
    ROOT,
    Sizes,
    Stepper,
    Weights,
    load,
    need,
    run,
)

import crnn
from crnn._engine.stream import LINKS

HEADERS = [ROOT / "src/crnn/include" / name for name in ("crnn.h", "crnn_stepper.h")]


@pytest.fixture(scope="module")
def library(prefix):
    return load(prefix)


def some_model(rng=0, n_x=5, n_a=9, n_y=4, **options):
    """A model none of whose parameters is 0."""
    model = crnn.RNN(n_x, n_a, n_y, rng=rng, **options)
    draw = np.random.default_rng(rng)
    for p in model.parameters.values():
        p[...] = draw.uniform(-0.5, 0.5, p.shape)
    return model


def saved(model, folder):
    path = folder / "model.safetensors"
    model.save(path)
    return path.read_bytes()


def of_memory(library, model, data, m=1):
    return Stepper(library, model, "create_from_memory", data, len(data), m)


def inputs(model, m, steps=4):
    """Floats (m, n_x), then symbols (m,)."""
    rng, n_x = np.random.default_rng(1), model.config.n_x
    for k in range(steps):
        if k % 2 == 0:
            yield rng.standard_normal((m, n_x)).astype(model.config.np_dtype)
        else:
            yield rng.integers(0, n_x, m)


def assert_as_in_python(stepper, model, m):
    assert stepper.status == OK
    stream = model.stream(m)
    for x in inputs(model, m):
        np.testing.assert_array_equal(stepper.step(x, m), stream.step(x))
    np.testing.assert_array_equal(stepper.state(), stream._stepper.read_states().ravel())
    stepper.close()


def functions():
    """The functions that the headers declare."""
    text = "".join(path.read_text(encoding="utf-8") for path in HEADERS)
    return set(re.findall(r"^CRNN_API [^;(]*?(crnn_\w+)\(", text, re.M))


class TestTheLibrary:
    def test_has_no_symbol_of_python_and_exports_what_the_headers_declare(self, prefix):
        for name in ("libcrnn.so", "libcrnn.a"):
            symbols = run("nm", prefix / "lib" / name)
            assert " crnn_stepper_step" in symbols
            assert not re.search(r"\b_?Py|Cython|pyx", symbols)
        exported = run("nm", "-D", "--defined-only", prefix / "lib" / "libcrnn.so").splitlines()
        assert {line.split()[-1] for line in exported} == functions()
        archived = run("nm", "-g", "--defined-only", prefix / "lib" / "libcrnn.a").splitlines()
        names = {line.split()[-1] for line in archived if line and not line.endswith(":")}
        assert {name for name in names if not name.startswith("crnn_")} == set()

    def test_versions(self, library, prefix):
        assert library.crnn_version().decode() == crnn.__version__
        assert library.crnn_stepper_version() == 1
        need("readelf")
        named = run("readelf", "-d", prefix / "lib" / "libcrnn.so")
        assert f"[libcrnn.so.{library.crnn_stepper_version()}]" in named

    def test_no_call_looks_for_a_function(self, prefix):
        """All are found when the library is loaded: the first call may be in an audio thread."""
        need("readelf")
        shared = prefix / "lib" / "libcrnn.so"
        assert re.search(r"\(FLAGS_1\).*NOW", run("readelf", "-d", shared))
        assert " crnn_" not in run("readelf", "-r", shared)  # it calls its own functions directly

    def test_kernels_and_threads_are_set_by_name_and_number(self, library):
        assert library.crnn_kernels_name().decode() in ("avx512", "avx2", "neon", "portable")
        assert library.crnn_select_kernels(b"sse9") == OPTION
        assert library.crnn_set_num_threads(0) == OPTION
        assert library.crnn_set_num_threads(1) == OK


class TestBits:
    """Of every cell, table of kernels and kind of output layer."""

    @pytest.fixture
    def both(self, library, table):
        """The library on the kernels that Python steps with."""
        name = None if table == "blas" else table.encode()  # a stream has the best below BLAS
        assert library.crnn_select_kernels(name) == OK
        yield library
        assert library.crnn_select_kernels(None) == OK

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("cell", CELLS)
    def test_from_a_file(self, both, cell, dtype, tmp_path):
        kinds = [{"num_layers": 1, "n_a": 33}, {"num_layers": 2, "initial_state": "trained"}]
        if cell == "leaky":
            leak = np.linspace(0.1, 1, 9).tolist()
            kinds += [{"equation": "current"}, {"leak": leak, "activation": "relu"}]
        if cell == "vanilla":
            kinds += [{"activation": "relu"}]
        for m, kind in enumerate(kinds, 1):
            options = {"leak": 0.3} if cell == "leaky" else {}
            model = some_model(cell=cell, dtype=dtype, **{**options, **kind})
            assert_as_in_python(of_memory(both, model, saved(model, tmp_path), m), model, m)

    @pytest.mark.parametrize(
        "loss",
        ["cross_entropy", "binary_cross_entropy", "mse", "mae", crnn.Huber(2.0), "gaussian_nll",
         crnn.Quantiles((0.1, 0.5))],
        ids=str,
    )  # fmt: skip
    def test_every_output_layer(self, both, loss, tmp_path):
        model = some_model(loss=loss, steps="all")
        assert_as_in_python(of_memory(both, model, saved(model, tmp_path), 3), model, 3)

    def test_masks_signs_and_the_state_of_a_training_are_skipped(self, library, tmp_path):
        mask = np.ones((9, 9), bool)
        mask[0, 1] = False
        model = some_model(masks={"Waa": mask}, loss="mse")
        assert_as_in_python(of_memory(library, model, saved(model, tmp_path)), model, 1)
        model = crnn.RNN(5, 9, 4, loss="mse", rng=0)
        x, y = np.ones((6, 4, 5), "float32"), np.ones((4, 4), "float32")
        path = tmp_path / "training.safetensors"
        model.fit(x, y, epochs=1, optimizer=crnn.Adam(), checkpoint=path, progress=False)
        assert b"training." in path.read_bytes()
        assert_as_in_python(of_memory(library, crnn.load(path), path.read_bytes()), model, 1)


def record(model):
    """A model's weights as crnn_stepper_weights, and what must stay alive."""
    config, kept = model.config, []

    def pointers(name):
        own = [r.of(model.parameters).get(name) for r in config.recurrences()]
        if own[0] is None:
            return None
        array = (ctypes.c_void_p * len(own))(*(p.ctypes.data for p in own))
        kept.append((own, array))
        return array

    weights = Weights(struct_size=ctypes.sizeof(Weights), dtype=DTYPES[config.dtype])
    weights.cell, weights.link = CELLS.index(config.cell), LINKS[config.objective.link]
    weights.n_x, weights.n_a, weights.n_y = config.n_x, config.n_a, config.n_y
    weights.num_layers = config.num_layers
    for name in ARRAYS:
        setattr(weights, name, pointers(name))
    weights.Wya, weights.by = (model.parameters[name].ctypes.data for name in ("Wya", "by"))
    if config.cell == "leaky":
        kept.append(np.full(config.n_a, config.leak, config.dtype))
        weights.leak = kept[-1].ctypes.data
    return weights, kept


class TestFromWeights:
    @pytest.mark.parametrize("cell", CELLS)
    def test_the_same_bits(self, library, cell):
        options = {"leak": 0.3} if cell == "leaky" else {}
        model = some_model(cell=cell, num_layers=2, initial_state="trained", **options)
        weights, _kept = record(model)
        assert_as_in_python(Stepper(library, model, "create", ctypes.byref(weights), 2), model, 2)

    @pytest.mark.parametrize(
        ("field", "value", "status"),
        [
            ("struct_size", 8, VERSION), ("dtype", 3, DTYPE), ("cell", 4, CELL), ("cell", -1, CELL),
            ("equation", 1, CELL), ("activation", 2, OPTION), ("link", 4, OPTION),
            ("n_x", 0, SIZE), ("n_a", 2**31, SIZE), ("n_y", -1, SIZE), ("num_layers", 0, SIZE),
            ("num_layers", 10_001, SIZE), ("Waa", None, NULL), ("Wax", None, NULL),
            ("Wya", None, NULL), ("Wya", 2, ALIGNMENT), ("leak", 4, CELL),
        ],
    )  # fmt: skip
    def test_refused(self, library, field, value, status):
        weights, _kept = record(some_model())
        setattr(weights, field, value)
        stepper = Stepper(library, None, "create", ctypes.byref(weights), 1)
        assert stepper.status == status
        assert stepper.handle.value is None

    def test_the_words_of_a_status_name_the_field(self, library):
        weights, _kept = record(some_model(cell="leaky", leak=0.5))
        refused = set()
        for field in wrong_values(weights):
            stepper = Stepper(library, None, "create", ctypes.byref(weights), 1)
            if stepper.status != OK:
                refused.add(field)
                words = library.crnn_status_message(stepper.status).decode()
                assert re.search(rf"\b{field}\b", words), f"{field}: {words}"
            stepper.close()
        assert refused == {field for field, _ in Weights._fields_} - {"ba", "baa", "a0", "c0"}

    def test_a_leak_out_of_range(self, library):
        weights, kept = record(some_model(cell="leaky", leak=0.5))
        kept[-1][3] = np.nan
        assert Stepper(library, None, "create", ctypes.byref(weights), 1).status == LEAK


class TestState:
    def test_reset_all_or_one_row_and_set(self, library, tmp_path):
        model = some_model(cell="lstm", num_layers=2, initial_state="trained")
        stepper = of_memory(library, model, saved(model, tmp_path), 3)
        stream, x = model.stream(3), np.ones((3, 5), "float32")
        first = stepper.step(x, 3)
        middle = stepper.state()
        second = stepper.step(x, 3)
        stepper.call("set_state", middle.ctypes.data, middle.nbytes)
        np.testing.assert_array_equal(stepper.step(x, 3), second)
        stepper.call("reset_row", 1)
        stream.step(x), stream.step(x)
        stream.reset([False, True, False])
        np.testing.assert_array_equal(stepper.step(x, 3), stream.step(x))
        stepper.call("reset")
        np.testing.assert_array_equal(stepper.step(x, 3), first)
        stepper.close()

    def test_sizes(self, library, tmp_path):
        model = some_model(cell="lstm", num_layers=2, dtype="float64")
        stepper = of_memory(library, model, saved(model, tmp_path), 3)
        found = stepper.sizes
        assert (found.dtype, found.cell, found.link) == (2, 3, LINKS["softmax"])
        assert (found.m, found.n_x, found.n_a, found.n_y, found.num_layers) == (3, 5, 9, 4, 2)
        assert found.state_bytes == 8 * 2 * 2 * 3 * 9
        for size in (0, 8, ctypes.sizeof(Sizes) - 1, 2**40):
            not_set = Sizes(struct_size=size)
            status = library.crnn_stepper_get_sizes(stepper.handle, ctypes.byref(not_set))
            assert (status, not_set.struct_size, not_set.m) == (VERSION, size, 0)
        stepper.close()

    def test_what_does_not_fit_is_refused_and_changes_nothing(self, library, tmp_path):
        model = some_model()
        stepper = of_memory(library, model, saved(model, tmp_path), 2)
        before, handle = stepper.state(), stepper.handle
        y, x = np.zeros((2, 4), "float32"), np.zeros((2, 5), "float32")
        for symbol in (-1, 5):
            symbols = np.array([0, symbol])
            refused = library.crnn_stepper_step_symbols(handle, symbols.ctypes.data, y.ctypes.data)
            assert refused == SYMBOL
        assert library.crnn_stepper_step(handle, None, y.ctypes.data) == NULL
        assert library.crnn_stepper_step(None, x.ctypes.data, y.ctypes.data) == NULL
        assert library.crnn_stepper_step(handle, x.ctypes.data + 1, y.ctypes.data) == ALIGNMENT
        assert library.crnn_stepper_set_state(handle, y.ctypes.data, 4) == SIZE
        assert library.crnn_stepper_reset_row(handle, 2) == SIZE
        np.testing.assert_array_equal(stepper.state(), before)
        stepper.close()


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def with_leak(text, folder, dtype="float32"):
    """The file of a leaky model whose leak is written like that."""
    data = saved(some_model(cell="leaky", leak=0.5, dtype=dtype), folder)
    (size,) = struct.unpack("<Q", data[:8])
    header = data[8 : 8 + size].replace(b'leak\\": 0.5', b'leak\\": ' + text.encode())
    assert text.encode() in header
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def assert_leak_as_in_python(library, data, folder):
    (folder / "leaky").write_bytes(data)
    model = crnn.load(folder / "leaky")
    assert_as_in_python(of_memory(library, model, data), model, 1)


class TestNumbersInFiles:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        "text",
        ["1", "1.0", "5e-1", "0.25E+0", "2.5e-0000001", "3e-38", "1000000000000000000000e-21",
         "0.30000000000000004", "0.10000000000000000555111512", "0.000000000000000000000001e20"],
    )  # fmt: skip
    def test_are_read_to_the_bit(self, library, text, dtype, tmp_path):
        assert_leak_as_in_python(library, with_leak(text, tmp_path, dtype), tmp_path)

    @pytest.mark.parametrize(
        "text",
        ["2", "0", "-0.5", "1e-60", "1e999", "1e99999999999", "NaN", "null", "0,5", "0.5.5", "0.",
         ".5", "+1", "01", "0x1", "1e", "[0.5]", "[1,1,1,1,1,1,1,1,2]", "0." + 99 * "1"],
    )  # fmt: skip
    def test_that_are_no_leak_are_damage(self, library, text, tmp_path):
        assert of_memory(library, None, with_leak(text, tmp_path)).status == NOT_A_MODEL

    @pytest.mark.parametrize(("name", "point"), [("de_DE", ","), ("ps_AF", "\u066b")])
    def test_do_not_depend_on_the_locale(self, library, name, point, tmp_path, monkeypatch):
        """A decimal point may be another character, and that may have several bytes."""
        need("localedef")
        if not Path("/usr/share/i18n/locales", name).is_file():
            pytest.skip("no sources of locales: Debian's package locales")
        run("localedef", "-i", name, "-f", "UTF-8", tmp_path / name)
        monkeypatch.setenv("LOCPATH", str(tmp_path))
        data, before = with_leak("0.3", tmp_path), locale.setlocale(locale.LC_NUMERIC)
        try:
            locale.setlocale(locale.LC_NUMERIC, name)
            assert locale.localeconv()["decimal_point"] == point
            assert_leak_as_in_python(library, data, tmp_path)
        finally:
            locale.setlocale(locale.LC_NUMERIC, before)


class TestFiles:
    def test_a_path(self, library, tmp_path):
        model = some_model()
        saved(model, tmp_path)
        path = str(tmp_path / "model.safetensors").encode()
        assert_as_in_python(Stepper(library, model, "create_from_file", path, 1), model, 1)

    def test_a_path_that_is_not_ascii(self, library, tmp_path):
        """UTF-8; tests/test_portability.py tries it on Windows."""
        path = tmp_path / "Ünïcödé 模型"
        some_model().save(path)
        assert Stepper(library, None, "create_from_file", str(path).encode(), 1).status == OK

    def test_what_is_not_a_regular_file_is_refused_at_once(self, library, tmp_path):
        """To open a pipe would wait for a writer, and to read /dev/zero would never end."""
        os.mkfifo(tmp_path / "pipe")
        statuses = []

        def try_all():
            for path in ("missing", ".", "pipe", "/dev/zero", "/dev/tty"):
                name = str(tmp_path / path).encode()
                stepper = Stepper(library, None, "create_from_file", name, 1)
                statuses.append(stepper.status)

        trying = threading.Thread(target=try_all, daemon=True)
        trying.start()
        trying.join(timeout=60)
        assert statuses == [UNREADABLE] * 5

    @pytest.mark.parametrize(
        "options",
        [{"direction": "reverse"}, {"direction": "bidirectional"}, {"steps": "mean"},
         {"loss": lambda logits, y: (logits.sum(axis=-1), logits)}],
        ids=["reverse", "bidirectional", "pooled", "own loss"],
    )  # fmt: skip
    def test_models_that_cannot_be_stepped(self, library, options, tmp_path):
        data = saved(some_model(**options), tmp_path)
        assert of_memory(library, None, data).status == UNSUPPORTED

    def test_every_truncation_is_refused(self, library, tmp_path):
        data = saved(some_model(n_x=1, n_a=2, n_y=2), tmp_path)
        for size in range(len(data)):
            assert of_memory(library, None, data[:size]).status == NOT_A_MODEL
        assert of_memory(library, None, data + b"\0").status == NOT_A_MODEL

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"F32"', b'"F64"'), (b'"F32"', b'"X32"'), (b"[9,9]", b"[9,8]"), (b'"Wax"', b'"Waa"'),
            (b'"data_offsets"', b'"data_offsetz"'), (b"[9,9]", b"[9,-9]"), (b"[9,9]", b"[9 9]"),
            (b"n_a\\\": 9", b"n_a\\\": 8"), (b"n_x\\\": 5", b"n_x\\\": 0"),
            (b"tanh", b"tanz"), (b"float32", b"float64"), (b"crnn", b"cr\\n"),
        ],
        ids=lambda value: value.decode(),
    )  # fmt: skip
    def test_damage_to_the_header(self, library, old, new, tmp_path):
        data = saved(some_model(), tmp_path)
        assert old in data
        assert of_memory(library, None, data.replace(old, new, 1)).status == NOT_A_MODEL

    def test_a_field_or_format_of_a_later_version(self, library, tmp_path):
        data = saved(some_model(), tmp_path)
        for old, new in ((b'\\"n_a\\"', b'\\"n_b\\"'), (b'format\\": 1', b'format\\": 2')):
            assert old in data
            assert of_memory(library, None, data.replace(old, new, 1)).status == UNSUPPORTED

    @pytest.mark.parametrize(
        "header",
        [
            b"", b"{", b"{}", b"[]", b"[" * 100_000, b'{"a":' * 100_000, b'{"a":1}x',
            b'{"__metadata__":{"crnn":"\\ud800"}}', b'{"a":{"dtype":"F32","shape":[1e3]}}',
            {"__metadata__": {"crnn": "{}"}},
            {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]}},
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2**63, 4]}},
        ],
        ids=range(12),
    )  # fmt: skip
    def test_foreign_headers(self, library, header):
        assert of_memory(library, None, file_of(header)).status == NOT_A_MODEL

    def test_a_length_of_the_header_that_does_not_fit(self, library):
        for length in (1, 2**32, 2**63, 2**64 - 1):
            data = struct.pack("<Q", length)
            assert of_memory(library, None, data).status == NOT_A_MODEL
