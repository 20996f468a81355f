"""Damage to what a file holds: to JSON at any depth, to tensors, and to bytes."""

import copy
import json

#: What may stand anywhere in JSON, whatever belongs there.
ODD = [
    None, True, False, 0, 1, 2, 3, 5, -1, 10**4, 2**31, 2**53, 2**63, -(2**70), 10**400, 0.5, -0.0,
    1e-320, 1e39, 1e308, float("nan"), float("inf"), "", "a", "tanh", "float64", "F64", "BOOL",
    "x\0", "two\nlines", "\ud800", "é", "__metadata__", [], {}, [[]], [0], [1, 1], [0, 8], ["Waa"],
    [2.0], ["a", "a"], {"a": 1}, {"own": "f"}, {"array": "x"}, {"scalar": "x"},
]  # fmt: skip
#: What JSON escapes, each in another way: the last two are a pair of surrogates, and a lone one.
ESCAPED = '\n"\\ é \U0001d11e \ud800'
NAMES = ["", "a", "loss", "masks", "signs", "leak", "cell", "Waa", "training.a", "two\nlines"]


class Choices:
    """Choices that bytes make, one or two for each; after the last byte, all are the first."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def bytes(self, n):
        """The next n bytes."""
        found = self._data[self._at : self._at + n]
        self._at += n
        return found + bytes(n - len(found))

    def below(self, n):
        """A number in 0..n - 1."""
        return int.from_bytes(self.bytes(1 if n <= 256 else 2)) % n

    def of(self, items):
        """One of the items."""
        return items[self.below(len(items))]


def _containers(value):
    """Every list and dict inside of a value that is not empty, itself included."""
    if not isinstance(value, (list, dict)) or not value:
        return []
    inside = value.values() if isinstance(value, dict) else value
    return [value, *(found for item in inside for found in _containers(item))]


def damaged_json(choices, value):
    """A copy of a value that JSON can hold, with one item of a list or dict changed.

    The item is replaced by anything or by another item of the value, left out, stored under
    another name, or put inside of a list.
    """
    value = copy.deepcopy(value)
    places = _containers(value)
    if not places:
        return copy.deepcopy(choices.of(ODD))
    place = choices.of(places)
    key = choices.of([*place] if isinstance(place, dict) else range(len(place)))
    what = choices.of(["odd", "odd", "odd", "other", "out", "name", "inside"])
    if what == "out":
        del place[key]
    elif what == "name" and isinstance(place, dict):
        place[choices.of(NAMES)] = place.pop(key)
    elif what == "other":
        other = choices.of(places)
        place[key] = copy.deepcopy(choices.of([*other.values()] if type(other) is dict else other))
    elif what == "inside":
        place[key] = [place[key]]
    else:
        place[key] = copy.deepcopy(choices.of(ODD))
    return value


def damaged_bytes(choices, content):
    """Bytes that end early, or of which a few are changed, left out or repeated."""
    k, n = choices.below(len(content) + 1), choices.below(16)
    new = choices.bytes(choices.below(9))
    ways = ["", content[k + n :], content[max(0, k - n) :], content[k + len(new) :]]
    rest = choices.of(ways)
    return content[:k] + (new + rest if rest else b"")


class Safetensors:
    """A safetensors file in parts: the JSON of its header, crnn's entry in it, and its bytes."""

    def __init__(self, content):
        end = 8 + int.from_bytes(content[:8], "little")
        self.header = json.loads(content[8:end])
        self.entry = json.loads(self.header["__metadata__"]["crnn"])
        self.data = content[end:]

    def content(self, header=None, entry=None, data=None):
        """The bytes of a file of which some parts are others."""
        header = dict(self.header if header is None else header)
        if entry is not None:
            header["__metadata__"] = {"crnn": json.dumps(entry)}
        written = json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass")
        written += b" " * (-len(written) % 8)
        return len(written).to_bytes(8, "little") + written + (self.data if data is None else data)


def damaged_file(choices, contents):
    """A damaged file: one of these, with its header, crnn's entry, its numbers or bytes changed."""
    content = choices.of(contents)
    part = choices.of(["entry", "entry", "entry", "header", "numbers", "bytes"])
    if part == "bytes":
        return damaged_bytes(choices, content)
    file = Safetensors(content)
    if part == "header":
        header = file.header
        for _ in range(1 + choices.below(3)):
            header = damaged_json(choices, header)
        return file.content(header=header if isinstance(header, dict) else {"": header})
    if part == "numbers":
        k = choices.below(max(1, len(file.data) - 8))
        odd = choices.of([b"\0", b"\1", b"\x7f", b"\x80", b"\xff"]) * 8
        return file.content(data=(file.data[:k] + odd + file.data[k + 8 :])[: len(file.data)])
    entry = file.entry
    for _ in range(1 + choices.below(3)):
        entry = damaged_json(choices, entry)
    return file.content(entry=entry)


def misfits(content):
    """Pairs of what is wrong and the file: a field of one array, or a size of the configuration.

    All else is left as it was, so that each file is refused for that reason only.
    """
    file = Safetensors(content)
    for name, tensor in file.header.items():
        if name != "__metadata__":
            for field, value in _changes(tensor):
                header = file.header | {name: tensor | {field: value}}
                yield f"{name}: {field} {value}", file.content(header=header)
    for size in ("n_x", "n_a", "n_y", "num_layers"):
        for by in (-1, 1):
            config = file.entry["config"] | {size: file.entry["config"][size] + by}
            entry = file.entry | {"config": config}
            yield f"{size} {config[size]}", file.content(entry=entry)
    yield _wider(file, next(name for name in ("Wax", "Wax_l0") if name in file.header))


def _changes(tensor):
    """Fields of an array, and other values of them."""
    shape, (begin, end) = tensor["shape"], tensor["data_offsets"]
    for k in range(len(shape)):
        for by in (-1, 1):
            yield "shape", [*shape[:k], shape[k] + by, *shape[k + 1 :]]
    yield "shape", [*shape, 1]
    yield "shape", [1, *shape]
    if shape[0] != shape[-1]:
        yield "shape", shape[::-1]
    for dtype in ("F16", "F32", "F64", "I32", "I64", "I8", "BOOL", "U8"):
        if dtype != tensor["dtype"]:
            yield "dtype", dtype
    for offsets in ((begin + 4, end), (begin, end - 4), (begin, end + 4), (begin + 4, end + 4)):
        yield "data_offsets", list(offsets)


def _wider(file, name):
    """Input weights with a column more, as the configuration says too, but with old offsets."""
    tensor, config = file.header[name], file.entry["config"]
    rows, n_x = tensor["shape"]
    wider = Safetensors(file.content(entry=file.entry | {"config": config | {"n_x": n_x + 1}}))
    header = wider.header | {name: tensor | {"shape": [rows, n_x + 1]}}
    return f"{name} and n_x wider", file.content(header=header)


def ends_of_headers(content):
    """The beginning of a file up to the last bytes of its header."""
    size = 8 + int.from_bytes(content[:8], "little")
    return [content[: size - k] for k in range(9)]


def entries(contents):
    """Texts of the entry "crnn": those of files, and one that ends at every place."""
    texts = [json.dumps(Safetensors(content).entry) for content in contents]
    long = json.dumps({"metadata": {"a": ESCAPED}, "format": 1, "x": [0.5, -1e3, None, True]})
    return [text.encode() for text in [*texts, *(long[:k] for k in range(len(long) + 1))]]
