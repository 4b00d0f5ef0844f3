"""Make small defects in the code on purpose, and count those that the tests notice (mutmut).

    python tools/torture_mutants.py [ops optim idx checkpoint]

Works on a copy of the project. Appends a row per part to results/torture.jsonl and writes those mutants that
no test has killed to results/survivors.json, where the reason why each is let live is written by hand; one
without a reason is told at the end.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rows import ROOT

SURVIVORS = ROOT / "results" / "survivors.json"

PARTS = {
    "ops": (["src/numnist/ops/*"], ["tests/ops"]),
    "optim": (["src/numnist/optim/*"], ["tests/optim", "tests/engine/test_engine_update.py"]),
    "idx": (["src/numnist/data/idx.py"], ["tests/data/test_idx.py", "tests/data/test_mapped.py"]),
    "checkpoint": (
        ["src/numnist/train/checkpoint.py", "src/numnist/train/checkpoint_file.py"],
        [
            "tests/train/test_checkpoint.py",
            "tests/train/test_checkpoint_words.py",
            "tests/train/test_resume.py",
            "tests/train/test_resume_oddities.py",
        ],
    ),
}
"""What is mutated, and the tests that have to notice."""

KILLED = ("killed", "timeout", "suspicious", "segfault")


def copy(folder: Path, files: list[str], tests: list[str]) -> None:
    """A copy of the project, set up for these files and tests."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    settings = {
        "source_paths": ["src/"],
        "only_mutate": files,
        "pytest_add_cli_args_test_selection": tests,
        "also_copy": ["tests/"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def mutmut(folder: Path, *arguments: str) -> str:
    """What mutmut prints."""
    # The same examples for every mutant, one BLAS thread, and no real MNIST.
    variables = os.environ | {"CI": "1", "OPENBLAS_NUM_THREADS": "1", "NUMNIST_DATA": ""}
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=folder, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


def campaign(part: str, folder: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """One part: its row, and what survived."""
    files, tests = PARTS[part]
    copy(folder, files, tests)
    said = mutmut(folder, "run", "--max-children", str(os.cpu_count()))
    found = re.findall(r"^\s*(numnist\.\S+): (.+)$", mutmut(folder, "results", "--all", "true"), re.MULTILINE)
    if any(status == "not checked" for _, status in found):
        sys.exit(f"{part}: mutmut did not run: {said[-3000:]}")
    counts: dict[str, int] = {}
    survivors = []
    for name, status in found:
        counts[status] = counts.get(status, 0) + 1
        if status not in KILLED:
            changed = [
                line for line in mutmut(folder, "show", name).splitlines() if re.match(r"[-+](?![-+])", line)
            ]
            place = re.sub(r"\.xǁ?|ǁ", ".", name.partition("__mutmut_")[0]).replace("._", ".", 1)
            survivors.append(
                {
                    "part": part,
                    "place": place.removeprefix("numnist."),
                    "before": " ".join(line[1:].strip() for line in changed if line[0] == "-"),
                    "after": " ".join(line[1:].strip() for line in changed if line[0] == "+"),
                }
            )
    killed = sum(counts.get(status, 0) for status in KILLED)
    row = {"campaign": "mutants", "place": part, "mutants": len(found), "killed": killed, "by": counts}
    return row, survivors


def with_reasons(part: str, survivors: list[dict[str, str]]) -> list[dict[str, str]]:
    """The survivors of a part, with the reasons that were given before, and those of the other parts."""
    old = json.loads(SURVIVORS.read_text(encoding="utf-8")) if SURVIVORS.exists() else []
    keys = ("place", "before", "after")
    reasons = {tuple(each[key] for key in keys): each.get("reason", "") for each in old}
    new = [{**each, "reason": reasons.get(tuple(each[key] for key in keys), "")} for each in survivors]
    return [each for each in old if each["part"] != part] + new


def main() -> None:
    """Run the parts and write what came of them."""
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            row, survivors = campaign(part, Path(folder))
        with (ROOT / "results" / "torture.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        merged = with_reasons(part, survivors)
        SURVIVORS.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(json.dumps(row), flush=True)
        without = [each for each in merged if not each["reason"]]
        print(f"{len(without)} survivors without a reason in {SURVIVORS.name}", flush=True)


if __name__ == "__main__":
    main()
