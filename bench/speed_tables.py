"""The tables of speed beside other libraries: those of docs/speed.md and of the README."""

from kept import (
    GATED,
    KERNELS,
    LIBRARIES,
    OPERATIONS,
    digits,
    in_bold_below_1,
    markdown,
    mean_and_range,
    measured,
    percent,
    ratio,
    report,
    results,
    rows_of,
    shape,
    spread,
    title,
)

from crnn.benchmark.results import geometric_mean

VANILLA, OF_GATED = "vanilla_avx512", "gated_avx512"
SHAPE = "T, m, n_x, n_a"


def _pairs(threads):
    """The rows of the vanilla cell at each shape: forward and training."""
    of = (rows_of(VANILLA, threads, "vanilla", operation) for operation in OPERATIONS)
    return list(zip(*of, strict=True))


def _both(values):
    """The cell of a table for forward and training."""
    return " / ".join(values)


def _milliseconds(pair, name):
    """The medians of a peer, or of crnn ("") or the fastest peer ("best")."""
    times = {"": lambda row: row.ours, "best": lambda row: row.theirs[row.best]}
    of = times.get(name, lambda row: row.theirs[name])
    return _both(digits(1e3 * of(row).median) for row in pair)


def table_few():
    """The README's table: some shapes of the vanilla cell on one thread."""
    few = ["10x1x32x32", "100x1x128x128", "100x16x64x64", "100x32x128x128", "100x32x256x256"]
    pairs = {pair[0].case.name: pair for pair in _pairs(1)}
    columns = ("", "best", "torch")
    rows = [[shape(name), *(_milliseconds(pairs[name], of) for of in columns)] for name in few]
    return markdown([SHAPE, "crnn", "fastest other", "PyTorch"], rows)


def table_vanilla():
    """The vanilla cell at every shape, on one thread and on two."""
    text = measured(VANILLA)
    for threads in (1, 2):
        rows = [
            [
                shape(pair[0].case.name),
                _milliseconds(pair, ""),
                _both(f"{spread(row):.0%}" for row in pair),
                _milliseconds(pair, "best"),
                _both(dict.fromkeys(LIBRARIES[row.best] for row in pair)),
                _both(ratio(row.ratio(row.best)) for row in pair),
                _both(ratio(row.ratio("torch")) for row in pair),
                _both(f"{row.share:.0%}" for row in pair),
            ]
            for pair in _pairs(threads)
        ]
        head = [f"{SHAPE}; threads: {threads}", "crnn, ms", "spread", "fastest other, ms", "which"]
        head += ["ratio", "PyTorch's ratio", "of the limit"]
        text += "\n" + markdown(head, rows)
    return text


def table_limit():
    """A sentence: what fraction of the processor's limit large vanilla networks reach."""
    shares = {
        operation: [
            row.share
            for row in rows_of(VANILLA, 1, "vanilla", operation)
            if row.case.m >= 32 and row.case.n_a >= 128
        ]
        for operation in OPERATIONS
    }
    forward, training = (percent(shares[operation]) for operation in OPERATIONS)
    return (
        f"On one thread crnn reaches {forward} of the processor's limit in the forward pass and "
        f"{training} with gradients (m from 32, n_a from 128).\n"
    )


def table_vanilla_avx2():
    """The shapes of which the medians with AVX2 kernels were kept, in milliseconds."""
    whole = results("vanilla_avx2")
    medians = {
        (row["shape"], row["threads"], row["operation"]): row for row in whole["milliseconds"]
    }
    rows = []
    for name in dict.fromkeys(row["shape"] for row in whole["milliseconds"]):
        cells = [shape(name)]
        for threads in (1, 2):
            pair = [medians[name, threads, operation] for operation in OPERATIONS]
            columns = (
                ("crnn", "fastest other", "torch") if threads == 1 else ("crnn", "fastest other")
            )
            cells += [_both(digits(row[column]) for row in pair) for column in columns]
        rows.append(cells)
    head = [
        SHAPE,
        "crnn",
        "fastest other",
        "PyTorch",
        "crnn, 2 threads",
        "fastest other, 2 threads",
    ]
    return measured("vanilla_avx2") + "\n" + markdown(head, rows)


def _means_of_report(name, cell, threads):
    both = [rows_of(name, threads, cell, operation) for operation in OPERATIONS]
    best = [mean_and_range([row.ratio(row.best) for row in of]) for of in both]
    torch = [digits(geometric_mean(row.ratio("torch") for row in of)) for of in both]
    kernels = KERNELS[results(name)["machine"]["simd"]]
    return [title(cell), kernels, len(both[0]), threads, *best, *torch]


def _means_of_list(name, cell, threads):
    """The same of means that were kept without the rounds, and maybe without extremes."""
    whole = results(name)
    of = [row for row in whole["means"] if (row["cell"], row["threads"]) == (cell, threads)]
    best = [
        f"{row['mean']} ({in_bold_below_1(row['least'])} to {row['most']})"
        if "least" in row
        else row["mean"]
        for row in of
    ]
    torch = [row.get("torch", "") for row in of]
    return [title(cell), KERNELS[whole["machine"]["simd"]], whole["shapes"], threads, *best, *torch]


def table_means():
    """The geometric means of every cell on one thread and two."""
    rows = [
        of(name, cell, threads)
        for of, vanilla, gated in (
            (_means_of_report, VANILLA, OF_GATED),
            (_means_of_list, "vanilla_avx2", "gated_avx2"),
        )
        for name, cell in ((vanilla, "vanilla"), *((gated, cell) for cell in GATED))
        for threads in (1, 2)
    ]
    head = ["cell", "kernels", "shapes", "threads", "fastest other, forward", "training"]
    return markdown([*head, "PyTorch, forward", "training"], rows)


def table_gated():
    """GRU and LSTM: the fastest other library's time over crnn's."""
    columns = [(cell, operation) for cell in GATED for operation in OPERATIONS]
    text = measured(OF_GATED)
    for threads in (1, 2):
        of = [rows_of(OF_GATED, threads, *column) for column in columns]
        rows = [
            [shape(same[0].case.name), *(ratio(row.ratio(row.best)) for row in same)]
            for same in zip(*of, strict=True)
        ]
        head = [f"{SHAPE}; threads: {threads}"]
        head += [f"{cell.upper()} {operation}" for cell, operation in columns]
        text += "\n" + markdown(head, rows)
    return text


def table_losses():
    """Every line of both reports at which another library took less time."""
    rows = []
    for row in (*report(VANILLA).rows, *report(OF_GATED).rows):
        best = row.theirs[row.best]
        if round(row.ratio(row.best), 2) < 1:
            case = [title(row.case.cell), shape(row.case.name), row.operation, row.threads]
            times = [digits(one.median * 1e3) for one in (row.ours, best)]
            of = [LIBRARIES[row.best], f"{row.ratio(row.best):.2f}", f"{spread(row):.0%}"]
            rows.append([*case, *times, *of])
    head = ["cell", SHAPE, "operation", "threads", "crnn, ms", "other, ms", "library"]
    return markdown([*head, "ratio", "spread of crnn"], rows)
