"""Which runs a study has, and when."""

from typing import Any

from tests.study.conftest import RUNS

from numnist.study import Cell, Plan, Trial


def row(trial: Trial, accuracy: float = 0.5) -> dict[str, Any]:
    return {"val_accuracy": accuracy, "test_accuracy": accuracy, **trial.plain()}


def test_runs_that_two_factors_share_are_made_once(plan: Plan) -> None:
    trials = plan.trials({})
    assert len({trial.key for trial in trials}) == len(trials)
    # Two to choose by, two of the base of both factors, two of the other width; sgd's wait for the choice.
    assert [trial.role for trial in trials].count("choose") == 2
    assert len(trials) == 6
    assert plan.count({}) == RUNS


def test_a_level_that_chooses_waits_until_its_choice_is_made(plan: Plan) -> None:
    assert plan.chosen("optimizer", "sgd", {}) is None
    rows = {}
    for trial in plan.trials({}):
        if trial.role == "choose":
            rows[trial.key] = row(trial, 0.9 if trial.config.optim.lr == 0.5 else 0.8)
    assert plan.chosen("optimizer", "sgd", rows) == {"optim": {"lr": 0.5}}
    cells = [cell for cell in plan.cells(rows) if (cell.factor, cell.level) == ("optimizer", "sgd")]
    assert [cell.trial.config.optim.lr for cell in cells if cell.trial] == [0.5, 0.5]
    assert [cell.seed for cell in cells] == [0, 1]


def test_of_equal_choices_the_first_is_taken(plan: Plan) -> None:
    rows = {trial.key: row(trial) for trial in plan.trials({}) if trial.role == "choose"}
    assert plan.chosen("optimizer", "sgd", rows) == {"optim": {"lr": 0.1}}


def test_when_all_runs_are_there_all_cells_have_one(plan: Plan) -> None:
    rows: dict[str, Any] = {}
    while left := [trial for trial in plan.trials(rows) if trial.key not in rows]:
        rows |= {trial.key: row(trial) for trial in left}
    assert len(rows) == RUNS
    assert all(isinstance(cell, Cell) and cell.trial and cell.trial.key in rows for cell in plan.cells(rows))


def test_a_trial_is_told_apart_by_all_that_it_does(plan: Plan) -> None:
    trial = plan.trials({})[0]
    same = Trial.from_plain(trial.plain())
    others = [
        Trial(trial.recipe, trial.config, "decay-twice", trial.role),
        Trial(trial.recipe, trial.config, None, "measure"),
        Trial(trial.recipe, trial.config.model_copy(update={"seed": 99}), None, trial.role),
    ]
    assert same.key == trial.key
    assert len({other.key for other in others} | {trial.key}) == 4
    assert plan.trial(trial.key) == trial
