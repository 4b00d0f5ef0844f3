"""What the help says, and whether it is true."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from numnist import __version__
from numnist.cli import COMMANDS
from numnist.cli.study import ACTIONS
from numnist.optim import OPTIMIZERS, SCHEDULES
from numnist.train import Config, recipe_words

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


def flags(text: str) -> dict[str, str]:
    """The help's words for each flag, on one line."""
    entries = re.split(r"\n  (?=-)", re.sub(r"\n\S* ?options:", "", text))[1:]
    return {entry.split()[0].rstrip(","): " ".join(entry.split()[1:]) for entry in entries}


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_the_commands_and_what_they_are_for(numnist: "Numnist", word: str) -> None:
    ended = numnist(word)
    assert (ended.status, ended.err) == (0, "")
    for name, words in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(words)}$", ended.out, re.MULTILINE)


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version(numnist: "Numnist", word: str) -> None:
    assert numnist(word).out == f"numnist {__version__}\n"


LINES = [name for name in COMMANDS if name != "study"] + [f"study {action}" for action in ACTIONS]
"""What has flags of its own."""


@pytest.mark.parametrize("command", LINES)
def test_every_command_has_a_help_without_pythons_words(
    numnist: "Numnist", command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = numnist.help(*command.split())
    assert text.startswith(f"usage: numnist {command} ")
    assert max(len(line) for line in text.splitlines()) <= 105
    for word in ("\0", "None", "False", "tuple", "Path", "str\n", "==", "default: )"):
        assert word not in text


def test_every_setting_has_a_flag_and_its_default(numnist: "Numnist") -> None:
    known = flags(numnist.help("train"))
    for name, field in Config.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        if name in ("optim", "schedule", "augment", "early_stopping", "plateau"):
            assert flag not in known
        elif field.default is not None and field.default is not False:
            assert known[flag].endswith(f"(default: {field.default})")
        else:
            assert "default" not in known[flag]


def test_the_flags_of_a_table_name_the_kinds_that_have_them(numnist: "Numnist") -> None:
    known = flags(numnist.help("train"))
    for kind in (*OPTIMIZERS, *(kind for kind in SCHEDULES if kind != "warm-up")):
        table = "optim" if kind in OPTIMIZERS else "schedule"
        assert kind in known[f"--{table}.kind"]
    assert (
        known["--optim.beta1"]
        == "X β₁, the share of the mean m that stays from one step to the next; of adam, adamw (default: 0.9)"
    )
    assert known["--optim.weight-decay"] == "X λ, the strength of the decay (default: 0.0; adamw: 0.01)"
    assert known["--optim.kind"].endswith("(default: adam)")
    anneal = "the form of the rise and of the fall; of one-cycle (default: cosine)"
    assert known["--schedule.anneal"] == f"{{cosine,linear}} {anneal}"
    gamma = "X of step, multi-step, exponential (default: 0.1; exponential: needed)"
    assert known["--schedule.gamma"] == gamma
    anneal = "the form of the rise and of the fall; of one-cycle (default: cosine)"
    assert known["--schedule.anneal"] == f"{{cosine,linear}} {anneal}"


def test_the_recipes_are_named_and_the_examples_run(numnist: "Numnist") -> None:
    text = numnist.help("train")
    assert f": {', '.join(recipe_words())}; unless given, quick" in " ".join(text.split())
    Path("my.toml").write_text("seed = 3")
    examples = re.findall(r"^    numnist (train .*)$", text, re.MULTILINE)
    assert len(examples) == 5
    assert (
        numnist(*examples.pop(2).split()).err == "numnist: first: expected the folder of a run, got nothing\n"
    )
    for example in examples:
        small = ["--data", "own", "--model", "mlp:4", "--epochs", "1"]
        assert numnist(*example.split(), *small).status == 0
