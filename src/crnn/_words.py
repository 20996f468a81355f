"""Words in messages and tables."""


def counted(number: int, word: str) -> str:
    """A number and a word, in the plural unless the number is 1.

    Examples
    --------
    >>> counted(1, "step"), counted(0, "step")
    ('1 step', '0 steps')
    """
    return f"{number} {word}" + "s" * (number != 1)


def one_line(text: object) -> str:
    r"""A text of others in one line, such as the message of another library's exception.

    Examples
    --------
    >>> one_line(ValueError("bad node:\n  RNN"))
    'bad node: RNN'
    """
    return " ".join(str(text).split()) or type(text).__name__
