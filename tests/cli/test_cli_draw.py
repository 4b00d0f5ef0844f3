"""`numnist draw`."""

import shutil
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from numnist.interop.page import MOST_MODELS

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What would have been opened in a browser; temporary files go where the test's do."""
    asked: list[str] = []

    def browse(url: str) -> bool:
        asked.append(url)
        return "nobody" not in url

    monkeypatch.setattr(webbrowser, "open", browse)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return asked


def test_it_works_at_once(numnist: "Numnist", opened: list[str], tmp_path: Path) -> None:
    ended = numnist("draw")
    [page] = (tmp_path / "temporary").rglob("*.html")
    assert (ended.status, ended.err, ended.out) == (0, "", f"wrote {page}\n")
    assert opened == [page.as_uri()]
    text = page.read_text("utf-8")
    assert "<title>numnist: cnn, cnn-best, small</title>" in text


def test_a_page_is_kept_where_one_wants_it(
    numnist: "Numnist", opened: list[str], trained: Path, tmp_path: Path
) -> None:
    ended = numnist("draw", str(trained), "--out", "my page.html", "--no-open")
    assert (ended.status, ended.out) == (0, "wrote my page.html: open it in a browser\n")
    assert opened == []
    assert f"<title>numnist: {trained.name}</title>" in Path("my page.html").read_text("utf-8")
    numnist("draw", str(trained), "--out", "my page.html").refused("my page.html: exists", "--force")
    ended = numnist("draw", str(trained), "--out", "my page.html", "--force")
    assert (ended.status, ended.out) == (0, "wrote my page.html\n")
    assert opened == [Path("my page.html").absolute().as_uri()]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_where_there_is_no_browser_one_is_told_to_open_it(numnist: "Numnist", opened: list[str]) -> None:
    ended = numnist("draw", "pretrained:cnn", "--out", "nobody.html")
    assert (ended.status, ended.out) == (0, "wrote nobody.html: open it in a browser\n")
    assert len(opened) == 1


def test_runs_of_one_name_are_told_apart(numnist: "Numnist", trained: Path) -> None:
    other = Path("elsewhere") / trained.name
    shutil.copytree(trained, other)
    assert numnist("draw", str(trained), str(other), "--out", "x.html", "--no-open").status == 0
    assert f"<title>numnist: {trained}, {other}</title>" in Path("x.html").read_text("utf-8")


def test_what_cannot_be_drawn_for_is_said_in_a_line(
    numnist: "Numnist", opened: list[str], trained: Path, tmp_path: Path
) -> None:
    numnist("draw", "pretrained:small", "first").refused(
        "small, first: expected models of one kind of images, got image_size (28, 28) and (8, 8)"
    )
    numnist("draw", "nobody").refused("nobody: no such model")
    numnist("draw", "pretrained:cn").refused("did you mean 'pretrained:cnn'")
    numnist("draw", "pretrained:cnn", "pretrained:cnn").refused("MODELS: the same model twice")
    numnist("draw", *["pretrained:cnn"] * (MOST_MODELS + 1)).refused("MODELS")
    numnist("draw", "--out", "no/folder/x.html").refused("no/folder/x.html")
    Path("broken.safetensors").write_bytes(b"broken")
    numnist("draw", "broken.safetensors").refused("broken.safetensors: not a model")
    assert opened == []
    assert list((tmp_path / "temporary").iterdir()) == []
