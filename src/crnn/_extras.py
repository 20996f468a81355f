"""Optional libraries, which only the modules that build upon them need."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(
    library: str, project: str, *, name: str | None = None, user: str | None = None
) -> Iterator[None]:
    """Import a library's adapter within this context: a missing library names its extra of crnn.

    `name` is that of the extra, if it is not the library's, and `user` what needs the library, if
    it is not crnn.<library>. An error inside a library that is installed is left as it is.

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
            f"{user or 'crnn.' + library} needs {project}: "
            f'python -m pip install "crnn[{name or library}]"',
            name=library,
        ) from None
