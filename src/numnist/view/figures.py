"""What all pictures have in common."""

import io
import warnings
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from numnist.files import write_atomic

SIGNED = "PuOr"
"""Colour map for values of both signs: purple and orange, white between them."""

LARGE = "viridis"
"""Colour map for values from small to large."""

RIGHT, WRONG, MUTED = "#0072B2", "#D55E00", "#999999"
"""Blue, vermilion and grey of a palette that the colour-blind tell apart.

Source: Okabe & Ito 2008, Color Universal Design.
"""


def plain(text: str) -> str:
    """Text that is drawn as it stands: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the ending of the path; the same figure gives the same bytes.

    Raises: ValueError for another ending; OSError when the file cannot be written.
    """
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"{path}: expected a name ending in .png or .svg")
    # Without these an SVG holds the date and random names, and a PNG matplotlib's version.
    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "numnist"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn in its place
        figure.savefig(drawn, format=path.suffix[1:], metadata=metadata)
    write_atomic(path, drawn.getvalue())
