"""What a study shows, for people: tables in Markdown, and a forest plot."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from numnist.study.analysis import MINIMAL, UNFINISHED, Analysis, Comparison, p_in_words
from numnist.study.statistics import Summary
from numnist.study.study_file import Claim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = {"test_accuracy": "% of the test set", "val_accuracy": "% of the validation images"}
"""What the levels are measured in; a loss is in nats."""

WORDS = {
    "better": "{level} better than {than}",
    "worse": "{level} worse than {than}",
    "same": "{level} like {than}",
}
"""A claim in words."""


def markdown(headings: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table."""
    table = [headings, ["---"] * len(headings), *lines]
    return "".join(
        f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |\n" for row in table
    )


def verdict_table(analysis: Analysis) -> str:
    """A line for each factor that somebody has claimed something about: what was said, and what is."""
    lines = []
    for name, factor in analysis.plan.study.factors.items():
        if factor.repeats is not None or not factor.claims:
            continue
        longer = [other for other, each in analysis.plan.study.factors.items() if each.repeats == name]
        others = [f"{_budget(analysis, other)}: {analysis.verdict(other)}" for other in longer]
        shown = f"**{analysis.verdict(name)}**" + (f" ({', '.join(others)})" if others else "")
        lines.append([factor.title or name, factor.said, shown, _why(analysis, name)])
    return markdown(("factor", "the original's verdict", "ours", "because"), lines)


def _budget(analysis: Analysis, factor: str) -> str:
    """How long the runs of a factor are."""
    epochs = analysis.plan.factor(factor).settings.get("epochs")
    return f"{epochs} epochs" if epochs else factor


def _why(analysis: Analysis, factor: str) -> str:
    """The comparisons that a verdict rests on, in points; each with its own verdict where they differ."""
    judged = analysis.judge(factor)
    mixed = len({each.verdict for each in judged}) > 1
    return "; ".join(
        f"{each.comparison.level} − {each.comparison.than}: {signed(each.comparison.difference.mean)}"
        + (f" ({each.verdict})" if mixed else "")
        for each in judged
    )


def claims_table(analysis: Analysis) -> str:
    """Every claim: what was compared, what came of it, and of the comparison with the original's mistake."""
    lines = []
    for name in analysis.plan.study.factors:
        for judged in analysis.judge(name):
            again = "–" if judged.as_it_was is None else _in_words(judged.as_it_was)
            title = analysis.plan.factor(name).title or name
            lines.append(
                [
                    title,
                    claim_in_words(judged.claim),
                    _in_words(judged.comparison),
                    again,
                    f"**{judged.verdict}**",
                ]
            )
    return markdown(("factor", "claim", "difference", "as it was", "verdict"), lines)


def claim_in_words(claim: Claim) -> str:
    """What is said of two levels."""
    return WORDS[claim.effect].format(level=claim.level, than=claim.than)


def _in_words(comparison: Comparison) -> str:
    """A difference with its interval and p."""
    return f"{interval(comparison.difference)}, p {p_in_words(comparison.p)}: {comparison.effect}"


def factor_table(analysis: Analysis, name: str) -> str:
    """The levels of a factor: mean, spread, interval, and the difference to the base."""
    factor = analysis.plan.factor(name)
    digits = 2 if analysis.scale > 1 else 4
    lines: list[Sequence[object]] = []
    for level in factor.levels:
        if not analysis.is_known(name, level):
            lines.append([_named(analysis, name, level), "", UNFINISHED, "", "", "", ""])
            continue
        found = analysis.summary(name, level)
        comparison = analysis.comparisons.get((name, level, factor.base))
        beside = ["base", "", ""]
        if comparison is not None:
            beside = [interval(comparison.difference), p_in_words(comparison.p), comparison.effect]
        lines.append(
            [
                _named(analysis, name, level),
                found.n,
                f"{found.mean:.{digits}f} ± {_number(found.std, digits)}",
                f"{_number(found.low, digits)} to {_number(found.high, digits)}",
                *beside,
            ]
        )
    unit = UNITS.get(analysis.measure, "nats")
    headings = ("level", "runs", f"mean ± std. dev., {unit}", "95 % interval", f"less {factor.base}", "p", "")
    return markdown(headings, lines)


def _named(analysis: Analysis, factor: str, level: str) -> str:
    """A level, with what it has chosen and how many of its runs have diverged."""
    words = level
    if chosen := analysis.chosen(factor, level):
        words += f" ({', '.join(settings_in_words(chosen))})"
    if lost := analysis.diverged(factor, level):
        words += f" ({lost} diverged)"
    return words


def settings_in_words(settings: dict[str, object], above: str = "") -> list[str]:
    """Settings in words: "optim.lr 0.1"."""
    found = []
    for key, value in settings.items():
        inner = (
            settings_in_words(value, f"{above}{key}.")
            if isinstance(value, dict)
            else [f"{above}{key} {value}"]
        )
        found += inner
    return found


def signed(value: float) -> str:
    """A difference as one reads it."""
    return f"{value:+.2f}".replace("-", "−")


def interval(found: Summary) -> str:
    """A difference and the interval of its mean."""
    if found.n == 1:
        return f"{signed(found.mean)} (a single pair)"
    return f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]"


def _number(value: float, digits: int) -> str:
    return "–" if not math.isfinite(value) else f"{value:.{digits}f}"


def forest(analysis: Analysis) -> "Figure":
    """All comparisons to the bases, factor by factor. Needs the extra `view`."""
    from numnist.view.forest import Interval, draw_forest

    intervals = []
    for name, factor in analysis.plan.study.factors.items():
        for level in factor.levels:
            comparison = analysis.comparisons.get((name, level, factor.base))
            if comparison is not None and comparison.difference.n > 1:
                found = comparison.difference
                title = f"{factor.title or name}: difference to {factor.base}"
                intervals.append(Interval(title, level, found.mean, found.low, found.high, comparison.effect))
    unit = "percentage points" if analysis.scale > 1 else "nats"
    return draw_forest(intervals, f"{analysis.measure.replace('_', ' ')}, {unit}", MINIMAL[analysis.measure])


def page(analysis: Analysis, picture: str | None) -> str:
    """The whole report. picture: name of the forest plot's file beside it."""
    study = analysis.plan.study
    parts = [
        f"# Study {analysis.plan.name}\n",
        f"Recipe `{study.recipe}`, measured by {study.measure}. Differences are paired by seed; p is "
        "Holm-corrected over the comparisons of a factor. A difference is minimal where its whole 95 % "
        f"interval lies within ±{MINIMAL[study.measure]:g}.\n",
    ]
    if any(factor.claims for factor in study.factors.values()):
        parts += ["## Verdicts\n", verdict_table(analysis), "## Claims\n", claims_table(analysis)]
    if picture is not None:
        parts += [f"![differences to the base of each factor, with 95 % intervals]({picture})\n"]
    for name, factor in study.factors.items():
        parts += [f"## {factor.title or name}\n", factor_table(analysis, name)]
    return "\n".join(parts)
