"""The field's benchmark tasks for memory, as seeded generators with their published settings."""

from crnn.tasks.digits import Digits
from crnn.tasks.marked import Adding, DelayedXOR
from crnn.tasks.recipes import KINDS, Recipe, recipe
from crnn.tasks.symbols import CopyMemory, TemporalOrder
from crnn.tasks.task import Published, Task
from crnn.tasks.training import Point, Result, train

__all__ = [
    "KINDS", "TASKS", "Adding", "CopyMemory", "DelayedXOR", "Digits", "Point",
    "Published", "Recipe", "Result", "Task", "TemporalOrder", "recipe", "train",
]  # fmt: skip

#: Every task by its name.
TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Adding, CopyMemory, TemporalOrder, DelayedXOR, Digits)
}
