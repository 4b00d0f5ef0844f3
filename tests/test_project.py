"""The project's own files: tables made from rows, pins without addresses, files of a size one can read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("script", ["tables.py", "recipe_headers.py"])
def test_tables_and_headers_are_those_of_the_rows(script: str) -> None:
    done = subprocess.run(
        [sys.executable, f"tools/{script}", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_links_between_files_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
    links = [
        (document.name, link)
        for document in documents
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        if "://" not in link and not (document.parent / link).exists()
    ]
    assert not links


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_pins_have_hashes_and_no_addresses(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    requirements = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9._-]+==[^ ]+ ", requirement), requirement
        assert "--hash=sha256:" in requirement


@pytest.mark.parametrize(("data", "status", "words"), [(None, 0, "skipped"), ("empty", 1, "error")])
def test_where_the_data_is_named_the_tests_on_it_cannot_be_skipped(
    tmp_path: Path, data: str | None, status: int, words: str
) -> None:
    """CI sets NUMNIST_DATA: were the folder empty there, a skip would hide that nothing was tested."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NUMNIST", "COV"))
    }
    if data is not None:
        (tmp_path / data).mkdir()
        environment["NUMNIST_DATA"] = str(tmp_path / data)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "mnist", "-p", "no:cacheprovider", "tests/data"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout
    assert words in done.stdout.splitlines()[-1]
    assert "passed" not in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("folder", ["src", "tests", "tools", "benchmarks"])
def test_files_can_be_read_in_one_go(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 340
    }
    assert not long


@pytest.mark.parametrize(
    ("missing", "arguments", "words"),
    [
        (
            "ensurepip",
            ["pins.txt"],
            "this Python has no venv: on Debian or Ubuntu, `apt install python3-venv`",
        ),
        ("", ["none.txt"], "usage: tools/environment.py REQUIREMENTS.txt ..."),
        ("", [], "usage: tools/environment.py REQUIREMENTS.txt ..."),
    ],
)
def test_what_the_environment_lacks_is_said_in_one_line(
    tmp_path: Path, missing: str, arguments: list[str], words: str
) -> None:
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools" / "environment.py"
    script.write_text((ROOT / "tools" / "environment.py").read_text())
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "pins.txt").write_text("")
    (tmp_path / f"{missing or 'other'}.py").write_text("raise ImportError")  # stands before the real one
    environment = {"PATH": "", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"numnist: {words}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()
