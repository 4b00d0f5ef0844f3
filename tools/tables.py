"""Write the tables in the documents from the rows in results/; `--check` says whether they are up to date.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; nobody edits it by hand.
"""

import re
import statistics
import sys
from collections.abc import Callable
from functools import partial

import distributed_tables
import engine_tables
import interop_tables
import results_tables
import study_tables
import torture_tables
from rows import (
    ROOT,
    ensemble_row,
    headline_runs,
    markdown,
    newest,
    rows,
)

from numnist.train import ensembles

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
MARKED = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def accuracy_table() -> str:
    """Each recipe: the test accuracy over its seeds, the network's size, and the time of a run."""
    lines = []
    for recipe, runs in headline_runs().items():
        accuracies = [100 * run["test_accuracy"] for run in runs]
        spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
        line = [
            f"`{recipe}`",
            f"**{statistics.mean(accuracies):.2f}**{spread} %",
            len(runs),
            f"{runs[0]['parameters']:,}",
            runs[0]["epochs"],
            f"{statistics.median(run['seconds'] for run in runs):.0f} s",
        ]
        lines.append((statistics.mean(accuracies), line))
    for name, ensemble in ensembles().items():
        if (measured := ensemble_row(ensemble)) is not None:
            found, runs = measured
            accuracy = 100 * (1 - found["errors"] / found["n"])
            seconds = sum(run["seconds"] for run in runs)
            line = [
                f"`{name}` ({len(runs)} models{', several views' if ensemble.tta else ''})",
                f"**{accuracy:.2f}** %",
                1,
                f"{found['parameters']:,}",
                runs[0]["epochs"],
                f"{seconds:.0f} s in all",
            ]
            lines.append((accuracy, line))
    headings = ("recipe", "test accuracy, mean ± std. dev.", "runs", "parameters", "epochs", "time of a run")
    return markdown(headings, [line for _, line in sorted(lines, key=lambda pair: pair[0])])


def synthetic_table() -> str:
    """What a CNN that has seen only built-in digits makes of MNIST's test set."""
    accuracies = [100 * row["test_accuracy"] for row in rows("synthetic")]
    spread = statistics.stdev(accuracies)
    lines = [
        "| trained on | test accuracy on MNIST, mean ± std. dev. | runs |",
        "|---|---|---|",
        f"| built-in digits alone | {statistics.mean(accuracies):.2f} ± {spread:.2f} % | {len(accuracies)} |",
    ]
    return "\n".join(lines) + "\n"


def ways_table() -> str:
    """How often the shipped model reads pictures drawn in each of twenty ways: its newest row."""
    newest = rows("own_digits")[-1]
    lines = ["| way | what it is | right, of " + f"{newest['per_way']} |", "|---|---|---|"]
    for name, accuracy in newest["accuracy"].items():
        lines.append(f"| {name} | {newest['descriptions'][name]} | {100 * accuracy:.0f} % |")
    lines.append(f"| all | | {100 * newest['mean']:.2f} % |")
    return "\n".join(lines) + "\n"


def page_table() -> str:
    """The drawing page of each model: how large it is, and how long a prediction takes in the browser."""
    headings = ("model", "size of the page", "forward", "reading", "frame")
    lines = [
        [
            f"`{row['model']}`",
            f"{row['bytes'] / 1e6:.2f} MB",
            *(f"{row[f'{part}_ms']:.1f} ms" for part in ("forward", "reading", "frame")),
        ]
        for row in newest("page", "model")
    ]
    return markdown(headings, lines)


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy_table,
    "alone": engine_tables.alone_table,
    "calibration": results_tables.calibration_table,
    "corruptions": results_tables.corruptions_table,
    "cost": results_tables.cost_table,
    "coverage": results_tables.coverage_table,
    "distributed": distributed_tables.measured_table,
    "distributed-ethernet": distributed_tables.ethernet_table,
    "distributed-links": distributed_tables.links_table,
    "distributed-machine": distributed_tables.machine_table,
    "distributed-messages": distributed_tables.messages_table,
    "disputed": results_tables.disputed_table,
    "ensemble": results_tables.ensemble_table,
    "fuzz": torture_tables.fuzz_table,
    "inference": engine_tables.inference_table,
    "kills": torture_tables.kills_table,
    "memory": engine_tables.memory_table,
    "mutants": torture_tables.mutants_table,
    "page": page_table,
    "scaling": engine_tables.scaling_table,
    "sklearn": interop_tables.sklearn_table,
    "synthetic": synthetic_table,
    **study_tables.tables(),
    "time-to-accuracy": engine_tables.time_to_accuracy_table,
    "timeline": engine_tables.timeline_table,
    "training-step": engine_tables.training_step_table,
    "training-step-short": partial(engine_tables.training_step_table, ["cnn"]),
    "views": results_tables.views_table,
    "survivors": torture_tables.survivors_table,
    "tricks": partial(engine_tables.tricks_table, True),
    "tricks-that-did-not-pay": partial(engine_tables.tricks_table, False),
    "ways": ways_table,
}


def rewritten(text: str) -> str:
    """A document with its tables made anew."""
    return MARKED.sub(lambda match: match[1] + TABLES[match["name"]]() + match[3], text)


def main() -> None:
    """Rewrite the documents, or check them."""
    stale = [
        path
        for path in DOCUMENTS
        if rewritten(path.read_text(encoding="utf-8")) != path.read_text(encoding="utf-8")
    ]
    if "--check" in sys.argv[1:]:
        sys.exit(
            f"run tools/tables.py: not up to date: {', '.join(path.name for path in stale)}" if stale else 0
        )
    for path in stale:
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
