"""Searches: what may stand in their files, and what comes out."""

import tomllib
from pathlib import Path
from typing import Any

import optuna
import pytest

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study import Queue, SearchJob, Worker, definition, job_of, open_storage, parse_search
from numnist.train import resolve

SPACE: dict[str, Any] = {
    "trials": 6,
    "startup": 3,
    "settings": {"model": "mlp:4", "epochs": 3, "batch_size": 16},
    "space": {
        "optim.lr": {"low": 1e-6, "high": 0.1, "log": True},
        "batch_size": {"low": 8, "high": 32},
        "optim.kind": {"values": ["adam", "rmsprop"]},
    },
}


def worker(tmp_path: Path, dataset: Dataset, space: dict[str, Any] = SPACE) -> tuple[Worker, SearchJob]:
    search = parse_search(space, "space")
    queue = Queue(open_storage(tmp_path / "journal.log", 10), "space", 10, definition(search, dataset))
    job = job_of(queue)
    assert isinstance(job, SearchJob)
    assert job.search == search
    return Worker(queue, job, dataset, tmp_path / "runs", 1, lambda _: None), job


def test_a_search_makes_its_trials_and_never_sees_the_test_set(tmp_path: Path, dataset: Dataset) -> None:
    working, job = worker(tmp_path, dataset)
    assert working.work() == 6
    rows = working.queue.rows()
    assert len(rows) == 6
    assert all(row["test_accuracy"] is None for row in rows.values())
    for row in rows.values():
        assert 1e-6 <= row["values"]["optim.lr"] <= 0.1
        assert 8 <= row["values"]["batch_size"] <= 32
        assert row["settings"]["optim"]["lr"] == row["values"]["optim.lr"]
    best = job.best(rows)
    assert best is not None
    assert best["val_accuracy"] == max(row["val_accuracy"] for row in rows.values() if not row["pruned"])


def test_later_trials_learn_from_those_before_them(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's sampler goes by what its study object has seen, and an old one sees nothing new."""
    seen: list[int] = []
    sample = optuna.samplers.TPESampler._sample

    def counted(self: Any, study: Any, trial: Any, space: Any, **more: Any) -> Any:
        seen.append(len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))))
        return sample(self, study, trial, space, **more)

    monkeypatch.setattr(optuna.samplers.TPESampler, "_sample", counted)
    working, _ = worker(tmp_path, dataset, {**SPACE, "prune": False})
    working.work()
    assert max(seen, default=0) >= 5
    assert min(seen) >= 3  # `startup`


def test_a_search_that_stops_early_by_itself_is_no_pruned_one(tmp_path: Path, dataset: Dataset) -> None:
    settings = {**SPACE["settings"], "epochs": 6, "early_stopping": {"patience": 1}}
    working, job = worker(tmp_path, dataset, {**SPACE, "settings": settings, "prune": False})
    working.work()
    rows = working.queue.rows()
    assert any(row["epochs"] < 6 for row in rows.values())
    assert not any(row["pruned"] for row in rows.values())
    assert job.best(rows) is not None


def test_the_best_comes_out_as_a_recipe(tmp_path: Path, dataset: Dataset) -> None:
    working, job = worker(tmp_path, dataset)
    working.work()
    best = job.best(working.queue.rows())
    assert best is not None
    path = tmp_path / "best.toml"
    path.write_text(job.recipe(best))
    recipe, config = resolve({}, config=path)
    assert recipe == "quick"
    assert config.plain() == best["settings"]
    assert tomllib.loads(path.read_text())["batch_size"] == best["values"]["batch_size"]


def test_the_same_search_by_one_worker_gives_the_same_trials(tmp_path: Path, dataset: Dataset) -> None:
    found = []
    for place in ("one", "two"):
        working, _ = worker(tmp_path / place, dataset)
        working.work()
        found.append(working.queue.rows())
    assert found[0] == found[1]


def test_bad_trials_are_pruned_and_still_count(tmp_path: Path, dataset: Dataset) -> None:
    hopeless = {"optim.lr": {"values": [0.02, 0.02, 1e-9, 1e-9]}}
    space = {**SPACE, "trials": 10, "startup": 10, "space": hopeless}
    working, _ = worker(tmp_path, dataset, space)
    assert working.work() == 10
    rows = working.queue.rows().values()
    stopped = [row for row in rows if row["pruned"]]
    assert stopped
    assert all(row["values"]["optim.lr"] == 1e-9 for row in stopped)
    kept, _ = worker(tmp_path / "kept", dataset, {**space, "prune": False})
    kept.work()
    assert all(row["epochs"] == 3 for row in kept.queue.rows().values())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"spaces": {}}, "unknown key 'spaces': did you mean 'space'"),
        ({"space": {"optim.lr": {"lo": 1, "high": 2}}}, "unknown key 'lo'"),
        ({"space": {"optim.lr": {"low": 2, "high": 1}}}, "space.optim.lr: expected values, or low and high"),
        ({"space": {"optim.lr": {"low": 0, "high": 1, "log": True}}}, "expected more than 0 with log"),
        (
            {"space": {"optim.lr": {"low": 0.1, "high": 1, "values": [1]}}},
            "expected either values, or low and high",
        ),
        ({"space": {"optim.rate": {"low": 0.1, "high": 1}}}, "unknown setting 'rate'"),
        ({"space": {"epochs": {"values": [1, 0]}}}, "epochs: expected at least 1"),
        ({"space": {}}, "space"),
        ({"trials": 0}, "trials: expected at least 1"),
        ({"settings": {"seed": 3}}, "seed: expected as a key of the search"),
        ({"space": {"seed": {"values": [1, 2]}}}, "seed: expected as a key of the search"),
        ({"recipe": "quik"}, "did you mean 'quick'"),
    ],
)
def test_a_space_that_is_wrong_names_the_place(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_search({**SPACE, **changed}, "space.toml")
    assert str(error.value).startswith("space.toml: ")
    assert words in str(error.value)
