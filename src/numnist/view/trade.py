"""What accuracy costs: error against training time."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from numnist.view.figures import MUTED, RIGHT


@dataclass(frozen=True)
class Point:
    """One way of training. seconds: for one model. accuracy, spread: mean and deviation, as fractions."""

    name: str
    seconds: float
    accuracy: float
    spread: float


def draw_trade(points: Sequence[Point], lines: Sequence[tuple[str, float]] = ()) -> Figure:
    """Test error in per cent against training time, both on logarithmic axes.

    lines: accuracies that others have published without a time, as names and fractions.
    """
    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    for i, point in enumerate(sorted(points, key=lambda point: point.seconds)):
        error, spread = 100 * (1 - point.accuracy), 100 * point.spread
        axes.errorbar(point.seconds, error, yerr=spread, fmt="o", color=RIGHT, capsize=3)
        axes.annotate(
            f"{point.name}  {100 * point.accuracy:.2f} %",
            (point.seconds, error),
            xytext=(8, 5 if i % 2 else -13),  # above and below by turns: neighbours may be near
            textcoords="offset points",
            fontsize=9,
        )
    for name, accuracy in lines:
        axes.axhline(100 * (1 - accuracy), color=MUTED, linewidth=0.8, linestyle="--")
        axes.annotate(
            f"{name}  {100 * accuracy:.2f} %",
            (1, 100 * (1 - accuracy)),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7,
            color=MUTED,
        )
    axes.set(xscale="log", yscale="log", xlabel="training time of one model, seconds", ylabel="test error, %")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.25, y=0.1)
    return figure
