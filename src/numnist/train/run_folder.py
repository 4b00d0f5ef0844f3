"""The folder of a run."""

import re
from pathlib import Path

from numnist.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run may be called: a plain folder name on every system."""


class RunFolder:
    """`runs/NAME/` and the files in it. The folder is made at construction, by whoever comes first."""

    FILES = (
        "config.toml",
        "history.jsonl",
        "timing.jsonl",
        "statistics.jsonl",
        "checkpoint.safetensors",
        "model.safetensors",
        "result.json",
        "report.html",
    )

    def __init__(self, runs: Path, name: str | None, model: str, force: bool = False) -> None:
        """Make the folder.

        name: None for a new unique name made from the model's ("cnn-001").
        force: empty an existing folder of the files of the run that was there.
        Raises: InputError when the name cannot be a folder's, when it is taken and not forced, or when the
                folder cannot be made.
        """
        if name is not None:
            _require_name(name)
        try:
            runs.mkdir(parents=True, exist_ok=True)
            self.path = self._unique(runs, model) if name is None else self._named(runs / name, force)
        except OSError as error:
            raise InputError(
                f"{error.filename or runs}: cannot make a folder for the run: {error.strerror}"
            ) from error

    @staticmethod
    def require_free(runs: Path, name: str) -> None:
        """InputError where a run of this name could not be made without `force`."""
        _require_name(name)
        if (runs / name).exists():
            raise _taken(runs / name)

    @staticmethod
    def _unique(runs: Path, model: str) -> Path:
        """The first of cnn-001, cnn-002, ... that is not there; two runs at once get two."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).name.removesuffix(".toml")).strip("-.") or "run"
        number = 1
        while True:
            path = runs / f"{stem}-{number:03}"
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
            else:
                return path

    def _named(self, path: Path, force: bool) -> Path:
        """A folder of just this name."""
        try:
            path.mkdir()
        except FileExistsError:
            if not force:
                raise _taken(path) from None
            for name in self.FILES:
                (path / name).unlink(missing_ok=True)
        return path

    def file(self, name: str) -> Path:
        """Path of one of `FILES`."""
        return self.path / name

    def written(self) -> list[Path]:
        """The files that are there, in the order of `FILES`."""
        return [path for path in map(self.file, self.FILES) if path.exists()]


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"--name: expected letters, digits, '.', '_' and '-', got {name!r}")


def _taken(path: Path) -> InputError:
    return InputError(f"{path}: there is a run of this name: choose another, or --force to replace it")
