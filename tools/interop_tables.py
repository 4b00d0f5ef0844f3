"""Tables about the doors to other software."""

import statistics

from rows import Row, markdown, newest


def sklearn_table() -> str:
    """A fit by each contender: its time, how many times ours that is, and the accuracy."""
    by_contender: dict[str, list[Row]] = {}
    for row in newest("sklearn_mlp", "contender", "seed"):
        by_contender.setdefault(row["contender"], []).append(row)
    times = {name: statistics.median(run["seconds"] for run in runs) for name, runs in by_contender.items()}
    ours = next(iter(times.values()), 0.0)
    lines = []
    for name, runs in by_contender.items():
        accuracies = [100 * run["test_accuracy"] for run in runs]
        accuracy = f"{statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f} %"
        seconds = [run["seconds"] for run in runs]
        spread = f"{times[name]:.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
        lines.append([name, spread, f"**{times[name] / ours:.2f}**", accuracy, len(runs)])
    setting = [
        f"{run['images']:,} images, {run['epochs']} epochs, threads: {run['threads']}"
        for runs in by_contender.values()
        for run in runs
    ]
    headings = (
        ", ".join(dict.fromkeys(setting)),
        "a fit, median (range)",
        "to ours",
        "test accuracy, mean ± std. dev.",
        "seeds",
    )
    return markdown(headings, lines)
