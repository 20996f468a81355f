"""What the page of a class in the API reference lists: the members that crnn defines."""

import importlib
import inspect
from typing import Any


def own_members(module: str, name: str) -> list[tuple[str, str]]:
    """The public methods and properties of a class, those of the class itself first.

    Members that crnn inherits from another library, or from Python, are left out.

    Parameters
    ----------
    module, name : str
        Where the class is, and its name.

    Returns
    -------
    members : list of (kind, name)
        The kind is "method" or "property".
    """
    owner = getattr(importlib.import_module(module), name)
    found: dict[str, str | None] = {}
    for base in inspect.getmro(owner):
        if base.__module__.split(".")[0] == "crnn":
            found = {member: _kind(value) for member, value in vars(base).items()} | found
    return [(kind, member) for member, kind in found.items() if kind and member[0] != "_"]


def _kind(value: Any) -> str | None:
    if isinstance(value, property):
        return "property"
    is_method = inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod))
    return "method" if is_method else None
