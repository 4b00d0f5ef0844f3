"""Write into each recipe what it was measured to reach; `--check` says whether all are up to date.

    python tools/recipe_headers.py [--check]

The lines stand behind the words about the recipe and before its first setting.
"""

import re
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from rows import ROOT, Row, ensemble_row, headline_runs

from numnist.train import Ensemble, ensembles

RECIPES = ROOT / "src" / "numnist" / "train" / "recipes"
START = "# Measured (tools/recipe_headers.py writes these lines):"
MEASURED = re.compile(rf"#\n{re.escape(START)}\n(?:#.*\n)*")


def header(runs: list[Row]) -> str:
    """What these runs reached, as comments."""
    accuracies = [100 * run["test_accuracy"] for run in runs]
    lowest, highest = min(accuracies), max(accuracies)
    mean, n = statistics.mean(accuracies), len(runs)
    spread = f" ± {statistics.stdev(accuracies):.2f}" if n > 1 else ""
    seconds = [run["seconds"] for run in runs]
    machine = runs[-1]["environment"]
    lines = [
        f"{mean:.2f}{spread} % of the test set, mean and standard deviation of {n} run{'s' if n > 1 else ''}",
        f"(seeds {', '.join(str(run['seed']) for run in runs)}; "
        f"lowest {lowest:.2f}, highest {highest:.2f} %), {runs[0]['parameters']:,} parameters,",
        f"{statistics.median(seconds):.0f} s a run ({min(seconds):.0f} to {max(seconds):.0f} s), "
        f"{machine['cores']} cores of {machine['cpu']},",
        f"NumPy {machine['numpy']}, commit {', '.join(dict.fromkeys(run['commit'] for run in runs))}, "
        f"{runs[-1]['date']}.",
    ]
    return _comments(lines)


def header_of_ensemble(ensemble: Ensemble) -> str:
    """What the models of these runs reach together, as comments; nothing until they have been assessed."""
    measured = ensemble_row(ensemble)
    if measured is None:
        return ""
    found, runs = measured
    accuracy = 1 - found["errors"] / found["n"]
    lines = [
        f"{100 * accuracy:.2f} % of the test set ({found['errors']} errors), one ensemble, "
        f"{found['parameters']:,} parameters,",
        f"{sum(run['seconds'] for run in runs):.0f} s for its members (see {ensemble.members}.toml).",
    ]
    return _comments(lines)


def _comments(lines: Iterable[str]) -> str:
    return "\n".join(["#", START, *(f"#   {line}" for line in lines)]) + "\n"


def rewritten(text: str, measured: str) -> str:
    """A recipe with this header, which may be empty."""
    bare = MEASURED.sub("", text)
    settings = re.search(r"^[^#\n]", bare, re.MULTILINE)
    assert settings is not None, "a recipe has settings"
    words = bare[: settings.start()]
    return words + measured + bare[settings.start() :]


def main() -> None:
    """Rewrite the recipes, or check them."""
    measured = {name: header(runs) for name, runs in headline_runs().items()}
    measured |= {name: header_of_ensemble(ensemble) for name, ensemble in ensembles().items()}
    stale: list[tuple[Path, str]] = []
    for path in sorted(RECIPES.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        new = rewritten(text, measured.get(path.stem, ""))
        if new != text:
            stale.append((path, new))
    if "--check" in sys.argv[1:]:
        names = ", ".join(path.name for path, _ in stale)
        sys.exit(f"run tools/recipe_headers.py: not up to date: {names}" if stale else 0)
    for path, new in stale:
        path.write_text(new, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
