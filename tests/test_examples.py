"""The examples run, and do what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

ENDS = {
    "network_from_ops.py": (r"accuracy on unseen digits ([\d.]+)%", 85.0),
    "custom_layer.py": (r"accuracy ([\d.]+)%; what became of b", 85.0),
    "custom_data.py": (r"accuracy ([\d.]+)% on 500 pictures", 90.0),
}


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ENDS)


@pytest.mark.parametrize("name", ENDS)
def test_it_runs_and_learns(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    pattern, least = ENDS[name]
    accuracies = re.findall(pattern, done.stdout)
    assert float(accuracies[-1]) > least
    assert not list(tmp_path.iterdir())


def test_a_network_takes_at_most_sixty_lines() -> None:
    assert len((EXAMPLES / "network_from_ops.py").read_text().splitlines()) <= 60
