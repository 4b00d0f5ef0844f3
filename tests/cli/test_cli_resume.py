"""`numnist train --resume`, and what may befall a run meanwhile, in processes of their own."""

import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import COMMAND, write_data

from numnist.train.lock import NAME as LOCK

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

LONG = (
    "train", "--data", "own", "--model", "mlp:8", "--batch-size", "2", "--epochs", "25", "--no-report",
    "--augment.rotation", "5",
)  # fmt: skip
SAME = ("model.safetensors", "history.jsonl", "result.json")


def contents(name: str) -> dict[str, bytes]:
    return {file: Path("runs", name, file).read_bytes() for file in SAME}


@pytest.fixture
def straight(numnist: "Numnist") -> dict[str, bytes]:
    assert numnist(*LONG, "--name", "straight").status == 0
    return contents("straight")


def until_epoch(process: subprocess.Popen[str], epoch: int) -> None:
    """Read what it prints up to the line of an epoch."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"epoch {epoch}/"):
            return
    pytest.fail("it ended before")


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGKILL, -9, "")],
)
def test_a_signal_stops_it_and_it_goes_on(
    numnist: "Numnist", straight: dict[str, bytes], number: signal.Signals, status: int, word: str
) -> None:
    with numnist.start(*LONG, "--name", "cut", "--checkpoint-every", "7") as process:
        until_epoch(process, 3)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (status, "")
    if word:
        assert f"stopped: {word}\nto go on: numnist train --resume runs/cut\n" in out
    assert not Path("runs/cut/result.json").exists()
    ended = numnist("train", "--resume", "cut", "--no-report")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("going on with mlp:8 ")
    assert contents("cut") == straight
    assert not Path("runs/cut", LOCK).exists()


def test_the_end_of_the_run_says_so(numnist: "Numnist", trained: Path) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    ended = numnist("train", "--resume", str(trained))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "runs/first: this run is finished: see runs/first/result.json\n"
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_killed_before_the_first_checkpoint_it_begins_again(numnist: "Numnist", trained: Path) -> None:
    before = contents("first")
    for name in ("checkpoint.safetensors", "checkpoint-previous.safetensors", "result.json"):
        (trained / name).unlink()
    assert numnist("train", "--resume", "first", "--no-report").status == 0
    assert contents("first") == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--epochs", "9"], "--epochs: a run goes on with its own name and settings"),
        (["--recipe", "small"], "--recipe: a run goes on"),
        (["--name", "other"], "--name: a run goes on"),
        (["--force"], "--force: a run goes on"),
        (["--checkpoint-every", "0"], "--checkpoint-every: "),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    numnist: "Numnist", trained: Path, flags: list[str], words: str
) -> None:
    (trained / "result.json").unlink()
    numnist("train", "--resume", "first", *flags).refused(words)


def test_other_data_is_refused_and_named(numnist: "Numnist", trained: Path) -> None:
    (trained / "result.json").unlink()
    write_data(Path("more"), n=150)
    ended = numnist("train", "--resume", "first", "--data", "more")
    ended.complained("runs/first/checkpoint.safetensors: not a checkpoint of this run: data was ")
    assert ended.status == 2


@pytest.mark.parametrize("there", ["nothing", "a file", "an empty folder"])
def test_what_is_no_run_is_refused(numnist: "Numnist", there: str) -> None:
    if there == "a file":
        Path("x").write_text("")
    if there == "an empty folder":
        Path("x").mkdir()
    numnist("train", "--resume", "x").refused("x: ")


def test_damaged_settings_are_named(numnist: "Numnist", trained: Path) -> None:
    (trained / "result.json").unlink()
    (trained / "data.json").write_text("[")
    numnist("train", "--resume", "first").refused("data.json: damaged: name the data by flags")
    assert numnist("train", "--resume", "first", "--data", "own").status == 0
    (trained / "result.json").unlink()
    (trained / "config.toml").write_text("epochs = ")
    numnist("train", "--resume", "first").refused("runs/first/config.toml: expected a TOML file")


def test_of_two_at_once_the_second_is_refused(numnist: "Numnist", straight: dict[str, bytes]) -> None:
    with numnist.start(*LONG, "--name", "one") as process:
        until_epoch(process, 2)
        os.kill(process.pid, signal.SIGSTOP)  # so that it cannot end meanwhile
        try:
            who = f"runs/one: this run is going on in another process (process {process.pid})"
            numnist(*LONG, "--name", "one").refused("runs/one: there is a run of this name")
            numnist(*LONG, "--name", "one", "--force").refused(who)
            resumed = numnist("train", "--resume", "one")
            resumed.complained(who)
            assert resumed.status == 2
        finally:
            os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert contents("one") == straight


def test_the_lock_of_a_dead_owner_is_taken_over(numnist: "Numnist", straight: dict[str, bytes]) -> None:
    with numnist.start(*LONG, "--name", "dead") as process:
        until_epoch(process, 2)
        process.kill()
        process.communicate(timeout=30)
    assert Path("runs/dead", LOCK).read_text() == str(process.pid)
    assert numnist("train", "--resume", "dead", "--no-report").status == 0
    assert contents("dead") == straight


def test_a_folder_that_is_taken_away_ends_it_in_one_line(numnist: "Numnist") -> None:
    with numnist.start(*LONG, "--epochs", "100000", "--name", "gone") as process:
        until_epoch(process, 2)
        Path("runs/gone").rename("taken")  # at once: beside rmtree it may write a file, and the folder stands
        shutil.rmtree("taken", ignore_errors=True)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 2, (out, err)
    assert re.fullmatch(r"numnist: runs/gone/[a-z.]+: No such file or directory\n", err)


def limited() -> None:
    """Files of this process may not grow beyond a few thousand bytes: as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))


def test_a_full_disk_ends_it_in_one_line_and_it_goes_on_when_there_is_room(
    numnist: "Numnist", straight: dict[str, bytes]
) -> None:
    command = [*COMMAND, *LONG, "--name", "full"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 2
    assert re.fullmatch(r"numnist: runs/full/[a-z.]+: File too large\n", done.stderr)
    assert not [p.name for p in Path("runs/full").iterdir() if p.name.startswith(".") and p.name != LOCK]
    assert numnist("train", "--resume", "full", "--no-report").status == 0
    assert contents("full") == straight


def test_where_nothing_can_be_written_it_says_so(numnist: "Numnist") -> None:
    """/proc lets nobody make a folder, not even root, whom permissions do not stop."""
    numnist(*LONG, "--runs", "/proc/numnist").refused("/proc/numnist: cannot make a folder for the run: ")


def test_a_reader_that_leaves_ends_it_and_it_goes_on(numnist: "Numnist", straight: dict[str, bytes]) -> None:
    with numnist.start(*LONG, "--name", "unread") as process:
        until_epoch(process, 2)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 1
    assert numnist("train", "--resume", "unread", "--no-report").status == 0
    assert contents("unread") == straight


def test_the_data_of_the_run_is_remembered(numnist: "Numnist", trained: Path, workplace: Path) -> None:
    assert json.loads((trained / "data.json").read_text()) == {"data": str(workplace / "own")}
    before = contents("first")
    (trained / "result.json").unlink()
    os.chdir("own")
    assert numnist("train", "--resume", "../runs/first", "--no-report").status == 0
    os.chdir("..")
    assert contents("first") == before


def test_the_network_of_the_run_is_remembered(numnist: "Numnist") -> None:
    """Its file may have been changed, and the working directory be another."""
    text = '[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Linear"\nout_features = "classes"\n'
    Path("my.toml").write_text(text)
    assert numnist.train("--model", "my.toml", "--name", "first").status == 0
    before = contents("first")
    Path("runs/first/result.json").unlink()
    Path("my.toml").write_text(text.replace("Flatten", "Nothing"))
    os.chdir("own")
    assert numnist("train", "--resume", "../runs/first", "--no-report").status == 0
    os.chdir("..")
    assert contents("first") == before


def test_a_folder_of_the_same_name_is_no_run(numnist: "Numnist", trained: Path) -> None:
    Path("first").mkdir()
    assert numnist("train", "--resume", "first").out.startswith("runs/first: this run is finished")


def test_a_disk_that_is_full_when_a_line_is_written_names_the_file(numnist: "Numnist") -> None:
    command = [*COMMAND, "train", "--data", "own", "--model", "linear", "--epochs", "200", "--name", "lines"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 2
    assert re.fullmatch(r"numnist: runs/lines/[a-z]+\.jsonl: File too large\n", done.stderr)


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded sample of `make torture`."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    kills = importlib.import_module("torture_kills")
    row = kills.campaign(8, random.randrange(1000), tmp_path)
    assert (row["kills"], row["different"]) == (8, 0)
