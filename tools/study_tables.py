"""Tables of docs/study.md and README.md, from the rows of the study."""

from collections.abc import Callable
from functools import cache, partial

from rows import markdown, newest

from numnist.study import Analysis, Plan, read_study
from numnist.study.analysis import p_in_words
from numnist.study.report import claim_in_words, claims_table, factor_table, verdict_table

STUDY = "eight-factors"


@cache
def analysis() -> Analysis:
    """What the rows say."""
    return Analysis(Plan(*read_study(STUDY)), {row["key"]: row for row in newest("study", "key")})


def stricter_table() -> str:
    """The claims that are undecided when p is corrected over all of the study together."""
    found = analysis()
    all_together = Analysis(found.plan, found.rows, "study")
    lines = [
        [
            found.plan.factor(name).title,
            claim_in_words(judged.claim),
            f"{p_in_words(judged.comparison.p)}: {judged.verdict}",
            f"{p_in_words(other.comparison.p)}: {other.verdict}",
        ]
        for name in found.plan.study.factors
        for judged, other in zip(found.judge(name), all_together.judge(name), strict=True)
        if judged.verdict != other.verdict
    ]
    return markdown(("factor", "claim", "p over the factor", "p over the study"), lines)


def cost_table() -> str:
    """What the study costs."""
    found = analysis()
    rows = [
        row for row in newest("study", "key") if row["key"] in {t.key for t in found.plan.trials(found.rows)}
    ]
    chosen = sum(row["role"] == "choose" for row in rows)
    busy = sum(row["cpu_seconds"] for row in rows)
    lines = [
        ["runs that are measured", len(rows) - chosen],
        ["runs that choose a learning rate, and never see the test set", chosen],
        ["epochs in all", f"{sum(row['epochs'] or 0 for row in rows):,}"],
        ["processor time", f"{busy / 3600:.1f} hours"],
        ["on two cores that do nothing else", f"{busy / 120:.0f} minutes"],
    ]
    return markdown(("", ""), lines)


def tables() -> dict[str, Callable[[], str]]:
    """By name: the verdicts, the claims, what it costs, and the levels of each factor."""
    plan = Plan(*read_study(STUDY))
    of_factors = {
        f"study-{name}": partial(lambda name: factor_table(analysis(), name), name)
        for name in plan.study.factors
    }
    return {
        "study-verdicts": lambda: verdict_table(analysis()),
        "study-claims": lambda: claims_table(analysis()),
        "study-cost": cost_table,
        "study-stricter": stricter_table,
        **of_factors,
    }
