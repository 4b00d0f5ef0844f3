"""The folder of a run."""

import errno
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.train.checkpoint import PREVIOUS
from numnist.train.lock import RunLock

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run may be called: a plain folder name on every system."""


class RunFolder:
    """`runs/NAME/` and the files in it. The folder is made at construction, by whoever comes first.

    While a run is written to it, `lock` is held.
    """

    FILES = (
        "config.toml",
        "data.json",
        "network.toml",
        "history.jsonl",
        "timing.jsonl",
        "statistics.jsonl",
        "checkpoint.safetensors",
        PREVIOUS,
        "model.safetensors",
        "result.json",
        "report.html",
    )

    KEPT = ("config.toml", "data.json", "network.toml")
    """What is there before the first step, and stays when a run begins again."""

    INTERNAL = ("data.json", "network.toml", PREVIOUS)
    """What only going on with a run needs."""

    def __init__(
        self,
        runs: Path,
        name: str | None,
        model: str,
        force: bool = False,
        first: Mapping[str, str] | None = None,
    ) -> None:
        """Make the folder, with whatever comes first already in it.

        name: None for a new unique name made from the model's ("cnn-001").
        force: empty an existing folder of the files of the run that was there.
        first: contents of files by name. There is no moment in which the folder is there and they are not, so
               that a run that is killed at once can be begun again.
        Raises: InputError when the name cannot be a folder's, when it is taken and not forced, when another
                process is writing to it, or when the folder cannot be made.
        """
        if name is not None:
            _require_name(name)
        files = dict(first or {})
        try:
            runs.mkdir(parents=True, exist_ok=True)
            self.path = _unique(runs, model, files) if name is None else _named(runs / name, files, force)
            if force:
                with self.lock():
                    self._empty(files)
        except OSError as error:
            raise InputError(
                f"{error.filename or runs}: cannot make a folder for the run: {error.strerror}"
            ) from error

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """The folder of a run that is to go on.

        Raises: InputError where there is none.
        """
        if not path.is_dir():
            raise InputError(
                f"{path}: expected the folder of a run, got {'a file' if path.exists() else 'nothing'}"
            )
        if not (path / "config.toml").is_file():
            raise InputError(f"{path}: there is no run in this folder: it has no config.toml")
        folder = cls.__new__(cls)
        folder.path = path
        return folder

    @staticmethod
    def require_free(runs: Path, name: str) -> None:
        """InputError where a run of this name could not be made without `force`."""
        _require_name(name)
        if (runs / name).exists():
            raise _taken(runs / name)

    def sweep(self) -> None:
        """Take away the halves of files that a process which was killed in writing has left."""
        for name in self.FILES:
            for half in self.path.glob(f".{name}.{'[0-9a-f]' * 32}"):
                half.unlink(missing_ok=True)

    def begin_again(self) -> None:
        """Take away all that the steps so far have left."""
        for name in self.FILES:
            if name not in self.KEPT:
                self.file(name).unlink(missing_ok=True)

    def lock(self) -> RunLock:
        """Keep all others from writing here; InputError where one is."""
        return RunLock(self.path)

    def _empty(self, files: Mapping[str, str]) -> None:
        """Replace the run that was here by one of these files."""
        for name in self.FILES:
            if name not in files:
                self.file(name).unlink(missing_ok=True)
        for name, content in files.items():
            write_atomic(self.file(name), content)

    def file(self, name: str) -> Path:
        """Path of one of `FILES`."""
        return self.path / name

    def written(self) -> list[Path]:
        """The files that are there and are for people, in the order of `FILES`."""
        return [
            self.file(name) for name in self.FILES if name not in self.INTERNAL and self.file(name).exists()
        ]


def _unique(runs: Path, model: str, files: Mapping[str, str]) -> Path:
    """The first of cnn-001, cnn-002, ... that is not there; two runs at once get two."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).name.removesuffix(".toml")).strip("-.") or "run"
    number = 1
    while not _made(runs / f"{stem}-{number:03}", files):
        number += 1
    return runs / f"{stem}-{number:03}"


def _named(path: Path, files: Mapping[str, str], force: bool) -> Path:
    """A folder of just this name."""
    if not _made(path, files) and not force:
        raise _taken(path)
    return path


def _made(path: Path, files: Mapping[str, str]) -> bool:
    """Make a folder with these files in one step; False where something of this name is there."""
    if path.exists():
        return False
    if not files:
        try:
            path.mkdir()
        except FileExistsError:
            return False
        return True
    ready = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    ready.mkdir()
    try:
        for name, content in files.items():
            write_atomic(ready / name, content)
        ready.rename(path)
    except OSError as error:
        shutil.rmtree(ready, ignore_errors=True)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):  # another process was faster
            return False
        raise
    return True


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"--name: expected letters, digits, '.', '_' and '-', got {name!r}")


def _taken(path: Path) -> InputError:
    return InputError(f"{path}: there is a run of this name: choose another, or --force to replace it")
