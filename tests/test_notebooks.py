"""The notebooks run from end to end, and what they show was made by the cells that are there."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools/notebooks.py"
NOTEBOOKS = ("explore", "filters", "from_nothing")
LARGEST = 1_000_000
"""Bytes of a notebook with its outputs."""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_on_built_in_digits(name: str, tmp_path: Path) -> None:
    empty = {"NUMNIST_DATA": "", "NUMNIST_CACHE": str(tmp_path)}
    before = (ROOT / f"notebooks/{name}.ipynb").read_bytes()
    done = run(name, NUMNIST_SHORT="1", **empty)
    assert done.returncode == 0, done.stderr
    assert (ROOT / f"notebooks/{name}.ipynb").read_bytes() == before


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_on_mnist(name: str, mnist_directory: Path) -> None:
    done = run(name, NUMNIST_SHORT="1", NUMNIST_DATA=str(mnist_directory))
    assert done.returncode == 0, done.stderr


def test_outputs_come_from_the_cells_that_are_there() -> None:
    assert run("--check").returncode == 0
    for name in NOTEBOOKS:
        assert (ROOT / f"notebooks/{name}.ipynb").stat().st_size < LARGEST


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_of_mnist_and_name_no_folder(name: str) -> None:
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {output.output_type for output in outputs}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}
    assert any("image/png" in output.get("data", {}) for output in outputs)
    text = (ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8")
    assert str(ROOT) not in text
    if name != "filters":
        assert "mnist: " in outputs[0].text


def test_a_changed_cell_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOL.parent))
    tool = importlib.import_module("notebooks")
    notebook = tool.read(ROOT / "notebooks/explore.ipynb")
    before = tool.digest(notebook)
    notebook.cells[1].outputs = []
    assert tool.digest(notebook) == before
    notebook.cells[1].source += " "
    assert tool.digest(notebook) != before
