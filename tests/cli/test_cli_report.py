"""`numnist report`, and the report at the end of a run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


def test_a_run_ends_with_its_report_unless_told_otherwise(numnist: "Numnist", trained: Path) -> None:
    report = trained / "report.html"
    assert not report.exists()
    ended = numnist.train("--name", "first", "--force", "--report")
    assert ended.out.splitlines()[-1] == f"wrote {report}"
    written = report.read_bytes()
    assert b"Confusion" in written
    report.unlink()
    ended = numnist("report", "first", "--data", "own")
    assert (ended.status, ended.err, ended.out) == (0, "", f"wrote {report}\n")
    assert report.read_bytes() == written


def test_several_runs_in_one_page(numnist: "Numnist", trained: Path) -> None:
    assert numnist.train("--name", "second").status == 0
    ended = numnist("report", "first", str(Path("runs/second")), "--data", "own", "--out", "both.html")
    assert (ended.status, ended.out) == (0, "wrote both.html\n")
    assert "<title>first, second</title>" in Path("both.html").read_text()


def test_a_report_does_without_images_and_asks_nobody_for_them(
    numnist: "Numnist", trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMNIST_DATA", raising=False)
    monkeypatch.setenv("NUMNIST_CACHE", "empty")
    ended = numnist("report", "first")
    assert (ended.status, ended.err) == (0, "")
    assert "The test images are not at hand" in (trained / "report.html").read_text()


def test_what_cannot_be_reported_is_said_in_a_line(numnist: "Numnist", trained: Path) -> None:
    numnist("report").refused("RUNS is missing")
    numnist("report", "nobody").refused("nobody: expected the folder of a run, got nothing")
    numnist("report", "own").refused("own: there is no run in this folder")
    numnist("report", "first", "--data", "nowhere").refused("nowhere")
    numnist("report", "first", "--out", "no/folder/r.html", "--data", "own").refused("no/folder")


def test_without_the_extra_training_goes_on_and_says_what_is_missing(
    numnist: "Numnist", trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("numnist.view", "matplotlib", "jinja2"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    ended = numnist.train("--name", "second", "--report")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-1].startswith(
        "no report: reports are drawn with matplotlib and jinja2: pip"
    )
    assert Path("runs/second/model.safetensors").exists()
    numnist("report", "first").refused('pip install "numnist[view]"')
