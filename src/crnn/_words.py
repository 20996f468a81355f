"""Words in messages and tables."""


def counted(number: int, word: str) -> str:
    """A number and a word, in the plural unless the number is 1.

    Examples
    --------
    >>> counted(1, "step"), counted(0, "step")
    ('1 step', '0 steps')
    """
    return f"{number} {word}" + "s" * (number != 1)
