"""What a door of the program is, and how one knocks."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from numnist.errors import InputError

FOLDER = Path(
    tempfile.mkdtemp(prefix="numnist-doors-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
)
"""In memory where there is such a place: a campaign writes a million files."""


@dataclass(frozen=True)
class Door:
    """What is knocked at, and good bytes that are knocked with at first.

    knock: raises InputError for bytes that cannot be used; whatever else it raises is a defect.
    """

    knock: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


class FindingError(AssertionError):
    """An error that is not told as it should be."""


def answer(door: Door, content: bytes) -> bool:
    """Knock; whether it was let in. FindingError where a refusal is not one line."""
    try:
        door.knock(content)
    except InputError as error:
        words = str(error)
        if not words.strip() or "\n" in words or "\r" in words or len(words) > 2000:
            raise FindingError(f"not one line: {words[:3000]!r}") from error
        return False
    return True


def written(content: bytes, name: str) -> Path:
    """The bytes as a file."""
    path = FOLDER / name
    path.write_bytes(content)
    return path


def saved(write: Callable[[Path], object], name: str) -> bytes:
    """What something writes to a file."""
    path = FOLDER / f"seed-{name}"
    write(path)
    return path.read_bytes()
