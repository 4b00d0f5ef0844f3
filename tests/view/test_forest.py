"""The forest plot: what is drawn where."""

import numpy as np

from numnist.view.figures import MUTED, RIGHT, WRONG
from numnist.view.forest import Interval, draw_forest

INTERVALS = [
    Interval("width", "8", 0.3, 0.2, 0.4, "better"),
    Interval("width", "2 $mall", -1.0, -1.5, -0.5, "worse"),
    Interval("depth", "2", 0.02, -0.05, 0.09, "minimal"),
]


def test_every_difference_is_a_dot_with_its_interval() -> None:
    axes = draw_forest(INTERVALS, "points", 0.1).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [np.ravel(dot.get_xdata()).tolist() for dot in dots] == [[0.3], [-1.0], [0.02]]
    spans = [np.ravel(line.get_xdata()).tolist() for line in axes.lines if line.get_marker() != "o"]
    assert all([interval.low, interval.high] in spans for interval in INTERVALS)
    assert [dot.get_color() for dot in dots] == [RIGHT, WRONG, MUTED]


def test_groups_stand_above_their_lines() -> None:
    axes = draw_forest(INTERVALS, "points", 0.1).axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["width", "8", r"2 \$mall", "depth", "2"]
    low, high = axes.get_ylim()
    assert low > high  # the first is at the top
