"""What a study may say, and what is said of it where it may not."""

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from tests.study.conftest import TINY

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study import Plan, parse_study, read_study, shipped


def changed(path: str, value: Any) -> dict[str, Any]:
    """The tiny study with one value in another place."""
    study = copy.deepcopy(TINY)
    *way, last = path.split("/")
    inner = study
    for step in way:
        inner = inner[step]
    inner[last] = value
    return study


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("sedes", [1], "unknown key 'sedes': did you mean 'seeds'"),
        ("factors/width/basis", "4", "factors.width.basis: unknown key 'basis': did you mean 'base'"),
        ("factors/width/levels/8/setings", {}, "unknown key 'setings': did you mean 'settings'"),
        ("factors/width/base", "5", "unknown level '5': expected one of 4, 8"),
        (
            "factors/width/levels/8/defect",
            "decay-thrice",
            "unknown defect 'decay-thrice': did you mean 'decay-twice'",
        ),
        ("factors/width/claims", [{"level": "8", "than": "9", "effect": "better"}], "unknown level '9'"),
        ("factors/width/claims", [{"level": "8", "than": "4", "effect": "bigger"}], "effect"),
        ("factors/width/repeats", "lenght", "unknown factor 'lenght'"),
        ("seeds", [], "seeds"),
        ("seeds", [1, 1], "expected different ones"),
        ("seeds", [-1], "expected at least 0"),
        ("measure", "speed", "measure"),
        ("choice_seeds", [], "a level that chooses needs choice_seeds"),
        ("factors", {}, "factors"),
        ("factors/width", 3, "factors.width"),
    ],
)
def test_a_study_that_is_wrong_names_the_place(path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_study(changed(path, value), "my.toml")
    assert str(error.value).startswith("my.toml: ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "factors/width/levels/8/settings",
            {"epoch": 3},
            "tiny: factors.width.levels.8: epoch: unknown setting",
        ),
        (
            "factors/width/levels/8/settings",
            {"epochs": 0},
            "factors.width.levels.8: epochs: expected at least 1",
        ),
        ("factors/width/levels/8/settings", {"seed": 3}, "seed: expected in seeds"),
        ("factors/optimizer/levels/sgd/choose", {"optim.lr": [0.1, -1]}, "optim.lr: expected more than 0"),
        ("recipe", "quik", "unknown recipe 'quik': did you mean 'quick'"),
    ],
)
def test_settings_that_no_run_can_have_are_found_before_the_first_run(
    path: str, value: Any, words: str
) -> None:
    with pytest.raises(InputError) as error:
        Plan("tiny", parse_study(changed(path, value), "tiny"))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("factors/width/levels/8/settings", {"model": "nonsense"}, "factors.width.levels.8: unknown"),
        (
            "factors/width/levels/8",
            {"defect": "bias-correction-one-step-off", "settings": {"optim": {"kind": "sgd"}}},
            "factors.width.levels.8: bias-correction-one-step-off: expected optim.kind adam, got sgd",
        ),
        ("settings", {**TINY["settings"], "validation": 0}, "validation: 0 images leave none to go by"),
    ],
)
def test_what_does_not_fit_the_data_is_found_before_the_first_run(
    dataset: Dataset, path: str, value: Any, words: str
) -> None:
    plan = Plan("tiny", parse_study(changed(path, value), "tiny"))
    with pytest.raises(InputError) as error:
        plan.check(dataset)
    assert words in str(error.value)


def test_what_is_chosen_among_is_not_changed_by_being_chosen() -> None:
    level = {"choose": {"optim": [{"kind": "sgd", "lr": 0.3}, {"kind": "adam"}], "batch_size": [16, 8]}}
    plan = Plan("tiny", parse_study(changed("factors/width/levels/8", level), "tiny"))
    trials = [trial for trial in plan.trials({}) if trial.role == "choose" and trial.config.model == "mlp:4"]
    found = {(trial.config.optim.kind, trial.config.batch_size) for trial in trials}
    assert {("sgd", 16), ("sgd", 8), ("adam", 16), ("adam", 8)} <= found


@pytest.mark.parametrize(
    "choose", [{"optim": [{"kind": "sgd"}], "optim.lr": [1]}, {"model": ["cnn"], "model.x": [1]}]
)
def test_a_choice_inside_another_is_refused(choose: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"factors\.width\.levels\.8"):
        parse_study(changed("factors/width/levels/8", {"choose": choose}), "tiny")


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(TINY))
    assert read_study(str(path)) == ("mine", parse_study(TINY, "mine"))


def test_a_study_that_nobody_knows_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(InputError, match=r"unknown study 'eight-factor': did you mean 'eight-factors'"):
        read_study("eight-factor")


@pytest.mark.parametrize("name", list(shipped()))
def test_the_studies_of_the_package_are_whole(name: str) -> None:
    plan = Plan(*read_study(name))
    assert plan.count({}) > len(plan.study.factors)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["seeds", "factors", "settings", "factors/width", "factors/width/levels/8/choose"]),
    json_values,
)
def test_whatever_stands_there_it_is_a_study_or_one_line(path: str, value: Any) -> None:
    with suppress(InputError):
        Plan("any", parse_study(changed(path, value), "any.toml"))
