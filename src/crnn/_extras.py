"""Optional libraries, which only the modules that build upon them need."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(library: str, project: str) -> Iterator[None]:
    """Import a library's adapter within this context: a missing library names its extra of crnn.

    An error inside a library that is installed is left as it is.

    Raises
    ------
    ModuleNotFoundError
        If the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ModuleNotFoundError(
            f'crnn.{library} needs {project}: python -m pip install "crnn[{library}]"', name=library
        ) from None
