"""One HTML file that says what runs came to: no network, no other file."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from numnist import __version__
from numnist.data import Dataset
from numnist.files import write_atomic
from numnist.view.charts import LINES, Curve, line_chart, with_own_ids
from numnist.view.closer import closer_look
from numnist.view.run_record import RunRecord

MOST_RUNS = 12
"""More would make a page that nobody can read."""


def write_report(records: Sequence[RunRecord], out: Path, dataset: Dataset | None = None) -> None:
    """Write the report of these runs.

    dataset: what they were tested on, for all that needs images; a run that was tested on other data is shown
    without them.
    Raises: ValueError for no run or more than `MOST_RUNS`; OSError when the file cannot be written.
    """
    if not 1 <= len(records) <= MOST_RUNS:
        raise ValueError(f"write_report: expected 1 to {MOST_RUNS} runs, got {len(records)}")
    environment = Environment(
        loader=PackageLoader("numnist.view"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    names = [record.name for record in records]
    page = environment.get_template("report.html.j2").render(
        title=", ".join(names) if len(names) < 4 else f"{len(names)} runs",
        version=__version__,
        runs=[_run(record, number, dataset) for number, record in enumerate(records)],
        charts=_charts(records),
    )
    write_atomic(out, with_own_ids(page))


def _run(record: RunRecord, number: int, dataset: Dataset | None) -> dict[str, Any]:
    """What the template is told of a run."""
    result = record.result
    return {
        "name": record.name,
        "colour": LINES[number % len(LINES)],
        "problems": record.problems,
        "accuracy": result.get("test_accuracy"),
        "errors": result.get("test_errors"),
        "test_images": result.get("test_images"),
        "facts": _facts(record),
        **closer_look(record, dataset),
    }


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    """A few lines about a run: what there is to be said."""
    config, result = record.config, record.result
    facts: list[tuple[str, Any]] = [
        ("network", config.get("model")),
        ("recipe", result.get("recipe", config.get("recipe"))),
        ("changed", ", ".join(result.get("changed", [])) or None),
        ("parameters", record.model and f"{record.model.layout.size:,}"),
        ("epochs", record.history[-1]["epoch"] if record.history else None),
        ("batch size", config.get("batch_size")),
        ("seed", config.get("seed")),
        ("trained on", _trained_on(result)),
        ("stopped", result.get("stopped")),
        ("training time", _seconds(record)),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _trained_on(result: dict[str, Any]) -> str | None:
    return f"{result['trained_on']['images']:,} images of {result['dataset']['name']}" if result else None


def _seconds(record: RunRecord) -> str | None:
    seconds = sum(row["seconds"] for row in record.timing)
    return f"{seconds:.1f} s" if seconds else None


def _charts(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Loss, accuracy and learning rate, of all runs on the same axes."""
    several = len(records) > 1
    charts = []
    for caption, ylabel, keys, log in (
        ("Loss, in nats; dashed: on the validation images", "loss", ("train_loss", "val_loss"), True),
        (
            "Error rate; dashed: on the validation images",
            "error, %",
            ("train_accuracy", "val_accuracy"),
            True,
        ),
        ("Learning rate at the end of each epoch", "learning rate", ("lr",), False),
    ):
        curves = []
        for number, record in enumerate(records):
            for key in keys:
                points = [(row["epoch"], row[key]) for row in record.history if row.get(key) is not None]
                if not points:
                    continue
                epochs, values = zip(*points, strict=True)
                if key.endswith("accuracy"):
                    # No error at all has no place on a logarithmic axis: there is a gap.
                    values = tuple(100 * (1 - value) if value < 1 else math.nan for value in values)
                kind = "validation" if key.startswith("val") else "training"
                label = (
                    f"{record.name}, {kind}"
                    if several and len(keys) > 1
                    else record.name
                    if several
                    else kind
                )
                curves.append(Curve(label, number, epochs, values, dashed=kind == "validation"))
        if curves:
            charts.append((caption, line_chart(curves, ylabel, log=log)))
    return charts
