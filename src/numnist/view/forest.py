"""A forest plot: many differences with their intervals, one below the other, around the line of none."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from numnist.view.figures import MUTED, RIGHT, WRONG, plain

COLOURS = {"better": RIGHT, "worse": WRONG}
"""Of a difference that is one; others are grey."""


@dataclass(frozen=True)
class Interval:
    """A line of the plot. group: what it belongs to; lines of a group stand together, under its name."""

    group: str
    label: str
    mean: float
    low: float
    high: float
    effect: str


def draw_forest(intervals: Sequence[Interval], xlabel: str, minimal: float) -> Figure:
    """Means as dots and intervals as lines, a band for what is too small to matter.

    The axis is symmetric and logarithmic beyond the band, so that large effects do not flatten small ones.

    minimal: half the width of the band.
    Source: Lewis & Clarke 2001, Forest plots: trying to see the wood and the trees, BMJ 322.
    """
    lines = len(intervals) + len({interval.group for interval in intervals})
    figure = Figure(figsize=(8, 0.24 * lines + 1.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-minimal, minimal, color=MUTED, alpha=0.2, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    y, group, places, labels = 0, "", [], []
    for interval in intervals:
        if interval.group != group:
            group = interval.group
            places.append(y)
            labels.append(plain(group))
            y += 1
        colour = COLOURS.get(interval.effect, MUTED)
        axes.plot([interval.low, interval.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot([interval.mean], [y], "o", color=colour, markersize=4)
        places.append(y)
        labels.append(plain(interval.label))
        y += 1
    groups = {plain(interval.group) for interval in intervals}
    axes.set_yticks(places, labels, fontsize=8)
    for tick in axes.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() in groups else "normal")
    axes.set_xscale("symlog", linthresh=minimal, linscale=0.6)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:+g}" if x else "0")
    axes.set(xlabel=xlabel, ylim=(y - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color=MUTED, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure
