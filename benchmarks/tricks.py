"""Time each trick of the engine against the same work without it, on one core.

    python benchmarks/tricks.py [--engine] [--rounds 7] [--only NAME,...] [--json FILE]

Both sides of a case work on the same data (64 images, the sizes of the cnn), and must agree on the result.
They take turns; a figure is the median over the rounds of the median time of a call. With `--engine`,
training steps of the whole engine follow, which need two cores.

pays: whether `after` was faster. kept: whether the engine does what `after` says. A star where they differ.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import tricks_adjoint
import tricks_engine
import tricks_first
import tricks_hidden
import tricks_passes
from threadpoolctl import threadpool_limits
from turns import timed

SECONDS = 0.05
"""How long each side is measured in a round."""

ANSWER = {True: "yes", False: "no"}


def row(case: Any, rounds: int) -> dict[str, Any]:
    """The figures of a case, in µs."""
    pair = case.make()
    measured = [[1e3 * timed(work, SECONDS)["median"] for work in pair] for _ in range(rounds)]
    before, after = (statistics.median(times) for times in zip(*measured, strict=True))
    return {
        "trick": case.name,
        "before": case.before,
        "after": case.after,
        "before_us": round(before, 2),
        "after_us": round(after, 2),
        "pays": after < before,
        "kept": case.kept,
    }


def main() -> None:
    """Time the cases that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", action="store_true", help="time training steps of the whole engine too")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", metavar="NAME,...", help="these tricks alone")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("expected --rounds of at least 1")
    cases = [*tricks_first.CASES, *tricks_hidden.CASES, *tricks_adjoint.CASES, *tricks_passes.CASES]
    if arguments.engine:
        cases += tricks_engine.CASES
    if arguments.only is not None:
        names = arguments.only.split(",")
        known = [case.name for case in cases]
        if unknown := [name for name in names if name not in known]:
            parser.error(f"--only {','.join(unknown)}: expected some of {', '.join(known)}")
        cases = [case for case in cases if case.name in names]
    rows = []
    print(f"{'trick':<20}{'before, µs':>12}{'after, µs':>12}{'ratio':>8}  pays  kept")
    with threadpool_limits(1, user_api="blas"):
        for case in cases:
            figures = row(case, arguments.rounds)
            rows.append(figures)
            ratio = figures["before_us"] / figures["after_us"]
            times = f"{figures['before_us']:>12.1f}{figures['after_us']:>12.1f}{ratio:>8.2f}"
            star = "" if figures["pays"] == case.kept else "*"
            print(
                f"{case.name:<20}{times}  {ANSWER[figures['pays']]:<6}{ANSWER[case.kept]:<5}{star}",
                flush=True,
            )
    if arguments.json:
        text = "".join(json.dumps(figures, ensure_ascii=False) + "\n" for figures in rows)
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
