"""What a run left in its folder, as far as it is whole."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from numnist.errors import InputError
from numnist.nn import Model, load_model

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One run.

    history, timing, statistics: the rows of these files. result: of the test, or empty. model: what was
    trained, or None. problems: a line for each file that is missing or cannot be used.
    """

    path: Path
    config: Row
    history: list[Row]
    timing: list[Row]
    statistics: list[Row]
    result: Row
    model: Model | None
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the run is called: the name of its folder."""
        return self.path.resolve().name

    @classmethod
    def load(cls, path: Path) -> "RunRecord":
        """Read the folder of a run; what is damaged is left out, and said in `problems`.

        Raises: InputError when there is no folder, or neither a history nor a model in it.
        """
        if not path.is_dir():
            raise InputError(
                f"{path}: expected the folder of a run, got {'a file' if path.exists() else 'nothing'}"
            )
        problems: list[str] = []

        def part(name: str, read: Callable[[Path], T], instead: T) -> T:
            file = path / name
            try:
                return read(file)
            except FileNotFoundError:
                problems.append(f"{name} is missing")
            except (OSError, ValueError, InputError) as error:
                words = str(error).removeprefix(f"{file}: ")
                problems.append(f"{name} cannot be used: {words}")
            return instead

        record = cls(
            path,
            part("config.toml", lambda file: tomllib.loads(file.read_text(encoding="utf-8")), {}),
            part("history.jsonl", lambda file: _rows(file, {"epoch", "train_loss", "train_accuracy"}), []),
            part("timing.jsonl", lambda file: _rows(file, set()), []),
            part("statistics.jsonl", lambda file: _rows(file, {"epoch", "parameters", "gradients"}), []),
            part("result.json", _table, {}),
            part("model.safetensors", _model, None),
            problems,
        )
        if not record.history and record.model is None:
            raise InputError(f"{path}: there is no run in this folder: {'; '.join(problems)}")
        return record


def _rows(file: Path, needed: set[str]) -> list[Row]:
    """The lines of a file; one that was cut off in writing is left out if it is the last."""
    lines = file.read_text(encoding="utf-8").splitlines()
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            if number == len(lines):
                break
            raise ValueError(f"line {number} is not JSON") from None
        if not isinstance(row, dict) or not needed <= set(row):
            raise ValueError(f"line {number} is not a row of such a file")
        rows.append(row)
    return rows


def _table(file: Path) -> Row:
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("expected an object")
    return found


def _model(file: Path) -> Model | None:
    if not file.exists():
        raise FileNotFoundError(file)
    return load_model(file)
