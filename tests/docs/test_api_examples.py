"""Every example in a docstring runs, and shows what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

import numnist

SOURCE = Path(numnist.__file__).parent
MODULES = [
    ".".join(("numnist", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0
    assert failed == 0


def test_there_are_some() -> None:
    assert {"numnist.testing", "numnist.errors"} <= set(MODULES)
