"""The rows in results/, and how tables are made of them."""

import json
from pathlib import Path
from typing import Any

from numnist.study.report import markdown
from numnist.train import Config, Ensemble, resolve

ROOT = Path(__file__).resolve().parent.parent

__all__ = ["ROOT", "Row", "ensemble_row", "headline_runs", "is_current", "markdown", "newest", "rows"]

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    """The rows of a file in results/; none where there is no such file."""
    path = ROOT / "results" / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def newest(name: str, *keys: str) -> list[Row]:
    """The last row for each value of these keys, in the order in which the values came first."""
    found: dict[str, Row] = {}
    for row in rows(name):
        found[json.dumps([row[key] for key in keys])] = row
    return list(found.values())


def is_current(row: Row, *others: str) -> bool:
    """Whether a run had the settings that its recipe has now: others are history, and not in the tables.

    others: settings that may differ from the recipe's, as the seed may.
    """
    # A setting that came later had its default then.
    settings = Config.model_validate(row["settings"])
    given = {name: getattr(settings, name) for name in ("seed", *others)}
    return resolve(given, row["recipe"])[1] == settings


def headline_runs() -> dict[str, list[Row]]:
    """The runs of each recipe as it is now, those of few epochs first."""
    by_recipe: dict[str, list[Row]] = {}
    for row in filter(is_current, newest("runs", "recipe", "seed")):
        by_recipe.setdefault(row["recipe"], []).append(row)
    return dict(sorted(by_recipe.items(), key=lambda item: int(item[1][0]["epochs"])))


def ensemble_row(ensemble: Ensemble) -> tuple[Row, list[Row]] | None:
    """What the models of an ensemble reach together, and their runs; None until it has been assessed."""
    runs = [row for row in headline_runs().get(ensemble.members, []) if row["seed"] in ensemble.seeds]
    found = [
        row
        for row in newest("assessments", "recipe", "seeds", "tta", "on")
        if (row["recipe"], tuple(row["seeds"])) == (ensemble.members, ensemble.seeds)
        and (row["tta"], row["on"]) == (ensemble.tta, "test")
    ]
    return (found[0], runs) if found and len(runs) == len(ensemble.seeds) else None
