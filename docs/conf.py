"""How Sphinx builds these pages: `make docs`, offline, with warnings as errors."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

import numnist

project = "numnist"
author = "The numnist developers"
project_copyright = author
version = release = numnist.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "numnist"
html_show_sourcelink = False
html_math_renderer = "mathml"
html_css_files = ["formulas.css"]
html_static_path = ["static"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"


def visit_math(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """A formula as MathML, which browsers draw by themselves: no script, no network."""
    is_block = isinstance(node, nodes.math_block)
    markup = convert(node.astext(), display="block" if is_block else "inline")
    translator.body.append(f'<div class="formula">{markup}</div>' if is_block else markup)
    raise nodes.SkipNode


def as_written(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Docstrings are plain text with formulas laid out by hand: they are shown as they stand."""
    text = list(lines)
    lines[:] = [".. code-block:: text", "", *(f"    {line}" for line in text), ""] if any(text) else []


def without_links_to_the_repository(app: Any, name: str, source: list[str]) -> None:  # noqa: ARG001
    """Links to files beside docs/ work where the repository is browsed, and are plain words here."""
    source[0] = re.sub(r"\[([^\]]+)\]\((?:\.\./)+(?!math/|results/)[^)]+\)", r"\1", source[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("autodoc-process-docstring", as_written)
    app.connect("source-read", without_links_to_the_repository)
