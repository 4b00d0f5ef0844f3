"""Tables of docs/reliability.md and docs/survivors.md, from the rows of the torture campaigns."""

import json
from collections import Counter
from collections.abc import Sequence

from rows import ROOT, Row, markdown, rows


def kills_table() -> str:
    """Where the kills of all campaigns struck, and what came of them."""
    campaigns = [row for row in rows("torture") if row["campaign"] == "kills"]
    struck: Counter[str] = Counter()
    for row in campaigns:
        struck.update(row["struck"])
    kills, runs, different = (sum(row[what] for row in campaigns) for what in ("kills", "runs", "different"))
    lines: list[Sequence[object]] = [[f"struck {where}", n] for where, n in sorted(struck.items())]
    lines += [["**kills in all**", f"**{kills}**"], ["runs", runs]]
    lines += [["runs that ended in other bytes", f"**{different}**"]]
    return markdown(("kill -9", "times"), lines)


def fuzz_table() -> str:
    """What the fuzzer tried at each door, in all campaigns; and since it found something there."""
    campaigns: dict[str, list[Row]] = {}
    for row in rows("torture"):
        if row["campaign"] == "fuzz":
            campaigns.setdefault(row["door"], []).append(row)
    lines = []
    for door, found in campaigns.items():
        last = max((i for i, row in enumerate(found) if row["finding"]), default=-1)
        findings = sum(row["finding"] for row in found)
        lines.append(
            [
                f"`{door}`",
                f"{sum(row['inputs'] for row in found):,}",
                f"{sum(row['seconds'] for row in found):,} s",
                max(row["branches"] for row in found),
                f"{max(row['peak_mb'] for row in found)} MB",
                findings or "none",
                f"{sum(row['inputs'] for row in found[last + 1 :]):,}",
            ]
        )
    headings = ("door", "inputs", "time", "branches reached", "peak memory", "findings", "inputs since then")
    return markdown(headings, lines)


def mutants_table() -> str:
    """How many mutants of each part the tests killed."""
    newest_of = {row["place"]: row for row in rows("torture") if row["campaign"] == "mutants"}
    lines = [
        [place, row["mutants"], row["killed"], f"{row['killed'] / row['mutants']:.1%}"]
        for place, row in newest_of.items()
    ]
    made, killed = (sum(row[what] for row in newest_of.values()) for what in ("mutants", "killed"))
    if made:
        lines.append(["**together**", made, killed, f"**{killed / made:.1%}**"])
    return markdown(("mutants of", "made", "killed", ""), lines)


def survivors_table() -> str:
    """Each mutant that no test has killed, and why it is let live."""
    path = ROOT / "results" / "survivors.json"
    lines = [
        [f"`{each['place']}`", _code(each["before"]), _code(each["after"]), each["reason"]]
        for each in json.loads(path.read_text(encoding="utf-8"))
    ]
    return markdown(("where", "the line", "the mutant", "why it lives"), lines)


def _code(line: str) -> str:
    return f"`{line}`"
