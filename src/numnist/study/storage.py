"""Where a study's trials are kept: a journal file, or a database that many machines reach."""

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from numnist.errors import InputError
from numnist.study.journal_lock import JournalLock

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

EXTRA = "it needs Optuna: pip install 'numnist[study]'"
"""What to do where the library is missing."""

LONGEST = 1 << 24
"""Bytes of a journal's line that are read at most."""

GRACE = 3
"""Heartbeats that may be missing before a worker counts as dead."""


def optuna() -> ModuleType:
    """The library, silent but for errors; InputError where it is not installed."""
    try:
        import optuna as library
    except ImportError as error:
        raise InputError(f"no study: {EXTRA}") from error
    library.logging.set_verbosity(library.logging.ERROR)
    # Heartbeats and the journal are marked as experimental, and are what we are here for.
    warnings.filterwarnings("ignore", category=library.exceptions.ExperimentalWarning)
    return library


def open_storage(storage: str | Path, heartbeat: int) -> "BaseStorage":
    """The storage of this address.

    storage: path of a journal file, made where it is missing, or the URL of a database, such as
    postgresql://user@host/name. heartbeat: seconds between two signs of life of a worker.

    Raises: InputError naming the storage where it cannot be reached, is of another kind, or lacks a library.
    """
    library = optuna()
    if "://" in str(storage):
        return _database(library, str(storage), heartbeat)
    path = Path(storage)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalLock(path) if JournalLock.is_possible() else None
        backend = library.storages.journal.JournalFileBackend(str(path), lock)
        _check_begin(path)
        return library.storages.JournalStorage(backend)  # type: ignore[no-any-return]
    except OSError as error:
        raise InputError(f"{path}: cannot be a study's journal: {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, AssertionError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not the journal of a study, or a damaged one") from error


def _check_begin(path: Path) -> None:
    """ValueError where a file does not begin as a journal: what is appended to another would damage it."""
    with path.open("rb") as file:
        first = file.readline(LONGEST)
    if first and "op_code" not in json.loads(first):
        raise ValueError("no journal")


def _database(library: ModuleType, url: str, heartbeat: int) -> "BaseStorage":
    """A PostgreSQL database. (In SQLite two workers can claim one trial: Optuna's lock is none there.)"""
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    scheme, _, rest = url.partition("://")
    shown = re.sub(r"//[^@/]*@", "//…@", url)  # a password is not for a log
    expected = f"--storage: {shown}: expected a file or postgresql://USER@HOST/NAME"
    if scheme not in ("postgresql", "postgres"):
        raise InputError(expected)
    # A connection for each thread that asks, and none for longer: questions are few, and a server restarts.
    arguments: dict[str, Any] = {"poolclass": NullPool, "connect_args": {"connect_timeout": 10}}
    try:
        return library.storages.RDBStorage(  # type: ignore[no-any-return]
            "postgresql+psycopg://" + rest.replace("{", "{{").replace("}", "}}"),  # Optuna formats it
            arguments,
            heartbeat_interval=heartbeat,
            grace_period=GRACE * heartbeat,
        )
    except (ArgumentError, ValueError) as error:
        raise InputError(expected) from error
    except RuntimeError as error:  # tables of another version of Optuna
        raise InputError(f"--storage: {shown}: {_reason(error)}") from error
    except ImportError as error:
        raise InputError(
            f"--storage: {shown}: no driver for it: pip install 'numnist[postgresql]'"
        ) from error
    except SQLAlchemyError as error:
        raise InputError(f"--storage: {shown}: cannot be reached: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """What a database says of an error, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def while_it_is_reached() -> Iterator[None]:
    """InputError where a database is lost in the midst of the work."""
    library = optuna()
    try:
        yield
    except library.exceptions.StorageInternalError as error:
        raise InputError(f"--storage: the database was lost: {_reason(error)}") from error
