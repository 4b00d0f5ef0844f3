"""The documentation builds offline, without a warning, and asks nobody for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each page by its path."""
    out = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        str(out / "trees"),
    ]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(out / "html")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    html = out / "html"
    return {str(path.relative_to(html)): path.read_text(encoding="utf-8") for path in html.rglob("*.html")}


def test_every_document_is_a_page(pages: dict[str, str]) -> None:
    documents = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {document.replace(".md", ".html") for document in documents if "_build" not in document} <= set(
        pages
    )


def test_nothing_is_asked_of_the_network(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for tag in re.findall(r"<(?:script|link|img|iframe)[^>]*>", text):
            assert not re.search(r'(?:src|href)="(?:https?:)?//', tag), (name, tag)


def test_formulas_are_drawn_by_the_browser(pages: dict[str, str]) -> None:
    text = pages["math/batch_norm.html"]
    assert text.count("<math") > 20
    assert "$" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_the_api_has_formulas_as_they_stand(pages: dict[str, str]) -> None:
    assert "y[n,o] = bias[o] + sum over i of x[n,i] * weight[o,i]" in pages["api.html"]
