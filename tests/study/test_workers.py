"""Workers that are killed lose nothing: the rows are those of a study that nobody disturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w
from tests.study.conftest import RUNS, TINY

COMMAND = (sys.executable, "-m", "numnist", "study")
ENOUGH = 300
"""Seconds after which a test gives up on a process."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The tiny study, its runs so long that one can be struck in the midst of it."""
    path = tmp_path / "tiny.toml"
    path.write_text(tomli_w.dumps({**TINY, "settings": {**TINY["settings"], "epochs": 12}}))
    return path


def run(study: Path, own: Path, folder: str, *more: str) -> subprocess.CompletedProcess[str]:
    flags = ["--data", str(own), "--folder", folder, "--heartbeat", "1", *more]
    return subprocess.run(
        [*COMMAND, "run", str(study), *flags],
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        cwd=study.parent,
        check=False,
    )


def rows(study: Path, folder: str) -> str:
    return (study.parent / folder / "tiny" / "rows.jsonl").read_text()


@pytest.mark.slow
def test_a_worker_that_is_killed_three_times_changes_no_row(study: Path, own: Path) -> None:
    assert run(study, own, "quiet", "--workers", "1").returncode == 0
    flags = ["--data", str(own), "--folder", "struck", "--heartbeat", "1", "--workers", "2"]
    process = subprocess.Popen(
        [*COMMAND, "run", str(study), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=study.parent,
    )
    struck: set[int] = set()
    until = time.monotonic() + ENOUGH
    while len(struck) < 3 and process.poll() is None and time.monotonic() < until:
        for victim in set(at_work(study.parent / "struck" / "tiny" / "runs")) - struck:
            os.kill(victim, signal.SIGKILL)
            struck.add(victim)
            break
        time.sleep(0.02)
    out, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, out
    assert len(struck) == 3
    assert out.count("was killed by signal 9: another takes its place") == 3
    assert rows(study, "struck") == rows(study, "quiet")
    assert len(rows(study, "struck").splitlines()) == RUNS


def at_work(runs: Path) -> list[int]:
    """The processes that hold the lock of a run."""
    found = []
    for lock in runs.glob("*/.lock"):
        try:
            found.append(int(lock.read_text()))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.slow
def test_three_workers_on_a_database_make_the_same_rows(study: Path, own: Path, postgresql: str) -> None:
    assert run(study, own, "journal", "--workers", "1").returncode == 0
    done = run(study, own, "database", "--workers", "3", "--storage", postgresql)
    assert done.returncode == 0, done.stderr
    assert rows(study, "database") == rows(study, "journal")


def test_a_study_that_was_stopped_goes_on(study: Path, own: Path) -> None:
    flags = ["--data", str(own), "--folder", "stopped", "--heartbeat", "1", "--workers", "1"]
    process = subprocess.Popen(
        [*COMMAND, "run", str(study), *flags], stdout=subprocess.DEVNULL, cwd=study.parent
    )
    runs = study.parent / "stopped" / "tiny" / "runs"
    until = time.monotonic() + ENOUGH
    while not at_work(runs):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(ENOUGH) == 143
    before = rows(study, "stopped")
    assert len(before.splitlines()) < RUNS
    done = run(study, own, "stopped", "--workers", "1")
    assert done.returncode == 0, done.stderr
    after = [json.loads(line) for line in rows(study, "stopped").splitlines()]
    assert len(after) == RUNS
    assert all(json.loads(line) in after for line in before.splitlines())


def test_workers_end_with_whoever_started_them(study: Path, own: Path) -> None:
    flags = ["--data", str(own), "--folder", "left", "--heartbeat", "1", "--workers", "1"]
    process = subprocess.Popen(
        [*COMMAND, "run", str(study), *flags], stdout=subprocess.DEVNULL, cwd=study.parent
    )
    runs = study.parent / "left" / "tiny" / "runs"
    until = time.monotonic() + ENOUGH
    while not (working := at_work(runs)):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.kill()
    process.wait()
    while any(Path(f"/proc/{worker}").exists() for worker in working):
        assert time.monotonic() < until
        time.sleep(0.05)
