"""Run the study of the eight factors, and keep a row for each of its runs in results/study.jsonl.

    python benchmarks/study.py [--workers 2] [--folder studies]

It goes on where it was stopped. What the study shows is written from the rows by tools/tables.py and
tools/results_pictures.py.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from accuracy import RESULTS, commit

from numnist.cli import main as numnist
from numnist.study import read_rows

STUDY = "eight-factors"
ROWS = RESULTS / "study.jsonl"

CLOCK = ("seconds", "cpu_seconds", "environment", "commit", "date", "study")
"""What of a row in the results is not the run's own."""


def collect(folder: Path, code: str) -> int:
    """Bring the rows of a study's folder into the results; how many there are then.

    A run that is there already, and has come to the same, keeps the commit that it was made by.
    """
    known = read_rows(ROWS) if ROWS.exists() else {}
    clocks = read_rows(folder / "timing.jsonl")
    for key, row in read_rows(folder / "rows.jsonl").items():
        old = {name: value for name, value in known.get(key, {}).items() if name not in CLOCK}
        if old == row:
            continue
        known[key] = {
            **row,
            "study": STUDY,
            **{name: clocks[key][name] for name in ("seconds", "cpu_seconds", "environment")},
            "commit": code,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
    ROWS.write_text(
        "".join(json.dumps(row, sort_keys=True) + "\n" for row in known.values()), encoding="utf-8"
    )
    return len(known)


def main() -> None:
    """Run, and collect."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", default="2")
    parser.add_argument("--folder", type=Path, default=Path("studies"))
    parser.add_argument("--collect", metavar="COMMIT", help="only collect the rows of a run of this commit")
    arguments = parser.parse_args()
    code = arguments.collect or commit()  # now, while what is checked out is what was imported
    if arguments.collect is None:
        status = numnist(
            ["study", "run", STUDY, "--folder", str(arguments.folder), "--workers", arguments.workers]
        )
        if status:
            sys.exit(status)
    print(f"{collect(arguments.folder / STUDY, code):,} rows in {ROWS.name}")


if __name__ == "__main__":
    main()
