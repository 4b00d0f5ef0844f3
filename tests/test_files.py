"""Writing files whole."""

import os
import stat
from pathlib import Path

import pytest

from numnist.errors import unknown
from numnist.files import write_atomic


@pytest.mark.parametrize("content", [b"\x00\xff", "Grüße\n", ""])
def test_what_is_written_is_there(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    write_atomic(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: flushed.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
    )
    write_atomic(tmp_path / "file", "x")
    assert flushed == [False, True]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all() -> None:
    assert unknown("colour", "BLEU", ["red", "blue"]) == "unknown colour 'BLEU': did you mean 'blue'?"
    assert unknown("colour", "xyz", ["red", "blue"]) == "unknown colour 'xyz': expected one of red, blue"
