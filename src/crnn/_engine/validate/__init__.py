"""Validation: every argument is converted or refused here, before anything is written.

Each function takes an argument's name and value and returns the value in the one form that the
code below understands: C-contiguous arrays of native byte order and of one dtype. An array that
has this form is returned without a copy, whichever library made it; strided, non-native and list
input is copied once. Errors name the argument, what was expected and what was given.
"""

from crnn._engine.validate.arrays import array, in_order, leak, leak_of_each_unit, output, times
from crnn._engine.validate.calls import ACTIVATIONS, cell, cell_call, cell_weights, sequence
from crnn._engine.validate.examples import (
    class_numbers,
    class_range,
    lengths_of,
    steps_counted,
    time_and_examples,
    weights,
)
from crnn._engine.validate.foreign import described, plain
from crnn._engine.validate.hints import axis_to_add, not_numbers, other_order
from crnn._engine.validate.values import (
    LARGEST,
    choice,
    count,
    finite_as,
    flag,
    float_name,
    generator,
    given,
    number,
    seed_of,
    shown,
)

__all__ = [
    "ACTIVATIONS", "LARGEST", "array", "axis_to_add", "cell", "cell_call", "cell_weights", "choice",
    "class_numbers", "class_range", "count", "described", "finite_as", "flag", "float_name",
    "generator", "given", "in_order", "leak", "leak_of_each_unit", "lengths_of", "not_numbers",
    "number", "other_order", "output", "plain", "seed_of", "sequence", "shown", "steps_counted",
    "time_and_examples", "times", "weights",
]  # fmt: skip
