"""One page of mathematics for each operation, its example executed."""

import doctest
import re
from pathlib import Path

import pytest

from numnist import ops

PAGES = Path(__file__).parents[2] / "docs" / "math"


def test_every_operation_has_its_page_and_stands_in_the_index() -> None:
    names = {path.stem for path in PAGES.glob("*.md")} - {"index"}
    assert names == set(ops.__all__)
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+)\.md\)", index)) == names


@pytest.mark.parametrize("name", ops.__all__)
def test_a_page_has_all_parts_and_its_example_is_right(name: str) -> None:
    page = PAGES / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-2:] == ["The way back", "By hand"]
    assert f"`ops.{name}`" in text
    failures, examples = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert examples >= 3
    assert failures == 0
