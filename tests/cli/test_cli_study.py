"""numnist study and numnist search as one types them."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from optuna.exceptions import StorageInternalError
from tests.cli.conftest import Numnist
from tests.study.conftest import RUNS, TINY

from numnist.study import Queue, storage

DATA = ("--data", "own")
SPACE: dict[str, Any] = {
    "trials": 3,
    "startup": 2,
    "settings": {"model": "mlp:4", "epochs": 1, "batch_size": 16},
    "space": {"optim.lr": {"low": 0.001, "high": 0.1, "log": True}},
}


@pytest.fixture
def tiny(workplace: Path) -> str:
    (workplace / "tiny.toml").write_text(tomli_w.dumps(TINY))
    return "tiny.toml"


def test_a_study_is_run_watched_and_reported(numnist: Numnist, tiny: str) -> None:
    ran = numnist("study", "run", tiny, *DATA, "--workers", "2")
    assert ran.status == 0, ran
    assert "wrote studies/tiny/rows.jsonl" in ran.out
    assert len(Path("studies/tiny/rows.jsonl").read_text().splitlines()) == RUNS
    assert list(Path("studies/tiny/runs").iterdir()) == []  # nothing is left of what is done

    status = numnist("study", "status", "tiny")
    assert status.status == 0
    assert f"{RUNS} of {RUNS} runs are done, 0 are running" in status.out
    assert "optim.lr" in status.out

    report = numnist("study", "report", "tiny")
    assert report.status == 0, report
    text = Path("studies/tiny/report.md").read_text()
    assert "| sgd (optim.lr 0." in text
    assert Path("studies/tiny/forest.svg").read_text().startswith("<?xml")

    before = Path("studies/tiny/timing.jsonl").read_bytes()
    again = numnist("study", "run", tiny, *DATA, "--workers", "1")
    assert again.status == 0
    assert Path("studies/tiny/timing.jsonl").read_bytes() == before  # nothing was done again


def test_a_study_that_changed_under_its_runs_is_refused(numnist: Numnist, tiny: str) -> None:
    assert numnist("study", "run", tiny, *DATA, "--workers", "1").status == 0
    changed = copy.deepcopy(TINY)
    changed["seeds"] = [0, 1, 2]
    Path(tiny).write_text(tomli_w.dumps(changed))
    refused = numnist("study", "run", tiny, *DATA)
    refused.refused(
        "study tiny has begun, and has changed since: study.seeds was [0, 1] and is now [0, 1, 2]"
    )
    assert numnist("study", "run", tiny, *DATA, "--name", "other", "--workers", "1").status == 0


def test_a_search_writes_a_recipe_that_trains(numnist: Numnist, workplace: Path) -> None:
    (workplace / "space.toml").write_text(tomli_w.dumps(SPACE))
    found = numnist("search", "space.toml", *DATA, "--workers", "1")
    assert found.status == 0, found
    assert "to use it: numnist train --config studies/space/best.toml" in found.out
    trained = numnist("train", "--config", "studies/space/best.toml", *DATA, "--no-report")
    assert trained.status == 0, trained
    refused = numnist("search", "space.toml", *DATA, "--out", "studies/space/best.toml")
    refused.refused("--out: studies/space/best.toml exists")
    report = numnist("study", "report", "space")
    report.refused("a search has no report")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("study", "rum", "x"), "unknown action 'rum': did you mean 'run'"),
        (("study", "run"), "STUDY is missing"),
        (("study", "run", "eight-factor"), "unknown study 'eight-factor': did you mean 'eight-factors'"),
        (("study", "run", "nothing.toml"), "nothing.toml: expected a TOML file of a study"),
        (("study", "run", "eight-factors", "--workers", "0"), "--workers: expected at least 1"),
        (("study", "status", "nowhere"), "there is no study of this name"),
        (("study", "work", "nowhere"), "there is no study of this name"),
        (("study", "report", "nowhere"), "there is no study of this name"),
        (("study", "status", "x", "--storage", "oracel://a/b"), "expected a file or postgresql://"),
        (("search", "nothing.toml"), "nothing.toml: expected a TOML file of a search"),
    ],
)
def test_what_is_typed_wrong_is_told_in_one_line(
    numnist: Numnist, arguments: tuple[str, ...], words: str
) -> None:
    numnist(*arguments).refused(words)


def test_without_optuna_there_is_one_line(
    numnist: Numnist, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    numnist("study", "run", tiny, *DATA).refused(storage.EXTRA)


def test_a_database_that_is_lost_is_told_in_one_line(
    numnist: Numnist, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert numnist("study", "run", tiny, *DATA, "--workers", "1").status == 0

    def lost(queue: Queue) -> None:
        raise StorageInternalError("what Optuna says") from OSError(
            "server closed the connection\nunexpectedly"
        )

    monkeypatch.setattr(Queue, "rows", lost)
    numnist("study", "status", "tiny").refused(
        "--storage: the database was lost: server closed the connection"
    )


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "x y"])
def test_a_name_that_is_no_folder_is_refused(numnist: Numnist, tiny: str, name: str) -> None:
    numnist("study", "run", tiny, *DATA, "--name", name).refused(
        "a study's name: expected letters", repr(name)
    )


def test_other_data_is_refused(numnist: Numnist, tiny: str) -> None:
    assert numnist("study", "run", tiny, *DATA, "--workers", "1").status == 0
    numnist("study", "work", "tiny", "--dataset", "synthetic").refused("study tiny is on data of fingerprint")


def test_help_lists_the_actions_and_the_studies(numnist: Numnist) -> None:
    done = numnist("study", "--help")
    assert done.status == 0
    for action in ("run", "work", "status", "report"):
        assert f"\n  {action} " in done.out
    assert "eight-factors" in numnist.help("study", "run")
    assert "TOML file of the space" in numnist.help("search")
