"""Settings from recipes, files and flags: what goes over what, and what is refused with which words."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from numnist.data import Augmentation
from numnist.errors import InputError
from numnist.optim import OPTIMIZERS, SCHEDULES, AdamW, MultiStep, OneCycle, WarmUp
from numnist.train import Config, recipes, resolve
from numnist.train.sources import merge, recipe_settings, to_toml


def config(flags: dict[str, Any] | None = None) -> Config:
    return resolve(flags or {})[1]


def test_the_recipes_are_those_of_the_documents() -> None:
    assert set(recipes()) == {"quick", "one-epoch", "original", "cnn-best", "small", "record"}
    assert all(words.endswith(".") for words in recipes().values())


@pytest.mark.parametrize("name", ["quick", "one-epoch", "original", "cnn-best", "small", "record"])
def test_every_recipe_resolves(name: str) -> None:
    assert resolve({}, name)[0] == name


def test_quick_is_the_default() -> None:
    name, quick = resolve({})
    assert (name, quick.epochs, quick.optim.kind, quick.schedule.kind) == ("quick", 3, "adam", "one-cycle")


def test_one_epoch_is_one_over_all_images() -> None:
    _, config = resolve({}, "one-epoch")
    assert (config.epochs, config.validation, config.looks_at_validation) == (1, 0, False)


def test_original_is_the_setting_of_the_original() -> None:
    _, original = resolve({}, "original")
    assert (original.model, original.init, original.epochs, original.batch_size) == (
        "cnn",
        "xavier_normal",
        10,
        32,
    )
    assert (original.optim.kind, original.optim.lr, original.optim.weight_decay) == ("adam", 0.02, 0)
    assert original.augment.build().is_identity
    assert original.label_smoothing == 0
    schedule = original.schedule.build(original.optim.lr, 15_630, original.warmup_steps)
    assert schedule == MultiStep(0.02, (800, 2400, 4000, 6000), 0.4)


def test_flags_go_over_the_file_and_the_file_over_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('recipe = "original"\nepochs = 7\nseed = 5\n[optim]\nlr = 0.5\n')
    name, settings = resolve({"seed": "9"}, config=path)
    assert (name, settings.epochs, settings.seed, settings.optim.lr) == ("original", 7, 9, 0.5)
    assert settings.batch_size == 32  # the recipe's
    assert resolve({}, "quick", path)[1].batch_size == 128  # a recipe asked for goes over the one in the file


def test_another_kind_replaces_the_whole_table() -> None:
    settings = config({"optim": {"kind": "sgd", "lr": ".3"}})
    assert settings.optim.model_dump() == {"kind": "sgd", "lr": 0.3, "weight_decay": 0.0, "decay": "coupled"}
    assert merge({"t": {"kind": "a", "x": 1}}, {"t": {"y": 2}}) == {"t": {"kind": "a", "x": 1, "y": 2}}
    assert merge({"t": {"kind": "a", "x": 1}}, {"t": {"kind": "b"}}) == {"t": {"kind": "b"}}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_can_be_configured(kind: str) -> None:
    settings = config({"optim": {"kind": kind, "weight_decay": "0.25"}})
    optimizer = settings.optim.build()
    assert type(optimizer) is OPTIMIZERS[kind]
    assert optimizer.weight_decay == 0.25


def test_adamw_keeps_its_own_defaults() -> None:
    assert config({"optim": {"kind": "adamw"}}).optim.build() == AdamW()


NEEDED: dict[str, dict[str, Any]] = {
    "step": {"size": 3},
    "multi-step": {"milestones": [2, 4]},
    "exponential": {"gamma": 0.5},
}


@pytest.mark.parametrize("kind", sorted(set(SCHEDULES) - {"warm-up"}))
def test_every_schedule_can_be_configured(kind: str) -> None:
    settings = config({"schedule": {"kind": kind, **NEEDED.get(kind, {})}, "warmup_steps": 10})
    schedule = settings.schedule.build(0.5, 100, settings.warmup_steps)
    assert isinstance(schedule, WarmUp)
    assert type(schedule.after) is SCHEDULES[kind]
    assert max(schedule(step) for step in range(100)) <= 0.5


def test_the_schedule_spans_what_the_warm_up_leaves() -> None:
    schedule = config().schedule.build(0.5, 100, 10)
    assert schedule == WarmUp(OneCycle(0.5, 90), 10)


@pytest.mark.parametrize(
    ("given", "rotation", "scale"),
    [
        ({"rotation": "15", "scale": 0.1}, (-15, 15), (0.9, 1.1)),
        ({"rotation": ["15"], "scale": ["0.8", "1"]}, (-15, 15), (0.8, 1)),
        ({"rotation": [-5, 10]}, (-5, 10), (1, 1)),
    ],
)
def test_one_number_is_a_range_around_what_changes_nothing(given: Any, rotation: Any, scale: Any) -> None:
    augmentation = config({"augment": given}).augment.build()
    assert augmentation == Augmentation(rotation=rotation, scale=scale)


def test_a_configuration_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    some: dict[str, Any] = {
        "limit": 7,
        "clip_norm": 1.5,
        "optim": {"kind": "nesterov"},
        "augment": {"shear": 3},
    }
    for flags in ({}, some):
        written = resolve(flags, "original")
        path.write_text(to_toml(*written))
        assert resolve({}, config=path) == written


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"epocs": 3}, "--epocs: unknown setting 'epocs': did you mean 'epochs'?"),
    (
        {"epochs": "x"},
        "--epochs: expected an integer, got 'x'",
    ),
    ({"epochs": "0"}, "--epochs: expected at least 1, got '0'"),
    ({"label_smoothing": "2"}, "--label-smoothing: expected at most 1, got '2'"),
    ({"clip_norm": "inf"}, "--clip-norm: expected a finite number, got 'inf'"),
    ({"init": "he"}, "--init: expected 'xavier_normal'"),
    ({"optim": {"momentm": 1}}, "--optim.momentm: unknown setting 'momentm'"),
    ({"optim": {"kind": "momentum", "momentm": 1}}, "did you mean 'momentum'?"),
    ({"optim": {"kind": "adm"}}, "--optim.kind: unknown kind 'adm': did you mean 'adam'?"),
    ({"optim": {"beta1": 2}}, "--optim.beta1: Adam: expected beta1 to be a number in [0, 1), got 2.0"),
    ({"optim": {"lr": "0"}}, "--optim.lr: expected more than 0, got '0'"),
    ({"optim": 3}, "--optim: expected a table, got 3"),
    ({"schedule": {"kind": "step"}}, "--schedule.size: is needed and missing"),
    (
        {"schedule": {"kind": "multi-step", "milestones": [3, 2]}},
        "--schedule.milestones: MultiStep: expected milestones",
    ),
    ({"augment": {"rotaton": 3}}, "--augment.rotaton: unknown setting 'rotaton': did you mean 'rotation'?"),
    (
        {"augment": {"rotation": "x"}},
        "--augment.rotation: expected a number, or two with a comma between them",
    ),
    (
        {"augment": {"horizontal_flip": "3"}},
        "--augment.horizontal-flip: horizontal_flip: expected a probability",
    ),
]


@pytest.mark.parametrize(("flags", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_flags_are_named(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(flags)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs =", "my.toml: expected a TOML file of settings"),
        ("epocs = 3", "my.toml: epocs: unknown setting 'epocs': did you mean 'epochs'?"),
        ("epochs = 1.5", "my.toml: epochs: expected an integer"),
        ('[augment]\nkind = "x"', "my.toml: augment.kind: unknown setting 'kind': expected one of rotation"),
        ('[augment]\nkind = "x"\nrotation = [2.0]', "my.toml: augment"),
        ("[optim]\nlearning_rate = 3", "my.toml: optim.learning_rate: unknown setting 'learning_rate'"),
        ("epochs = true", "my.toml: epochs: expected another type, got True"),
        ("recipe = 3", "my.toml: recipe: expected the name of a recipe, got 3"),
        ('recipe = "qick"', "my.toml: recipe: unknown recipe 'qick': did you mean 'quick'?"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        resolve({}, config=path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_recipe_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: expected a TOML file of settings: No such file"):
        resolve({}, config=tmp_path / "none.toml")
    with pytest.raises(InputError, match="--recipe: unknown recipe 'orignal': did you mean 'original'"):
        resolve({}, "orignal")


def test_recipes_say_only_what_they_mean_to_set() -> None:
    """A key that no longer exists would otherwise show only when the recipe is used."""
    for name in recipes():
        settings = recipe_settings(name)
        assert set(settings) <= set(Config.model_fields)
        assert tomllib.loads(to_toml(*resolve({}, name)))["recipe"] == name


def test_a_recipe_of_several_runs_says_how_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('recipe = "record-ensemble"')
    with pytest.raises(
        InputError, match="record-ensemble is several runs: give it as numnist train --recipe"
    ):
        resolve({}, config=tmp_path / "my.toml")
    with pytest.raises(InputError, match="did you mean 'record-ensemble'"):
        resolve({}, "record-ensembel")
