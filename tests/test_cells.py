"""The leaky cell, the GRU and the LSTM.

Their reference is compared with finite differences and with the vanilla cell, and the kernels of
every table with the reference.
"""

import re
from itertools import product

import numpy as np
import pytest
from conftest import TABLES

import crnn
from crnn import check, reference
from crnn._engine import recurrence, validate
from crnn.check.cells import CELLS, GATES, KEPT, loss, problem
from crnn.reference import noise

#: Errors of the kernels, as a share of the largest entry of each result.
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}
KINDS = list(product((False, True), repeat=3))


def assert_close(results, truth, tolerance):
    for name, value in results.items():
        if truth[name] is None:
            assert value is None, name
        else:
            assert value.shape == truth[name].shape, name
            assert check.relative_error(value, truth[name]) < tolerance, name


def assert_right(name, *sizes, dtype, **kind):
    p = problem(name, *sizes, dtype=dtype, **kind)
    assert_close(p.results(), p.results(reference), TOLERANCE[dtype])


class TestReference:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", CELLS)
    def test_every_gradient_is_that_of_finite_differences(self, name, kind):
        """With a loss of every state and of the last cells, from initial states that are not 0."""
        kind = dict(zip(("integers", "lengths", "reverse"), kind, strict=True))
        p = problem(name, 5, 3, 2, 4, **kind)

        g = p.backward(p.forward(reference), reference)
        read = {**p.arguments, **p.initial}
        assert (g.dx is None) == kind["integers"]
        for argument, value in read.items():
            if argument == "x" and kind["integers"]:
                continue
            h = 1e-4 if "relu" in name else 1e-3
            error = check.relative_error(
                getattr(g, f"d{argument}"), check.finite_difference(lambda: loss(p), value, h)
            )
            assert error < check.FINITE_DIFFERENCE_TOLERANCE, argument

    def test_a_leak_of_1_is_the_vanilla_cell(self):
        p = problem("rate", 6, 3, 2, 5, lengths=True)
        p.options["leak"], p.noise = 1.0, {}
        vanilla = {k: v for k, v in p.options.items() if k in ("lengths", "reverse")}
        a = reference.rnn_forward(**p.arguments, **p.initial, **vanilla)
        s = p.forward(reference)
        np.testing.assert_allclose(s.a, a, rtol=0, atol=1e-15)
        g = p.backward(s, reference)
        x, Waa, Wax = (p.arguments[name] for name in ("x", "Waa", "Wax"))
        truth = reference.rnn_backward(p.da, a, x, Waa, Wax, **p.initial, **vanilla)
        assert_close(g._asdict(), truth._asdict(), 1e-14)

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_gradient_of_a_gru_with_the_reset_before_the_product(self, kind):
        kind = dict(zip(("integers", "lengths", "reverse"), kind, strict=True))
        p = problem("gru", 5, 3, 2, 4, **kind)
        after = p.forward(reference).a
        p.options["reset"] = "before"
        assert not np.allclose(p.forward(reference).a, after)

        g = p.backward(p.forward(reference), reference)
        for argument, value in {**p.arguments, **p.initial}.items():
            if argument == "x" and kind["integers"]:
                continue
            numeric = check.finite_difference(lambda: loss(p), value)
            error = check.relative_error(getattr(g, f"d{argument}"), numeric)
            assert error < check.FINITE_DIFFERENCE_TOLERANCE, argument

    def test_the_resets_of_a_gru_agree_on_its_first_step_alone(self):
        """From a state of zeros r multiplies nothing but the bias."""
        p = problem("gru", 2, 3, 2, 4, initial=False)
        p.arguments["baa"][:] = 0
        after, before = (p.forward(reference, reset=reset).a for reset in ("after", "before"))
        np.testing.assert_array_equal(before[0], after[0])
        assert not np.allclose(before[1], after[1])


class TestKernels:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("name", CELLS)
    @pytest.mark.parametrize(
        "sizes",
        [
            (1, 1, 1, 1),
            (4, 1, 5, 17),
            (5, 7, 3, 33),
            (6, 8, 16, 64),
            (3, 13, 150, 70),
            (9, 5, 2, 130),
        ],
        ids=str,
    )
    def test_agree_with_the_reference(self, table, sizes, name, dtype):
        kinds = KINDS if table == TABLES[0] else [KINDS[sum(sizes) % 8], KINDS[-1 - sum(sizes) % 8]]
        for integers, lengths, reverse in kinds:
            kind = {"integers": integers, "lengths": lengths, "reverse": reverse}
            assert_right(name, *sizes, dtype=dtype, initial=sum(sizes) % 2 == 0, **kind)

    @pytest.mark.parametrize("lengths", [False, True])
    @pytest.mark.parametrize("name", CELLS)
    def test_sum_many_rows_in_stretches(self, name, lengths):
        """More than 2^14 rows have partial sums, and many chunks."""
        assert_right(name, 2200, 8, 3, 20, dtype="float64", lengths=lengths)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("name", CELLS)
    def test_read_packed_rows(self, name, reverse):
        p = problem(name, 6, 4, 3, 18, lengths=True, reverse=reverse)
        lengths = np.array([6, 4, 4, 1])
        p.options["lengths"] = lengths
        padded = p.results()
        valid = np.arange(6)[:, None] < lengths
        p.arguments["x"], p.da = p.arguments["x"][valid], p.da[valid]
        packed = p.results()
        for result, value in packed.items():
            truth = padded[result][valid] if result in ("a", "dx") else padded[result]
            np.testing.assert_array_equal(value, truth, err_msg=result)

    @pytest.mark.parametrize("name", CELLS)
    def test_infer_the_same_bits_without_keeping(self, name):
        p = problem(name, 7, 5, 3, 20, lengths=True)
        s = p.forward(keep=False)
        assert s.kept is None
        np.testing.assert_array_equal(s.a, p.forward().a)

    @pytest.mark.parametrize("name", CELLS)
    def test_keep_no_more_than_they_say(self, name):
        p = problem(name, 7, 5, 3, 20)
        assert p.forward().kept.size == KEPT[p.cell] * 7 * 5 * 20

    @pytest.mark.parametrize("name", CELLS)
    def test_leave_dx_out(self, name):
        p = problem(name, 3, 2, 3, 5)
        assert p.backward(p.forward(), need_dx=False).dx is None

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("lengths", [False, True])
    @pytest.mark.parametrize("m", [1, 3, 7, 33])
    @pytest.mark.parametrize("name", ["rate", "current", "gru", "lstm"])
    def test_give_the_same_bits_at_any_number_of_threads(self, name, m, lengths, dtype):
        p = problem(name, 900 // m, m, 35, 150, dtype=dtype, lengths=lengths, reverse=True)
        before = crnn.get_num_threads()
        try:
            bits = set()
            for threads in (1, 2, 3):
                crnn.set_num_threads(threads)
                values = p.results().values()
                bits.add(b"".join(value.tobytes() for value in values))
        finally:
            crnn.set_num_threads(before)
        assert len(bits) == 1

    @pytest.mark.parametrize("name", ["gru", "lstm"])
    def test_share_the_columns_of_a_long_step(self, name):
        """Few rows and many units: parts divide the units, and meet after each step."""
        p = problem(name, 30, 2, 5, 500, dtype="float32")
        before = crnn.get_num_threads()
        try:
            bits = set()
            for threads in (1, 2, 3):
                crnn.set_num_threads(threads)
                bits.add(b"".join(value.tobytes() for value in p.results().values()))
        finally:
            crnn.set_num_threads(before)
        assert len(bits) == 1

    @pytest.mark.parametrize("name", CELLS)
    def test_nan_stays_with_its_example(self, name):
        p = problem(name, 4, 3, 2, 5)
        p.arguments["x"][1, 2] = np.nan
        a = p.forward().a
        assert np.isnan(a[1:, 2]).all()
        assert np.isfinite(a[:, :2]).all()

    @pytest.mark.parametrize("name", ["rate", "current"])
    def test_nan_in_the_last_state_reaches_every_gradient_of_its_example(self, name):
        """As the notes of `leaky_backward` say; the reference has none in dx of "current"."""
        p = problem(name, 4, 3, 2, 5)
        p.arguments["x"][-1, 2] = np.nan
        dx = p.backward(p.forward()).dx
        assert np.isnan(dx[:, 2]).all()
        assert np.isfinite(dx[:, :2]).all()


class TestTheDoor:
    """What layers call: gradients that reach the last states, and arrays for the results."""

    @staticmethod
    def checked(p):
        weights = [p.arguments.get(name) for name in ("x", "Waa", "Wax", "ba", "baa")]
        first = [p.initial.get(name) for name in ("a0", "c0")]
        options = {**p.options, **p.noise}
        lengths, reverse = options.pop("lengths"), options.pop("reverse")
        rule = {"cell": p.cell, **options}
        return validate.cell(GATES[p.cell], *weights, *first, lengths, reverse, rule)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", CELLS)
    def test_da_n_is_da_of_the_last_valid_step(self, name, kind):
        kind = dict(zip(("integers", "lengths", "reverse"), kind, strict=True))
        p = problem(name, 6, 5, 3, 18, **kind)
        inputs = self.checked(p)
        da_n = np.random.default_rng(0).standard_normal((5, 18))
        T_of = np.full(5, 6) if p.options["lengths"] is None else p.options["lengths"]
        last = (0 if kind["reverse"] else T_of - 1, np.arange(5))
        states = recurrence.cell_forward(inputs)
        dc_n = p.dc_n if p.cell == "lstm" else None
        zeros = np.zeros_like(p.da)
        for da in (p.da, None):
            g = recurrence.cell_backward(inputs, states, da, True, None, da_n, dc_n)
            p.da = zeros.copy() if da is None else da.copy()
            p.da[last] += da_n
            truth = p.backward(p.forward(reference), reference)._asdict()
            assert_close({k: v for k, v in g._asdict().items() if k in truth}, truth, 1e-12)

    @pytest.mark.parametrize("name", CELLS)
    def test_results_go_into_given_arrays(self, name):
        p = problem(name, 6, 5, 3, 18, lengths=True)
        inputs = self.checked(p)
        states, out = recurrence.cell_forward(inputs), np.full((6, 5, 18), np.nan)
        given = recurrence.cell_forward(inputs, False, out)
        assert given.a is out
        assert given.kept is None
        np.testing.assert_array_equal(out, states.a)

        g = recurrence.cell_backward(inputs, states, p.da)
        full = [None if value is None else np.full_like(value, np.nan) for value in g]
        into = recurrence.CellGradients(*full)
        recurrence.cell_backward(inputs, states, p.da, True, into)
        for value, truth in zip(into, g, strict=True):
            assert (value is None) == (truth is None)
            if truth is not None:
                np.testing.assert_array_equal(value, truth)

    @pytest.mark.parametrize("name", CELLS)
    def test_arguments_that_no_longer_fit_write_nothing(self, name):
        p = problem(name, 6, 5, 3, 18)
        inputs = self.checked(p)
        out = np.full((6, 5, 17), 7.0)
        with pytest.raises(RuntimeError, match="no longer fits"):
            recurrence.cell_forward(inputs, True, out)
        assert (out == 7).all()
        states = recurrence.cell_forward(inputs)
        g = recurrence.cell_backward(inputs, states, p.da)
        into = recurrence.CellGradients(*[None if v is None else np.full_like(v, 7) for v in g])
        for wrong in (states._replace(kept=states.kept[1:]), states._replace(a=states.a[1:])):
            with pytest.raises(RuntimeError, match="no longer fits"):
                recurrence.cell_backward(inputs, wrong, p.da, True, into)
        assert all((value == 7).all() for value in into if value is not None)


class TestNoise:
    def test_philox_gives_the_published_words(self):
        """The known answers of Random123, for philox4x32 with 10 rounds."""
        full, pi = 0xFFFFFFFF, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
        for counter, key, words in (
            ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
            ([full] * 4, (full, full), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
            (pi, (0xA4093822, 0x299F31D0), [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
        ):
            assert noise.philox(np.array(counter, np.uint64), key).tolist() == words

    @staticmethod
    def drawn(T, m, n_a, seed, dtype="float64", **options):
        """The numbers that the kernels add to z, told from what relu lets through."""
        zeros = np.zeros((n_a, n_a), dtype)
        s = crnn.leaky_forward(
            np.zeros((T, m, 1), dtype), zeros, zeros[:, :1], np.full(n_a, 100, dtype), leak=1,
            noise=1.0, seed=seed, activation="relu", **options,
        )  # fmt: skip
        return s.a - 100

    @pytest.mark.parametrize(("dtype", "error"), [("float32", 2e-5), ("float64", 1e-12)])
    def test_the_kernels_draw_what_the_reference_draws(self, table, dtype, error):
        """What is left of the numbers has the error of 100 in each dtype: half an ulp, rounded."""
        truth = noise.normal(2**63 + 5, 3, 4, 135)
        found = self.drawn(3, 4, 135, 2**63 + 5, dtype)
        np.testing.assert_allclose(found, truth, rtol=0, atol=error)

    @staticmethod
    def alone(T, m, n_a, seed, dtype):
        """The numbers themselves: z is nothing else."""
        zeros = np.zeros((n_a, n_a), dtype)
        return crnn.leaky_forward(
            np.zeros((T, m, 1), dtype), zeros, zeros[:, :1], leak=1, noise=1.0, seed=seed,
            equation="current",
        ).a  # fmt: skip

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("n_a", [1, 2, 15, 33, 128, 135, 300])
    def test_the_numbers_have_the_same_bits_on_every_table(self, select, tables, n_a, dtype):
        found = []
        for name in tables:
            select(name)
            found.append(self.alone(6, 7, n_a, 9, dtype))
            np.testing.assert_array_equal(found[-1], found[0], err_msg=name)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_every_number_is_right_to_some_ulp(self, dtype):
        """Beside 40 digits, because the reference rounds its angles."""
        mp = pytest.importorskip("mpmath").mp.clone()
        mp.dps = 40
        found = self.alone(1, 10, 200, 9, dtype)[0]
        pair, example = np.meshgrid(np.arange(100), np.arange(10))
        counter = np.stack([pair, example, 0 * pair, 0 * pair]).astype(np.uint64)
        w = noise.philox(counter, (9, 0)).astype(object)
        for i, p in np.ndindex(10, 100):
            u, turn = (((w[k, i, p] << 32 | w[k + 1, i, p]) >> 11) for k in (0, 2))
            radius = mp.sqrt(-2 * mp.log(mp.ldexp(u + 1, -53)))
            angle = 2 * mp.pi * mp.ldexp(turn, -53)
            for j, truth in enumerate((radius * mp.cos(angle), radius * mp.sin(angle))):
                error = abs(mp.mpf(float(found[i, 2 * p + j])) - truth) / abs(truth)
                assert error < 6 * np.finfo(dtype).eps

    def test_depends_on_t_the_example_and_the_unit_only(self):
        large = self.drawn(4, 5, 9, 3)
        np.testing.assert_array_equal(self.drawn(2, 3, 5, 3), large[:2, :3, :5])
        np.testing.assert_array_equal(self.drawn(4, 5, 9, 3, reverse=True), large)
        np.testing.assert_array_equal(
            self.drawn(4, 5, 9, 3, lengths=np.array([1, 4, 2, 3, 4]))[0], large[0]
        )
        assert not np.array_equal(self.drawn(4, 5, 9, 4), large)

    def test_is_normal(self):
        from scipy import stats

        xi = self.drawn(100, 40, 100, 11).ravel()
        assert stats.kstest(xi, "norm").pvalue > 0.01
        assert stats.kstest(xi[:-1:2] * xi[1::2], xi[2:-1:2] * xi[3::2]).pvalue > 0.01

    def test_differs_from_call_to_call_without_a_seed(self):
        assert not np.array_equal(self.drawn(2, 2, 2, None), self.drawn(2, 2, 2, None))


class TestChecks:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"Waa": np.zeros((7, 2))}, r"Waa: expected shape"),
            ({"Wax": np.zeros((2, 2))}, r"Wax: expected shape"),
            ({"ba": np.zeros(2)}, r"ba: expected shape"),
            ({"a0": np.zeros((3, 2))}, r"a0: expected shape"),
            ({"lengths": [4, 1]}, r"lengths: expected integers in 1\.\.T = 1\.\.3"),
            ({"keep": 1}, r"keep: expected True or False"),
        ],
    )
    @pytest.mark.parametrize("cell", GATES)
    def test_name_the_argument(self, cell, change, message):
        rows = GATES[cell] * 2
        arguments = {
            "x": np.zeros((3, 2, 2)),
            "Waa": np.zeros((rows, 2)),
            "Wax": np.zeros((rows, 2)),
        }
        leak = {"leak": 0.5} if cell == "leaky" else {}
        if cell == "leaky" and "Wax" in change:
            change = {"Wax": np.zeros((3, 2))}
        if cell == "leaky" and "ba" in change:
            change = {"ba": np.zeros(3)}
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(crnn, f"{cell}_forward")(**{**arguments, **leak, **change})

    @pytest.mark.parametrize(
        ("cell", "rows"), [("rate", "n_a"), ("gru", "3 n_a"), ("lstm", "4 n_a")]
    )
    def test_name_the_shape_that_is_expected(self, cell, rows):
        n = len(problem(cell, 3, 2, 2, 4).arguments["Waa"])
        for change, message in (
            ({"Wax": np.zeros(n)}, f"Wax: expected shape ({rows}, n_x) with {rows} = {n} and n_x"),
            ({"Wax": np.zeros((n + 1, 2))}, f"Wax: expected shape ({rows}, n_x) = ({n}, 2), got"),
            ({"ba": np.zeros(n + 1)}, f"ba: expected shape ({rows},) = ({n},), got"),
        ):
            p = problem(cell, 3, 2, 2, 4)
            p.arguments |= change
            with pytest.raises(ValueError, match=re.escape(message)):
                p.forward()

    @pytest.mark.parametrize(
        ("lengths", "size"), [(None, "5 T m n_a"), ([3, 1], "5 sum(lengths) n_a")]
    )
    def test_name_the_size_of_what_forward_kept(self, lengths, size):
        x, Waa, Wax = np.ones((3, 2, 2)), np.ones((4, 1)), np.ones((4, 2))
        s = crnn.lstm_forward(x, Waa, Wax)._replace(kept=np.ones(7))
        with pytest.raises(ValueError, match=re.escape(f"s.kept: expected shape ({size},) = (")):
            crnn.lstm_backward(s.a, s, x, Waa, Wax, lengths=lengths)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"leak": 0}, "leak: expected numbers > 0 and <= 1"),
            ({"leak": np.full(3, 0.5)}, "leak: expected a number or shape"),
            ({"leak": None}, "leak: expected a number or an array"),
            ({"leak": "much"}, "leak: expected numbers"),
            ({"noise": -1}, "noise: expected a finite number >= 0"),
            ({"seed": -1}, "seed: expected a whole number >= 0"),
            ({"equation": "rates"}, "equation: expected one of 'rate', 'current'"),
            ({"activation": "sigmoid"}, "activation: expected one of"),
        ],
    )
    def test_of_the_leaky_cell(self, change, message):
        zeros = np.zeros((2, 2))
        with pytest.raises((ValueError, TypeError), match=message):
            crnn.leaky_forward(np.zeros((3, 2, 2)), zeros, zeros, **{"leak": 0.5, **change})

    def test_a_leak_that_is_0_in_float32_is_refused(self):
        zeros = np.zeros((2, 2), np.float32)
        with pytest.raises(ValueError, match="leak: expected numbers > 0"):
            crnn.leaky_forward(np.zeros((3, 2, 2), np.float32), zeros, zeros, leak=1e-60)

    def test_noise_that_is_infinite_in_float32_is_refused(self):
        x, zeros = np.zeros((3, 2, 2), np.float32), np.zeros((2, 2), np.float32)
        prepared = crnn.Prepared("leaky", zeros, zeros, leak=0.5)
        for call in (
            lambda: crnn.leaky_forward(x, zeros, zeros, leak=0.5, noise=1e39),
            lambda: prepared.forward(x, noise=1e39),
        ):
            with pytest.raises(ValueError, match="noise: expected a number that is finite in flo"):
                call()

    def test_backward_needs_what_forward_kept(self):
        p = problem("gru", 3, 2, 2, 4)
        with pytest.raises(ValueError, match="keep=True"):
            p.backward(p.forward(keep=False))
        with pytest.raises(TypeError, match="s: expected GRUStates"):
            p.backward(p.forward().a)
        other = problem("gru", 3, 2, 2, 5).forward()
        with pytest.raises(ValueError, match=r"s\.a: expected shape"):
            p.backward(other)

    def test_inputs_are_converted_and_never_written(self):
        p = problem("lstm", 4, 3, 2, 5)
        truth = p.forward().a
        for value in (*p.arguments.values(), *p.initial.values()):
            value.flags.writeable = False
        p.arguments["x"] = np.asfortranarray(p.arguments["x"])
        p.arguments["Waa"] = p.arguments["Waa"].tolist()
        np.testing.assert_array_equal(p.forward().a, truth)
