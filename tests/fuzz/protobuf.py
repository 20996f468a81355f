"""Damage to a protobuf message: to any field of it or of a message inside of it."""

from google.protobuf.descriptor import FieldDescriptor as Field

WHOLE = {
    Field.CPPTYPE_INT32, Field.CPPTYPE_INT64, Field.CPPTYPE_UINT32, Field.CPPTYPE_UINT64,
    Field.CPPTYPE_ENUM,
}  # fmt: skip
NUMBERS = [0, 1, 2, 3, 5, 7, 8, 10, 11, 13, 16, 22, 64, 255, 10**4, 10**6, 2**31 - 1, -1, -2, -7]
LARGE = [2**31, 2**40, 2**62, 2**63 - 1, -(2**31), -(2**63)]
REALS = [0.0, 1.0, -1.0, 0.5, 2.0, 1e30, float("inf"), float("nan")]
TEXTS = ["", "a", "x", "y_hat", "lengths", "ai.onnx", "two\nlines", "../a", "é"]


def _messages(message):
    """A message and every message inside of it."""
    found = [message]
    for field, value in message.ListFields():
        if field.cpp_type == Field.CPPTYPE_MESSAGE:
            for inside in value if field.is_repeated else [value]:
                found += _messages(inside)
    return found


def _odd(choices, field, same):
    """A value for a field; `same` has those of the same field elsewhere in the message."""
    if field.cpp_type in WHOLE:
        wide = field.cpp_type in (Field.CPPTYPE_INT64, Field.CPPTYPE_UINT64)
        value = choices.of(NUMBERS + (LARGE if wide else []))
        unsigned = field.cpp_type in (Field.CPPTYPE_UINT32, Field.CPPTYPE_UINT64)
        return abs(value) if unsigned else value
    if field.cpp_type in (Field.CPPTYPE_FLOAT, Field.CPPTYPE_DOUBLE):
        return choices.of(REALS)
    if field.cpp_type == Field.CPPTYPE_BOOL:
        return bool(choices.below(2))
    if field.type == Field.TYPE_BYTES:
        return choices.of([b"", b"\xff", b"Tanh", b"Relu", choices.bytes(8), *same])
    return choices.of([*TEXTS, *same])


def _same(root, field):
    """What stands in a field of any message inside of a message."""
    found = []
    for message in _messages(root):
        if message.DESCRIPTOR is field.containing_type:
            value = getattr(message, field.name)
            if field.is_repeated:
                found += value
            elif message.HasField(field.name):
                found.append(value)
    return found


def damage(choices, root, texts):
    """Change one field of a message, in place. `texts` has texts by the names of fields."""
    message = choices.of(_messages(root))
    is_set = [field for field, _ in message.ListFields()]
    field = choices.of(is_set if is_set and choices.below(4) else [*message.DESCRIPTOR.fields])
    same = _same(root, field)
    what = choices.of(["change", "change", "change", "change", "clear", "out", "again", "swap"])
    if what == "clear":
        message.ClearField(field.name)
    elif field.is_repeated:
        _damage_items(choices, getattr(message, field.name), field, what, same, texts)
    elif field.cpp_type == Field.CPPTYPE_MESSAGE:
        if same:
            getattr(message, field.name).CopyFrom(choices.of(same))
    else:
        value = _odd(choices, field, [*texts.get(field.name, ()), *same])
        if field.cpp_type != Field.CPPTYPE_ENUM or value in field.enum_type.values_by_number:
            setattr(message, field.name, value)


def _damage_items(choices, items, field, what, same, texts):
    """Change one item of a repeated field, leave it out, repeat it, or exchange it with another."""
    is_message = field.cpp_type == Field.CPPTYPE_MESSAGE
    k = choices.below(max(1, len(items)))
    new = None
    if is_message and same:
        new = type(same[0])()
        new.CopyFrom(choices.of(same))
    elif not is_message:
        new = _odd(choices, field, [*texts.get(field.name, ()), *same])
    if what == "out" and len(items):
        del items[k]
    elif what == "swap" and len(items):
        kept = [*items[:k], *items[k + 1 :], items[k]]
        kept = [item.__deepcopy__() if is_message else item for item in kept]
        del items[:]
        items.extend(kept)
    elif what == "again" or not len(items):
        if new is not None:
            items.append(new)
    elif is_message:
        items[k].CopyFrom(new)
    else:
        items[k] = new
