"""What several ranks decide together: signals, callbacks, early stopping. The ranks are threads."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engine.ranks import on_ranks
from tests.train.test_distributed import SETTINGS, Ended, OnBoardToo, alone, go, network, require_close

from numnist.data import Dataset
from numnist.train import Callback, EpochReport, RunFolder, StepReport, TrainState, prepare, resolve, train
from numnist.train.interrupts import ASKING

__all__ = ["alone", "network"]


class AskAt(Callback):
    """Has a signal ask one rank behind a step."""

    def __init__(self, rank: OnBoardToo, step: int, word: str) -> None:
        self.rank, self.step, self.word = rank, step, word

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        if state.step == self.step:
            self.rank.interrupted = self.word


class AskAtEpoch(Callback):
    """Has a signal ask one rank when the first epoch is validated."""

    def __init__(self, rank: OnBoardToo) -> None:
        self.rank = rank

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        self.rank.interrupted = "terminated"


@pytest.mark.parametrize("word", ASKING.values())
@pytest.mark.parametrize("then", [1, 2, 3])
def test_a_signal_stops_all_ranks_behind_the_same_step_and_another_number_goes_on(
    word: str, then: int, alone: Ended, dataset: Dataset, tmp_path: Path, network: str
) -> None:
    place = tmp_path / "cut"
    stopped = go(2, dataset, place, network, observers=lambda rank: [AskAt(rank, 9, word)])
    for each in stopped:
        assert (each.stopped, each.accuracy, each.run.state.step) == (word, None, 10)
    assert not (place / "result.json").exists()
    for each in go(then, dataset, place, network, resume=True):
        require_close(each, alone)
    said = json.loads((place / "result.json").read_text())["executor"]
    assert said.get("ranks", 1) == then


@pytest.mark.parametrize(("asked", "resume"), [(0, True), (1, False)])
def test_a_signal_behind_the_last_step_is_heard_on_all_ranks(
    asked: int, resume: bool, dataset: Dataset, tmp_path: Path, network: str
) -> None:
    """Whoever reads the test set cannot go on."""

    def weights(rank: OnBoardToo) -> bytes:
        recipe, config = resolve({**SETTINGS, "model": network, "epochs": 1})
        run = prepare(recipe, config, dataset, threads=1, ranks=rank)
        folder = RunFolder(tmp_path, "late", "smooth") if rank.rank == 0 else None
        asking = replace(run, callbacks=(*run.callbacks, AskAtEpoch(rank))) if rank.rank == asked else run
        outcome = train(asking, folder)
        assert (outcome.stopped, outcome.test) == ("terminated", None)
        again = train(run, folder, resume=resume)  # nobody asks now
        assert again.test is not None
        assert again.stopped == ""
        return run.model.parameters.tobytes()

    first, second = on_ranks(2, weights, OnBoardToo)
    assert first == second
    assert (tmp_path / "late" / "result.json").exists()


class DecideAt(Callback):
    """Decides behind a step, on the rank that has it alone."""

    def __init__(self, step: int, stop: str = "", lr_scale: float = 1.0) -> None:
        self.step, self.stop, self.lr_scale = step, stop, lr_scale

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        if state.step == self.step:
            state.stop, state.lr_scale = self.stop, self.lr_scale


@pytest.mark.parametrize(("step", "last"), [(3, 4), (5, 6), (6, 7)])
def test_a_callback_of_the_first_rank_stops_all_behind_the_same_step(
    step: int, last: int, dataset: Dataset, tmp_path: Path, network: str
) -> None:
    per_epoch = -(-200 // SETTINGS["batch_size"])
    assert per_epoch == 7
    ended = go(2, dataset, tmp_path / "r", network, observers=lambda _: [DecideAt(step, "enough")])
    for each in ended:
        assert (each.stopped, each.run.state.step) == ("enough", last)
        assert each.accuracy == ended[0].accuracy is not None


def test_a_learning_rate_that_the_first_rank_sets_is_that_of_the_next_step_everywhere(
    dataset: Dataset, tmp_path: Path, network: str
) -> None:
    [alone], ranks = (
        go(n, dataset, tmp_path / str(n), network, observers=lambda _: [DecideAt(3, "", 0.1)], epochs=1)
        for n in (1, 2)
    )
    for each in ranks:
        assert each.run.state.lr_scale == 0.1
        require_close(each, alone)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_early_stopping_and_the_plateau_decide_the_same_on_all_ranks(
    ranks: int, dataset: Dataset, tmp_path: Path, network: str
) -> None:
    """Nothing is learned but running statistics, so no epoch is more accurate than the first."""
    changed: dict[str, Any] = {
        "optim": {"kind": "sgd", "lr": 1e-12},
        "epochs": 9,
        "early_stopping": {"patience": 3},
    }
    for ended in go(ranks, dataset, tmp_path / "r", network, **changed):
        assert ended.run.state.step == 4 * 7
        assert ended.stopped == "validation accuracy has not risen for 3 epochs"
        assert ended.run.state.lr_scale == 0.5
