"""Run the notebooks and keep their outputs; `--check` says whether those kept belong to the cells.

python tools/notebooks.py [NAME...]

Where NUMNIST_SHORT is set, as in the tests, a notebook takes a short way, and nothing is kept.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from rows import ROOT

NOTEBOOKS = ROOT / "notebooks"
SECONDS = 300
"""Longest that one cell may take."""


def read(path: Path) -> NotebookNode:
    """The notebook in a file."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def executed(path: Path, folder: Path) -> NotebookNode:
    """The notebook with fresh outputs, run from `folder`.

    Raises: CellExecutionError with the traceback of the cell that failed.
    """
    notebook = read(path)
    for cell in notebook.cells:
        cell.metadata.clear()
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def digest(notebook: NotebookNode) -> str:
    """SHA-256 of what the cells say, without outputs: those kept carry that of the cells which made them."""
    sources = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()


def keep(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook that has been run."""
    notebook.metadata["numnist"] = {"cells": digest(notebook)}
    notebook.metadata["language_info"] = {
        "name": "python"
    }  # without the version, which would change by itself
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def is_kept(path: Path) -> bool:
    """Whether the outputs in a file come from the cells in it, run in order, all of them."""
    notebook = read(path)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    same = notebook.metadata.get("numnist", {}).get("cells") == digest(notebook)
    return same and counts == list(range(1, len(counts) + 1))


def main() -> None:
    """Run and keep, or check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="without .ipynb; all where none is given")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    paths = [NOTEBOOKS / f"{name}.ipynb" for name in arguments.names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    if arguments.check:
        stale = [path.name for path in paths if not is_kept(path)]
        sys.exit(f"run tools/notebooks.py: outputs of other cells in {', '.join(stale)}" if stale else 0)
    for path in paths:
        notebook = executed(path, NOTEBOOKS)
        if "NUMNIST_SHORT" not in os.environ:
            keep(path, notebook)
        print(f"ran {path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
