"""Write the tables in the documents from the rows in results/; `--check` says whether they are up to date.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; nobody edits it by hand.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numnist.train import resolve

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
MARKED = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    """The rows of a file in results/."""
    path = ROOT / "results" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def is_current(row: Row) -> bool:
    """Whether a run had the settings that its recipe has now: others are history, and not in the tables."""
    return bool(resolve({"seed": row["seed"]}, row["recipe"])[1].plain() == row["settings"])


def accuracy_table() -> str:
    """Each recipe: epochs, and the test accuracy over its seeds."""
    lines = [
        "| recipe | epochs | trained on | test accuracy, mean ± std. dev. | runs | lowest to highest |",
        "|---|---|---|---|---|---|",
    ]
    by_recipe: dict[str, list[Row]] = {}
    for row in filter(is_current, rows("runs")):
        by_recipe.setdefault(row["recipe"], []).append(row)
    for recipe, runs in sorted(by_recipe.items(), key=lambda item: item[1][0]["epochs"]):
        accuracies = [100 * run["test_accuracy"] for run in runs]
        spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
        lines.append(
            f"| `{recipe}` | {runs[0]['epochs']} | {runs[0]['trained_on']['images']:,} "
            f"| {statistics.mean(accuracies):.2f}{spread} % | {len(runs)} "
            f"| {min(accuracies):.2f} to {max(accuracies):.2f} % |"
        )
    return "\n".join(lines) + "\n"


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


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy_table,
    "synthetic": synthetic_table,
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
