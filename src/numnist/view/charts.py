"""Charts as SVG that takes its colours from the page around it, in light and dark."""

import html
import io
import itertools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numnist.arrays import Array
from numnist.predict import Reliability

INK, QUIET, GRID = "#010203", "#010204", "#010205"
"""Colours that nothing else has: they stand for the page's own, and are replaced by them."""

THEME = {INK: "var(--ink)", QUIET: "var(--quiet)", GRID: "var(--grid)"}

LINES = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B07A00", "#3A8FC7",
    "#8C564B", "#7B5FB2", "#6B7A1E", "#C03A5B", "#2F8F8F", "#777777",
)  # fmt: skip
"""A colour for each run, dark enough for a light page and light enough for a dark one.

The first four are of a palette that the colour-blind tell apart: Okabe & Ito 2008, Color Universal Design.
"""

STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "numnist",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


Spread = dict[str, Any]
"""A row of statistics.jsonl for one tensor: see `train.statistics.spread`."""


@dataclass(frozen=True)
class Curve:
    """A line of a chart. run: its number, which gives the colour. dashed: for validation."""

    label: str
    run: int
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


def as_svg(figure: Figure, label: str) -> str:
    """An <svg> element for a page: no fixed size, no fixed ink.

    label: what a screen reader says in its place.
    """
    text = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser draws the text
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for token, variable in THEME.items():
        svg = svg.replace(token, variable)
    svg = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    opening, rest = svg.split(">", 1)
    opening = re.sub(r' (?:width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{html.escape(label)}">{rest}'


def with_own_ids(page: str) -> str:
    """A page whose charts have no id in common: each gets its number in front."""
    number = itertools.count(1)

    def one(chart: re.Match[str]) -> str:
        own = f"chart{next(number)}-"
        return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}", chart[0])

    return re.sub(r"<svg.*?</svg>", one, page, flags=re.DOTALL)


def line_chart(curves: Sequence[Curve], ylabel: str, xlabel: str = "epoch", log: bool = False) -> str:
    """Curves over epochs, with a legend where they are of one run; of several the page says the colours."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.0), layout="constrained")
        axes = figure.subplots()
        for curve in curves:
            style = "--" if curve.dashed else "-"
            marker = "o" if len(curve.x) < 12 else ""
            axes.plot(
                curve.x, curve.y, style, color=LINES[curve.run % len(LINES)], label=curve.label,
                marker=marker, markersize=3, linewidth=1.6,
            )  # fmt: skip
        if log and any(value > 0 for curve in curves for value in curve.y):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else "")
            axes.tick_params(axis="y", which="minor", labelsize=7)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(curves) == 2 and curves[0].run == curves[1].run:
            axes.legend()
        return as_svg(figure, f"{ylabel} by {xlabel}")


def reliability_chart(found: Reliability) -> str:
    """Accuracy against confidence; where probabilities can be believed, the bars reach the diagonal."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axes = figure.subplots()
        edges = np.linspace(0, 1, len(found.images) + 1)
        filled = found.images > 0
        axes.bar(
            edges[:-1][filled],
            found.accuracy[filled],
            width=edges[1],
            align="edge",
            color=LINES[0],
            alpha=0.75,
        )
        axes.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1)
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        return as_svg(figure, "accuracy by confidence")


def spread_chart(rows: Sequence[dict[str, Spread]], names: Sequence[str], what: str) -> str:
    """How tensors are spread, epoch by epoch: one panel each, darker where more values lie.

    rows: for each epoch, `statistics.spread` of every tensor. what: "weights" or "gradients".
    """
    columns = 4
    lines = -(-len(names) // columns)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(10, 1.75 * lines), layout="constrained", dpi=100)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(names) :]:
            axes.axis("off")
        for axes, name in zip(grid.flat, names, strict=False):
            _spread(axes, [row[name] for row in rows], name)
        figure.supylabel(what, fontsize=9, color=INK)
        figure.supxlabel("epoch", fontsize=9, color=INK)
        return as_svg(figure, f"histograms of {what}s by epoch, a panel for each of {', '.join(names)}")


def _spread(axes: Axes, spreads: Sequence[Spread], name: str) -> None:
    """Histograms of all epochs on one scale, as an image."""
    low, high = (f(float(s[key]) for s in spreads) for f, key in ((min, "min"), (max, "max")))
    if low == high:
        low, high = low - 0.5, high + 0.5
    bins = np.linspace(low, high, 41)
    image = np.stack([_rebinned(s, bins) for s in spreads], axis=1)
    axes.imshow(
        np.sqrt(image), origin="lower", aspect="auto", cmap="YlGnBu",  # on paper of its own, light and dark
        extent=(0.5, len(spreads) + 0.5, low, high), interpolation="nearest",
    )  # fmt: skip
    axes.set_title(name, fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.locator_params(axis="y", nbins=3)


def _rebinned(spread: Spread, bins: Array) -> Array:
    """A histogram over other bins, each old bin's count spread evenly over its width; as a share."""
    counts = np.asarray(spread["counts"], float)
    shares = np.zeros(len(bins) - 1)
    if not counts.sum():
        return shares
    low, high = float(spread["min"]), float(spread["max"])
    if low == high:
        shares[min(int(np.searchsorted(bins, low, side="right")) - 1, len(shares) - 1)] = 1
        return shares
    edges = np.linspace(low, high, len(counts) + 1)
    below = np.interp(bins, edges, np.concatenate([[0], counts.cumsum()]) / counts.sum())
    return np.diff(below)
