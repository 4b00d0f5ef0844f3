"""Knock at every door with what a coverage-guided fuzzer thinks of (atheris, libFuzzer).

    python tools/torture_fuzz.py --runs 1000000 [--doors idx,model] [--seconds 600]

Appends a row per door to results/torture.jsonl. A finding ends its door, and the bytes stay in .cache/fuzz/.
What has been found interesting stays there too, and the next campaign goes on from it.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "fuzz"
LONGEST = 4096
"""Bytes of an input; the structures are small, and what is longer is slower."""

INTERRUPTED = 72
"""Exit status of libFuzzer after Ctrl-C, which is no finding."""

HANG, MEMORY = 30, 2048
"""Seconds of one input, and megabytes of the process, that are findings."""


def fuzz(door: str, flags: list[str]) -> None:
    """The process that fuzzes: it does not return."""
    import atheris

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["numnist"]):
        from tests.fuzz import door as knocking
        from tests.fuzz import doors

        from numnist.engine import batch

    # A process forked from this one would report its end as that of the fuzzer.
    vars(batch)["can_fork"] = lambda: False
    corpus = CACHE / door
    corpus.mkdir(parents=True, exist_ok=True)
    chosen = doors.DOORS[door]
    for number, seed in enumerate(chosen.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def knock(content: bytes) -> None:
        knocking.answer(chosen, content)

    atheris.Setup([sys.argv[0], *flags, str(corpus)], knock)
    atheris.Fuzz()


def campaign(door: str, runs: int, seconds: int) -> dict[str, object]:
    """One door; the row of results."""
    CACHE.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-runs={runs}",
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={HANG}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={CACHE}/{door}-",
        "-print_final_stats=1",
    ]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, __file__, "--inside", door, *flags], capture_output=True, text=True, check=False
    )
    knocks = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    covered = re.findall(r"\bcov: (\d+)", done.stderr)
    memory = re.findall(r"stat::peak_rss_mb:\s*(\d+)", done.stderr)
    found = done.returncode not in (0, INTERRUPTED)
    if found:
        # What Python has to say of an exception goes to one, what libFuzzer says of the input to the other.
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
    return {
        "campaign": "fuzz",
        "door": door,
        "inputs": int(knocks[-1]) if knocks else 0,
        "seconds": round(time.monotonic() - began),
        "branches": int(covered[-1]) if covered else 0,
        "peak_mb": int(memory[-1]) if memory else 0,
        "finding": found,
        "python": platform.python_version(),
    }


def main() -> None:
    """Fuzz the doors one after another, and append their rows."""
    if sys.argv[1:2] == ["--inside"]:
        fuzz(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs per door")
    parser.add_argument("--seconds", type=int, default=0, help="longest time per door; 0: any")
    parser.add_argument("--doors", help="names with commas between; all where not given")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.doors import DOORS

    for door in arguments.doors.split(",") if arguments.doors else DOORS:
        row = campaign(door, arguments.runs, arguments.seconds)
        with (ROOT / "results" / "torture.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
