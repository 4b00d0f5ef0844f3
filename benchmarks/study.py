"""Run the study of the eight factors, and keep a row for each of its runs in results/study.jsonl.

    python benchmarks/study.py [--workers 2] [--folder studies]

It goes on where it was stopped; a new row of a run replaces the old one. What the study shows is written from
the rows by tools/tables.py and tools/results_pictures.py.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from accuracy import RESULTS, commit

from numnist.cli import main as numnist

STUDY = "eight-factors"
ROWS = RESULTS / "study.jsonl"


def collect(folder: Path, code: str) -> int:
    """Bring the rows of a study's folder into the results; how many there are then."""
    known = {}
    if ROWS.exists():
        known = {row["key"]: row for row in map(json.loads, ROWS.read_text(encoding="utf-8").splitlines())}
    clocks = {
        clock["key"]: clock
        for clock in map(json.loads, (folder / "timing.jsonl").read_text(encoding="utf-8").splitlines())
    }
    for row in map(json.loads, (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()):
        clock = clocks[row["key"]]
        known[row["key"]] = {
            **row,
            "study": STUDY,
            "seconds": clock["seconds"],
            "cpu_seconds": clock["cpu_seconds"],
            "environment": clock["environment"],
            "commit": code,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in known.values()]
    ROWS.write_text("".join(lines), encoding="utf-8")
    return len(lines)


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
