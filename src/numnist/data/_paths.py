"""What every reader and writer of this room says about a path."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from numnist.errors import InputError


def shown(path: Path) -> str:
    """`path` for a message of one line: quoted and escaped if it holds line breaks or undecodable bytes."""
    name = str(path)
    return name if name.isprintable() else ascii(name)


@contextmanager
def os_errors(path: Path, action: str) -> Iterator[None]:
    """Turn an OSError into the InputError "PATH: cannot be ACTION (why)"."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be {action} ({error.strerror or error})") from error
