"""Write the tables in the documents from the rows in results/; `--check` says whether they are up to date.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; nobody edits it by hand.
"""

import re
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial

import distributed_tables
import interop_tables
import results_tables
import study_tables
import torture_tables
from rows import (
    ROOT,
    Row,
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


PEERS = ("torch_eager", "torch_channels_last", "torch_compile")


def training_step_table(models: Sequence[str] = ()) -> str:
    """Ours against PyTorch's modes, for each model and size of batch."""
    headings = (
        "network",
        "batch",
        "ours",
        "eager",
        "channels_last",
        "compile",
        "ratio to the fastest",
        "useful",
    )
    chosen = [
        row for row in newest("training_step", "model", "batch") if not models or row["model"] in models
    ]
    return markdown(
        headings,
        (
            [
                f"`{row['model']}`",
                row["batch"],
                f"{row['ours_ms']:.2f} ms",
                *(f"{row[f'{peer}_ms']:.2f} ms" for peer in PEERS),
                f"**{row['ratio']:.2f}**",
                f"{row['gflops'] / row['peak_gflops']:.0%} of {row['peak_gflops']:.0f} GFLOP/s",
            ]
            for row in chosen
        ),
    )


def inference_table() -> str:
    """Logits of the test set and of one image, by everyone."""
    by_task: dict[str, list[Row]] = {}
    for row in newest("inference", "task", "contender"):
        by_task.setdefault(row["task"], []).append(row)
    lines = [
        [
            task,
            row["contender"].replace("_", " "),
            f"{row['ms']:.3f} ms" if row["ms"] < 10 else f"{row['ms']:.0f} ms",
        ]
        for task, of_task in by_task.items()
        for row in sorted(of_task, key=lambda row: float(row["ms"]))
    ]
    return markdown(("task", "by", "time"), lines)


SWEEPS = {"threads": "cores", "batch": "batch", "images": "training images"}


def scaling_table() -> str:
    """Cost of a step or an image as threads, batches and training sets grow."""
    lines = []
    for sweep, what in SWEEPS.items():
        points: dict[int, Row] = {row[sweep]: row for row in rows("scaling") if row["sweep"] == sweep}
        for row in points.values():
            peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f} MB"
            lines.append(
                [
                    f"{what} {row[sweep]:,}",
                    f"{row['step_ms']:.2f} ms",
                    f"{row['image_us']:.1f} µs",
                    f"{row['relative']:.2f}",
                    peak,
                ]
            )
    return markdown(("", "step", "per image", "to the first", "peak memory"), lines)


def time_to_accuracy_table() -> str:
    """Whole runs of each recipe that was timed."""
    by_recipe: dict[str, list[Row]] = {}
    for row in newest("time_to_accuracy", "recipe", "seed"):
        by_recipe.setdefault(row["recipe"], []).append(row)
    lines = []
    for recipe, runs in by_recipe.items():
        accuracies = [100 * run["test_accuracy"] for run in runs]
        seconds = [run["seconds"] for run in runs]
        lines.append(
            [
                f"`{recipe}`",
                f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})",
                f"{statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f} %",
                len(runs),
            ]
        )
    return markdown(
        ("recipe", "whole process, median (range)", "test accuracy, mean ± std. dev.", "seeds"), lines
    )


def memory_table() -> str:
    """Peak memory of an epoch."""
    lines = [
        [row["contender"].replace("_", " "), f"{row['peak_mb']:.0f} MB"]
        for row in newest("memory", "contender")
    ]
    return markdown(("training the `cnn`, batches of 128", "peak memory"), lines)


def tricks_table(kept: bool) -> str:
    """Each trick: what it replaces, what it is, and the gain."""
    lines = [
        [
            row["before"],
            row["after"],
            f"{row['before_us']:,.0f} µs",
            f"{row['after_us']:,.0f} µs",
            f"{row['before_us'] / row['after_us']:.1f}",
        ]
        for row in newest("tricks", "trick")
        if row["kept"] is kept
    ]
    headings = (
        ("before", "after", "before", "after", "ratio")
        if kept
        else ("what is done", "what was tried", "done", "tried", "ratio")
    )
    return markdown(headings, lines)


def timeline_table() -> str:
    """What two processes do between their meetings in a step."""
    lines, all_rows = [], rows("timeline")
    first = max(i for i, row in enumerate(all_rows) if row["stretch"] == all_rows[0]["stretch"])
    for row in all_rows[first:]:  # of the last run, in its order
        work, wait = ([f"{us:,.0f} µs" for us in row[what]] for what in ("work_us", "wait_us"))
        lines.append([row["stretch"], work[0], work[1], " and ".join(wait) if any(row["wait_us"]) else ""])
    return markdown(("until the next meeting", "first process", "second", "then they wait"), lines)


def alone_table() -> str:
    """What the first process does alone in a step."""
    lines = [
        [
            f"`{row['model']}`",
            str(row["batch"]),
            *(f"{row[what]:,.0f} µs" for what in ("before_us", "behind_us", "update_us")),
            f"{(row['before_us'] + row['behind_us'] + row['update_us']) / row['step_us']:.1%}",
        ]
        for row in newest("alone", "model", "batch")
    ]
    return markdown(("network", "batch", "before the step", "behind it", "the update", "of all"), lines)


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy_table,
    "alone": alone_table,
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
    "inference": inference_table,
    "kills": torture_tables.kills_table,
    "memory": memory_table,
    "mutants": torture_tables.mutants_table,
    "page": page_table,
    "scaling": scaling_table,
    "sklearn": interop_tables.sklearn_table,
    "synthetic": synthetic_table,
    **study_tables.tables(),
    "time-to-accuracy": time_to_accuracy_table,
    "timeline": timeline_table,
    "training-step": training_step_table,
    "training-step-short": partial(training_step_table, ["cnn"]),
    "views": results_tables.views_table,
    "survivors": torture_tables.survivors_table,
    "tricks": partial(tricks_table, True),
    "tricks-that-did-not-pay": partial(tricks_table, False),
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
