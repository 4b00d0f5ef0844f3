"""What a contender's process does: get ready, say so, and take a turn whenever it is told to.

It needs the standard library alone: it runs in the peers' environments too. The other side is `peers.Worker`.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Turn = Callable[[float], dict[str, Any]]
"""Works for about so many seconds, and returns what it measured."""

Prepare = Callable[[dict[str, Any]], tuple[Turn, dict[str, Any]]]
"""From a job to its turn, warmed up, and facts about it that do not change."""

WARM_UP = 0.5
"""Seconds of steps before the first turn."""

LEAST = 3
"""Fewest steps that are timed in a turn, however long they take."""

UNTIMED = 2
"""Steps at the beginning of a turn that do not count: the caches were others', and the threads slept."""


def serve(prepare: Prepare) -> None:
    """Do the job of the command line: a line of JSON with the facts, then one for every line of stdin.

    Those lines are the seconds of a turn. While it waits for one, the process uses no core.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)  # libraries that print (compilers do) must not print between our lines
        turn, facts = prepare(json.loads(sys.argv[1]))
        print(json.dumps(facts), file=channel, flush=True)
        for line in sys.stdin:
            print(json.dumps(turn(float(line))), file=channel, flush=True)


def timed(step: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Milliseconds of a step: the median and the best of those that fit into the time."""
    for _ in range(UNTIMED):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < end:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return {"median": 1e3 * statistics.median(times), "best": 1e3 * min(times), "steps": len(times)}


def warmed_up(step: Callable[[], object]) -> Turn:
    """The turn that times this step, after a first one that nobody sees."""
    timed(step, WARM_UP)
    return lambda seconds: timed(step, seconds)


def sweep(predict: Callable[[Any], Any], images: Any, size: int) -> list[Any]:
    """The logits of all images, so many at a time."""
    return [predict(images[start : start + size]) for start in range(0, len(images), size)]


def fastest(sizes: Sequence[int], predict: Callable[[Any], Any], images: Any) -> int:
    """The size of batches that a contender is fastest with: each is judged by its own best."""
    if len(sizes) == 1:
        return sizes[0]
    return min(sizes, key=lambda size: timed(lambda: sweep(predict, images, size), 0)["best"])
