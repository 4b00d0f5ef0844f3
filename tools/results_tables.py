"""Tables of docs/results.md, from results/runs.jsonl and results/assessments.jsonl."""

import math
import statistics
from collections.abc import Sequence

from rows import Row, headline_runs, is_current, markdown, newest

from numnist.nn import build

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % quantiles of Student's t distribution with 1, 2, ... degrees of freedom."""

NORMAL = 1.960
"""97.5 % quantile of the normal distribution, which is nearly that of t with many degrees of freedom."""

TEST_IMAGES = 10_000


def mean_interval(values: Sequence[float]) -> str:
    """The 95 % confidence interval of a mean over few runs; a dash for one run."""
    n = len(values)
    if n == 1:
        return "–"
    quantile = STUDENT[n - 2] if n - 2 < len(STUDENT) else NORMAL
    half = quantile * statistics.stdev(values) / math.sqrt(n)
    return f"{statistics.mean(values) - half:.2f} to {statistics.mean(values) + half:.2f} %"


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share that was seen in n trials.

    Source: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    z2 = NORMAL**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return middle - half, middle + half


def percent(share: float, digits: int = 2) -> str:
    """A fraction in per cent."""
    return f"{100 * share:.{digits}f} %"


def assessments(on: str = "test") -> list[Row]:
    """The newest assessment of each model, and of each set of models, in the order of the recipes."""
    order = list(headline_runs())
    found = [
        row
        for row in newest("assessments", "recipe", "seeds", "tta", "on")
        if row["on"] == on and row["recipe"] in order and is_current({**row, "seed": row["settings"]["seed"]})
    ]
    return sorted(found, key=lambda row: (order.index(row["recipe"]), len(row["seeds"]), row["tta"]))


def name(row: Row) -> str:
    """What an assessment is of: a recipe, or several of its models together."""
    together = f"-ensemble ({len(row['seeds'])} models)" if len(row["seeds"]) > 1 else ""
    return f"`{row['recipe']}`{together}{' with views' if row['tta'] else ''}"


def cost_table() -> str:
    """Each recipe: what it costs, and its accuracy with two intervals."""
    lines = []
    for recipe, runs in headline_runs().items():
        accuracies = [100 * run["test_accuracy"] for run in runs]
        mean = statistics.mean(accuracies)
        network = build(runs[0]["settings"]["model"], (1, 28, 28), 10)
        low, high = wilson(mean / 100, TEST_IMAGES)
        lines.append(
            [
                f"`{recipe}`",
                f"{runs[0]['parameters']:,}",
                f"{network.multiply_adds((1, 28, 28)) / 1e6:.2f} million",
                runs[0]["epochs"],
                f"{statistics.median(run['seconds'] for run in runs):.0f} s",
                len(runs),
                f"{mean:.3f} %",
                mean_interval(accuracies),
                f"{100 * low:.2f} to {100 * high:.2f} %",
            ]
        )
    headings = ("recipe", "parameters", "multiply-adds", "epochs", "a run", "runs", "mean accuracy")
    return markdown((*headings, "95 % interval over seeds", "over images"), lines)


def ensemble_table() -> str:
    """Models asked together, and with several views of each image."""
    lines = [
        [
            name(row),
            row["errors"],
            percent(1 - row["errors"] / row["n"]),
            " to ".join(percent(bound) for bound in wilson(1 - row["errors"] / row["n"], row["n"])),
            row["errors"] - row["disputed_errors"],
        ]
        for row in assessments()
        if len(row["seeds"]) > 1 or row["tta"]
    ]
    headings = ("asked together", "errors", "accuracy", "95 % interval over images", "undisputed errors")
    return markdown(headings, lines)


def by_recipe() -> dict[str, list[Row]]:
    """The assessments of single models without views, by recipe."""
    found: dict[str, list[Row]] = {}
    for row in assessments():
        if len(row["seeds"]) == 1 and not row["tta"]:
            found.setdefault(row["recipe"], []).append(row)
    return found


def disputed_table() -> str:
    """Errors with and without the test images whose label is disputed, means over models."""
    lines = []
    for recipe, models in by_recipe().items():
        errors = [row["errors"] for row in models]
        undisputed = [row["errors"] - row["disputed_errors"] for row in models]
        accuracy = 1 - statistics.mean(undisputed) / (TEST_IMAGES - 15)
        lines.append(
            [
                f"`{recipe}`",
                len(models),
                f"{statistics.mean(errors):.1f}",
                f"{statistics.mean(undisputed):.1f}",
                percent(accuracy),
            ]
        )
    headings = ("recipe", "models", "errors of 10,000", "errors of the other 9,985", "accuracy on these")
    return markdown(headings, lines)


def calibration_table() -> str:
    """How well probabilities are to be believed, before and after temperature scaling, means over models."""
    lines = []
    for recipe, models in by_recipe().items():

        def mean(key: str, models: list[Row] = models) -> float:
            return statistics.mean(float(row[key]) for row in models)

        lines.append(
            [
                f"`{recipe}`",
                f"{mean('temperature'):.2f}",
                f"{mean('nll_raw'):.4f}",
                f"{mean('nll'):.4f}",
                percent(mean("ece_raw")),
                percent(mean("ece")),
            ]
        )
    return markdown(("recipe", "temperature", "NLL before", "after", "ECE before", "after"), lines)


def coverage_table() -> str:
    """Accuracy on those images that are answered, where the least sure answers are withheld."""
    shares: list[float] = []
    lines = []
    for recipe, models in by_recipe().items():
        shares = [share for share, _, _ in models[0]["coverage"]]
        of_models = zip(*([point[2] for point in row["coverage"]] for row in models), strict=True)
        lines.append([f"`{recipe}`", *(percent(statistics.mean(each)) for each in of_models)])
    return markdown(("recipe", *(f"{100 * share:g} % answered" for share in shares)), lines)


def corruptions_table() -> str:
    """Accuracy of the shipped models on damaged images."""
    shipped = newest("robustness", "model")
    families = list(shipped[0]["damaged"]) if shipped else []
    lines: list[list[object]] = [["none", "", *(percent(row["clean"], 1) for row in shipped)]]
    for family in families:
        for strength in (1, 2, 3):
            accuracies = [percent(row["damaged"][family][strength - 1], 1) for row in shipped]
            lines.append([family if strength == 1 else "", strength, *accuracies])
    means = [statistics.mean(a for of in row["damaged"].values() for a in of) for row in shipped]
    lines.append(["mean of all 24", "", *(percent(mean, 1) for mean in means)])
    return markdown(("damage", "strength", *(f"`{row['model']}`" for row in shipped)), lines)


def views_table() -> str:
    """What several views of each image do on validation: what decides whether they are used."""
    pairs: dict[str, dict[bool, Row]] = {}
    for row in assessments("validation"):
        pairs.setdefault(f"{name(row)} seed {row['seeds']}".replace(" with views", ""), {})[row["tta"]] = row
    lines = [
        [recipe, of[False]["errors"], of[True]["errors"], f"{of[False]['nll']:.4f}", f"{of[True]['nll']:.4f}"]
        for recipe, of in pairs.items()
        if len(of) == 2
    ]
    return markdown(("model", "errors, one view", "seven views", "NLL, one view", "seven views"), lines)
