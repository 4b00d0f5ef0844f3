"""What a study leaves: a row for each run, and apart from them what a clock said."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.study.plan import Plan, Row
from numnist.study.queue import Queue

ROWS, TIMING = "rows.jsonl", "timing.jsonl"


def write_rows(folder: Path, plan: Plan, queue: Queue) -> Path:
    """Write the rows that are there, in the plan's order, so that they are the same whoever made them.

    timing.jsonl beside them has what is not: seconds, and the environment of each run.
    """
    rows, clocks = queue.rows(), queue.clocks()
    folder.mkdir(parents=True, exist_ok=True)
    keys = [trial.key for trial in plan.trials(rows) if trial.key in rows]
    lines = [json.dumps(rows[key], sort_keys=True) + "\n" for key in keys]
    write_atomic(folder / ROWS, "".join(lines))
    times = [json.dumps({"key": key, **clocks.get(key, {})}, sort_keys=True) + "\n" for key in keys]
    write_atomic(folder / TIMING, "".join(times))
    return folder / ROWS


def read_rows(path: Path) -> dict[str, Row]:
    """The rows of a file by their keys.

    Raises: InputError naming the file where it is not one of these.
    """
    try:
        found: list[Mapping[str, Any]] = [
            json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        return {row["key"]: dict(row) for row in found}
    except OSError as error:
        raise InputError(f"{path}: expected the rows of a study: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: expected the rows of a study, a JSON object in each line") from error
