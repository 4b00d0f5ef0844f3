"""What a run left in its folder, as far as it is whole."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from numnist.errors import InputError
from numnist.nn import Model, load_model

T = TypeVar("T")
Row = dict[str, Any]


class Spread(BaseModel):
    """One tensor in a row of statistics.jsonl."""

    min: float
    max: float
    counts: list[int]


class HistoryRow(BaseModel):
    """What is read of a row of history.jsonl."""

    epoch: int
    train_loss: float
    train_accuracy: float
    lr: float
    val_loss: float | None = None
    val_accuracy: float | None = None


class TimingRow(BaseModel):
    """What is read of a row of timing.jsonl, whose last one is of the whole run."""

    epoch: int | None = None
    seconds: float = 0.0
    validation_seconds: float = 0.0
    images_per_second: float | None = None


class StatisticsRow(BaseModel):
    """What is read of a row of statistics.jsonl."""

    epoch: int
    parameters: dict[str, Spread]
    gradients: dict[str, Spread]


class Data(BaseModel):
    """What a result says of its data."""

    name: str
    fingerprint: str


class TrainedOn(BaseModel):
    """What a result says of the images that were trained on."""

    images: int


class Result(BaseModel):
    """What is read of result.json."""

    test_accuracy: float
    test_errors: int
    test_images: int
    dataset: Data
    trained_on: TrainedOn
    recipe: str = ""
    changed: list[str] = []
    stopped: str | None = None


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
        """What the run is called: the name of its folder, as far as it can be written."""
        return self.path.resolve().name.encode("utf-8", "replace").decode()

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
            part("history.jsonl", lambda file: _rows(file, HistoryRow), []),
            part("timing.jsonl", lambda file: _rows(file, TimingRow), []),
            part("statistics.jsonl", lambda file: _rows(file, StatisticsRow), []),
            part("result.json", _table, {}),
            part("model.safetensors", _model, None),
            problems,
        )
        if not record.history and record.model is None:
            raise InputError(f"{path}: there is no run in this folder: {'; '.join(problems)}")
        return record


def _rows(file: Path, kind: type[BaseModel]) -> list[Row]:
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
        rows.append(_checked(row, kind, f"line {number} is not a row of such a file"))
    return rows


def _table(file: Path) -> Row:
    found = json.loads(file.read_text(encoding="utf-8"))
    return _checked(found, Result, "it is not the result of a run")


def _checked(found: Any, kind: type[BaseModel], complaint: str) -> Row:
    """The values as they should be; ValueError with this complaint where they are not."""
    try:
        return kind.model_validate(found, strict=True).model_dump()
    except ValidationError:
        raise ValueError(complaint) from None


def _model(file: Path) -> Model | None:
    if not file.exists():
        raise FileNotFoundError(file)
    return load_model(file)
