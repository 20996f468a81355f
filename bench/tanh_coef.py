#!/usr/bin/env python3
"""Derive every tanh coefficient used by tanh.inc and write tanh_coef.h.

Method: weighted least squares on Chebyshev-distributed nodes, in 60-digit arithmetic, with Lawson
reweighting (w *= |err|) to push the fit towards minimax.  The low-order coefficients are then
rounded to the working precision one at a time and the remaining ones fitted again, so that later
coefficients absorb the rounding of earlier ones.  Reported errors are of the rounded polynomial
evaluated exactly, i.e. approximation plus coefficient rounding, without evaluation rounding.
"""

import sys
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
PREC = {32: 24, 64: 53}


def rnd(v, bits):
    """Round to `bits` significant bits, nearest even."""
    v = mp.mpf(v)
    if v == 0:
        return v
    m, e = mp.frexp(v)
    return mp.ldexp(mp.nint(mp.ldexp(m, bits)), e - bits)


def cheb_nodes(a, b, n):
    a, b = mp.mpf(a), mp.mpf(b)
    return [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def lawson(f, w, powers, xs, iters):
    """Fit sum c_k x^k to values f with weights w at xs; returns near-minimax c."""
    n, m = len(powers), len(xs)
    scale = max(abs(x) for x in xs)
    basis = [[(x / scale) ** p for p in powers] for x in xs]
    lw = [mp.mpf(1)] * m
    best, best_err = None, mp.inf
    for _ in range(iters):
        g = mp.zeros(n, n)
        r = mp.zeros(n, 1)
        for i in range(m):
            ww = lw[i] * w[i] ** 2
            for p in range(n):
                t = ww * basis[i][p]
                r[p] += t * f[i]
                for q in range(p, n):
                    g[p, q] += t * basis[i][q]
        for p in range(n):
            for q in range(p):
                g[p, q] = g[q, p]
        c = mp.lu_solve(g, r)
        err = [abs(w[i] * (sum(c[p] * basis[i][p] for p in range(n)) - f[i])) for i in range(m)]
        e = max(err)
        if e < best_err:
            best, best_err = [c[p] / scale ** powers[p] for p in range(n)], e
        tot = sum(lw[i] * err[i] for i in range(m))
        if tot == 0:
            break
        lw = [lw[i] * err[i] / tot * m + mp.mpf("1e-9") for i in range(m)]
    return best


def fit(func, weight, powers, a, b, bits, seq=3, fixed=None, iters=12, measure=None):
    """Fit func on [a,b]; fixed: {power: value}; round `seq` low coefficients one by one."""
    powers = list(powers)
    xs = cheb_nodes(a, b, 4 * len(powers) + 8)
    f0 = [func(x) for x in xs]
    w = [weight(x) for x in xs]
    done = dict(fixed or {})
    todo = [p for p in powers if p not in done]
    while todo:
        f = [f0[i] - sum(c * xs[i] ** p for p, c in done.items()) for i in range(len(xs))]
        c = lawson(f, w, todo, xs, iters)
        take = 1 if seq > 0 and len(todo) > 1 else len(todo)
        seq -= 1
        for p, v in zip(todo[:take], c[:take]):
            done[p] = rnd(v, bits)
        todo = todo[take:]
    chk = cheb_nodes(a, b, 401) + [mp.mpf(a) + mp.mpf("1e-30"), mp.mpf(b)]
    measure = measure or weight
    err = max(abs(measure(x) * (sum(c * x**p for p, c in done.items()) - func(x))) for x in chk)
    return [done.get(p, mp.mpf(0)) for p in range(powers[-1] + 1)], err


def hexf(v, bits):
    v = mp.mpf(v)
    if v == 0:
        return "0" + (".0f" if bits == 32 else ".0")
    s = float(v).hex()
    head, exp = s.split("p")
    if "." in head:
        head = head.rstrip("0").rstrip(".")
    return head + "p" + exp + ("f" if bits == 32 else "")


out = []


def emit_list(name, cs, bits, note):
    out.append(f"/* {note} */")
    ty = "float" if bits == 32 else "double"
    out.append(f"static const {ty} {name}[{len(cs)}] = {{")
    per = 5 if bits == 32 else 3
    for i in range(0, len(cs), per):
        out.append("    " + ", ".join(hexf(c, bits) for c in cs[i : i + per]) + ",")
    out.append("};")
    out.append("")


def emit_define(name, v, bits, note=""):
    out.append(f"#define {name} {hexf(v, bits)}" + (f" /* {note} */" if note else ""))


def ulp_of(y, bits):
    m, e = mp.frexp(mp.mpf(y))
    return mp.ldexp(1, e - PREC[bits])


def blend(bits, ndeg_small, ndeg_exp, split):
    """Design 'blend': odd polynomial below `split`, 1 - 2/(exp(2x)+1) above."""
    p = PREC[bits]
    split = rnd(split, p)

    def small(s):  # (tanh(x)/x - 1)/s as a function of s = x^2
        if s < mp.mpf("1e-25"):
            return -mp.mpf(1) / 3 + 2 * s / 15
        x = mp.sqrt(s)
        return (mp.tanh(x) / x - 1) / s

    # weight: the relative error this term causes in tanh(x)
    cs, err = fit(small, lambda s: s, range(ndeg_small + 1), 0, split**2, p)
    emit_list(
        f"tanh_small{bits}",
        cs,
        bits,
        f"tanh(x) = x + x s P(s), s = x^2, |x| < split; relative error 2^{mp.nstr(mp.log(err, 2), 4)}",
    )
    # exp(2h) for |h| <= ln2/4 (a little more: the rounding of k is not exact)
    h = mp.log(2) / 4 * (1 + mp.mpf(2) ** -10)
    fixed = {0: mp.mpf(1), 1: mp.mpf(2)}
    cs, err = fit(
        lambda t: mp.exp(2 * t),
        lambda t: mp.exp(-2 * t),
        range(ndeg_exp + 1),
        -h,
        h,
        p,
        fixed=fixed,
    )
    emit_list(
        f"tanh_exp{bits}",
        cs,
        bits,
        f"exp(2h), |h| <= ln2/4; relative error 2^{mp.nstr(mp.log(err, 2), 4)}",
    )
    emit_define(f"TANH_SPLIT{bits}", split, bits)
    emit_define(f"TANH_LIMIT{bits}", limit(bits), bits, "tanh rounds to 1 from here on")
    emit_define(f"TANH_2LOG2E{bits}", rnd(2 / mp.log(2), p), bits, "2/ln2")
    kbits = 6
    hi = rnd(mp.log(2) / 2, p - kbits)
    emit_define(
        f"TANH_LN2H_HI{bits}", hi, bits, "ln2/2, head short enough that k times it is exact"
    )
    emit_define(f"TANH_LN2H_LO{bits}", rnd(mp.log(2) / 2 - hi, p), bits, "ln2/2, rest")
    out.append("")


def limit(bits):
    p = PREC[bits]
    return rnd((p + mp.mpf("2.2")) * mp.log(2) / 2, p)  # 1 - tanh(x) ~ 2 exp(-2x) < half an ulp


def good_centre(lo, hi, bits):
    """A float near the middle whose tanh is almost exactly a float (Gal's accurate tables).

    Not only for accuracy: in the tail an inexact constant term would make the fit wiggle by more
    than tanh rises, and so lose monotonicity.
    """
    p = PREC[bits]
    mid, width = (lo + hi) / 2, hi - lo
    v0 = rnd(mp.tanh(mid), p)
    u = ulp_of(v0, bits)
    best = None
    for reach in (8, 2):  # else as far as the ends
        for i in range(-1000, 1001):
            v = v0 + i * u
            if v >= 1:
                break
            x = rnd(mp.atanh(v), p)
            if abs(x - mid) > width / reach:
                continue
            e = abs(v - mp.tanh(x)) / u
            if best is None or e < best[0]:
                best = (e, x)
        if best:
            return best[1]
    return rnd(mid, p)


def cells(bits, per_octave, n, s, b):
    """x-intervals by slot: the low bits of exponent and mantissa of y = s|x| + b, y in [1, ...)."""
    lim, y, o, k, res = limit(bits), mp.mpf(1), 0, 0, {}
    while y < s * lim + b:
        k += 1
        if k > per_octave:
            o, k = o + 1, 1
        top = mp.ldexp(1 + mp.mpf(k) / per_octave, o)
        if top > b:
            idx = ((o - 1) * per_octave + k - 1) % n  # exponent biases are -1 modulo 4
            assert idx not in res, "slots wrap round onto each other"
            res[idx] = (max(mp.mpf(0), (y - b) / s), min((top - b) / s, lim))
        y = top
    return res


def table(bits, per_octave, n, s, b, deg, nudge=None):
    """Design 'table': one polynomial in d = |x| - centre per slot.

    nudge: {(slot, power): ulps} added to coefficients at the end; with s, the knob for ridding the
    evaluation (whose rounding is not modelled here) of its last few decreases, by trial with
    test_f32.
    """
    p = PREC[bits]
    s, b = rnd(s, p), rnd(b, p)
    slots = {i: [mp.mpf(1)] * (deg + 2) for i in range(n)}
    worst = mp.mpf(0)
    for idx, (lo, hi) in cells(bits, per_octave, n, s, b).items():
        if lo == 0:
            c = mp.mpf(0)
            # tanh(x) = x exactly to first order keeps tiny x and denormals exact
            powers = [0, 1, 3, 5, 7, 9, 11, 13][: (deg + 3) // 2] if deg >= 7 else range(deg + 1)
            cs, err = fit(
                mp.tanh,
                lambda x: mp.ldexp(1, p) / mp.tanh(x),
                powers,
                mp.ldexp(1, -40),
                hi,
                p,
                seq=1,
                fixed={0: mp.mpf(0), 1: mp.mpf(1)},
            )
        else:
            c = good_centre(lo, hi, bits)
            u = ulp_of(mp.tanh(lo), bits)
            # Tighter where tanh is flatter, lest the fit wiggle by more than tanh rises.
            cs, err = fit(
                lambda d: mp.tanh(c + d),
                lambda d: mp.cosh(c + d) / mp.cosh(lo) / u,
                range(deg + 1),
                lo - c,
                hi - c,
                p,
                fixed={0: rnd(mp.tanh(c), p)},
                measure=lambda d: 1 / u,
            )
        print(
            f"  f{bits} slot {idx:2d} [{mp.nstr(lo, 5)},{mp.nstr(hi, 5)}) err {mp.nstr(err, 4)} ulp",
            file=sys.stderr,
        )
        worst = max(worst, err)
        for (slot, power), ulps in (nudge or {}).items():
            if slot == idx:
                cs[power] += ulps * ulp_of(cs[power], bits)
        slots[idx] = [c] + cs
    print(f"f{bits} s {s} b {b} deg {deg}: worst {mp.nstr(worst, 4)} ulp", file=sys.stderr)
    out.append(
        f"/* Degree {deg} in d = |x| - centre; slot = low {int(mp.log(n, 2))} bits of exponent and "
        f"top mantissa bits of\n * SCALE |x| + BIAS. Row 0 is the centre, row k+1 the coefficient "
        f"of d^k. Worst error\n * (approximation and coefficient rounding) {mp.nstr(worst, 3)} ulp. */"
    )
    tag = f"{bits}x{n}"
    emit_define(f"TANH_TABLE_SCALE{tag}", s, bits)
    emit_define(f"TANH_TABLE_BIAS{tag}", b, bits)
    out.append(f"#define TANH_TABLE_SHIFT{tag} {p - 1 - int(mp.log(per_octave, 2))}")
    out.append(f"#define TANH_TABLE_DEGREE{tag} {deg}")
    ty = "float" if bits == 32 else "double"
    out.append(f"static const _Alignas(64) {ty} tanh_table{tag}[{deg + 2}][{n}] = {{")
    per = 4 if bits == 32 else 2
    for r in range(deg + 2):
        row = [hexf(slots[i][r], bits) for i in range(n)]
        for i in range(0, n, per):
            out.append(
                ("    {" if i == 0 else "     ")
                + ", ".join(row[i : i + per])
                + ("}," if i + per >= n else ",")
            )
    out.append("};")
    out.append("")
    return worst


def main():
    out.append("/* Generated by bench/tanh_coef.py, which says how. Do not edit. */")
    out.append("#ifndef TANH_COEF_H")
    out.append("#define TANH_COEF_H")
    out.append("")
    out.append("/* clang-format off */")
    blend(32, 4, 6, "0.625")
    table(32, 8, 32, "2.27", "1.375", 4)
    table(32, 2, 8, "2.4697", "1.5", 7, nudge={(7, 3): 8})
    blend(64, 10, 11, "0.625")
    table(64, 4, 16, "1.176", "1.5", 13)
    out.append("/* clang-format on */")
    out.append("")
    out.append("#endif")
    open(Path(__file__).parents[1] / "src/crnn/_engine/csrc/tanh_coef.h", "w").write(
        "\n".join(out) + "\n"
    )


if __name__ == "__main__":
    main()
