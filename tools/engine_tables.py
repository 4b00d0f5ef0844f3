"""The tables of the engine: beside its peers, alone, step by step, and trick by trick."""

import statistics
from collections.abc import Sequence

from rows import Row, markdown, newest, rows

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


ALONE = ("before_us", "behind_us", "update_us")


def alone_table() -> str:
    """What the first process does alone in a step."""
    lines = [
        [
            f"`{row['model']}`",
            str(row["batch"]),
            *(f"{row[what]:,.0f} µs" for what in ALONE),
            f"{sum(row[what] for what in ALONE) / row['step_us']:.1%}",
            f"{row['copy_us']:,.0f} µs",
            f"{row['copy_us'] / row['step_us']:.1%}",
        ]
        for row in newest("alone", "model", "batch")
    ]
    headings = ("before the step", "behind it", "the update", "of all", "the copy", "of all")
    return markdown(("network", "batch", *headings), lines)
