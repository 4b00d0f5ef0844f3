"""Writing the page: HTML, style, scripts and models in one file that asks nobody for anything."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from numnist import __version__
from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.interop.page.models import described
from numnist.interop.page.samples import sample_strokes
from numnist.nn import Model, Reference
from numnist.predict import Predictor

FILES = files("numnist.interop.page") / "files"

SCRIPTS = (
    "images.js", "marks.js", "page_light.js", "normalise.js", "products.js", "layers.js", "network.js",
    "colours.js", "charts.js", "pictures.js", "drawing.js", "replay.js", "lens.js", "pad.js", "main.js",
)  # fmt: skip
"""The ES modules in the order in which they build on each other; in the page they are one."""

MOST_MODELS = 6
"""More would not fit side by side, nor be asked within a frame."""


def write_page(models: Sequence[Model], names: Sequence[str], out: Path) -> Path:
    """Write the drawing page of these models, the first of which is shown first; returns `out`.

    names: what the page calls them.
    Raises: InputError, one line, for a model that it cannot carry (see `described`), or models of different
            kinds of images; ValueError unless there are 1 to MOST_MODELS models, each with its own name;
            OSError when the file cannot be written.
    """
    if not 1 <= len(models) <= MOST_MODELS or len(names) != len(models) or len(set(names)) != len(names):
        came = f"{len(models)} called {', '.join(names)}"
        raise ValueError(f"write_page: expected 1 to {MOST_MODELS} models of different names, got {came}")
    names = [name.encode("utf-8", "replace").decode() for name in names]  # a file's name may be no UTF-8
    content = [described(model, name) for model, name in zip(models, names, strict=True)]
    try:
        Predictor(*models, executor=Reference)  # it knows which models go together
    except ValueError as error:
        raise InputError(f"{', '.join(names)}: {error}") from error
    digits = sample_strokes()
    samples = {name: digits[name] for name in models[0].preprocess.classes if name in digits}
    write_atomic(out, _page({"models": content, "samples": samples}, names))
    return out


def _page(content: dict[str, Any], names: Sequence[str]) -> str:
    """The template filled in: all at once, so that nothing filled in is taken for the template's own."""
    style, script = (FILES / "page.css").read_text("utf-8"), _script()
    parts = {
        "TITLE": html.escape(f"numnist: {', '.join(names)}"),
        "VERSION": html.escape(__version__),
        "POLICY": _policy(style, script),
        "STYLE": style,
        "CONTENT": _json(content),
        "SCRIPT": script,
    }
    template = (FILES / "page.html").read_text("utf-8")
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], template)


def _script() -> str:
    """The modules as one: what they import from each other stands above, in the same scope."""
    texts = [(FILES / name).read_text("utf-8") for name in SCRIPTS]
    joined = "\n".join(re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL) for text in texts)
    return re.sub(r"^export ", "", joined, flags=re.MULTILINE)


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this script, this style, pictures from the page itself; no connection."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}'; "
        "img-src blob: data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _json(content: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for the end of its element, nor for a comment."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
