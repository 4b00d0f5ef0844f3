import io
import re

import pytest
from rich.console import Console

from numnist.data import Progress, download_progress


def follow(progress: Progress, *, complete: bool) -> None:
    """What `pooch` and `fetch` do."""
    progress.total = 9_900_000
    progress.update(4_000_000)
    if complete:
        progress.reset()
        progress.update(9_900_000)
        progress.close()
    progress.close()


def test_a_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, _environ={})
    progress = download_progress("train-images.gz", console)
    assert progress.total == 0
    follow(progress, complete=True)
    assert progress.total == 9_900_000
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert "train-images.gz" in drawn
    assert "9.9/9.9 MB" in drawn


def test_a_bar_that_stops_on_the_way() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, _environ={})
    follow(download_progress("train-images.gz", console), complete=False)
    assert isinstance(console.file, io.StringIO)
    assert "4.0/9.9 MB" in console.file.getvalue()


def test_one_line_on_stderr_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    follow(download_progress("train-images.gz"), complete=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"train-images\.gz: 9,900 kB in \d+\.\d s\n", err)


def test_nothing_for_a_download_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    follow(download_progress("train-images.gz"), complete=False)
    assert capsys.readouterr() == ("", "")


def test_a_server_that_does_not_say_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    progress = download_progress("[red]labels.gz")
    progress.update(4096)
    progress.reset()
    progress.update(0)
    progress.close()
    assert re.fullmatch(r"\[red\]labels\.gz: \d+\.\d s\n", capsys.readouterr().err)
