"""From rows to verdicts, on rows made by hand."""

import math
from typing import Any

import numpy as np
import pytest
from tests.study.conftest import TINY

from numnist.study import Analysis, Plan, Summary, holm, page, parse_study
from numnist.study.analysis import effect

STUDY: dict[str, Any] = {
    **TINY,
    "seeds": [0, 1, 2, 3],
    "factors": {
        "width": {
            "title": "Width of the network",
            "said": "significant positive",
            "base": "4",
            "levels": {
                "4": {},
                "8": {"settings": {"model": "mlp:8"}},
                "16": {"settings": {"model": "mlp:16"}},
                "8 by mistake": {"settings": {"model": "mlp:32"}},
            },
            "claims": [{"level": "8", "than": "4", "effect": "better", "as_it_was": ["8 by mistake", "4"]}],
        }
    },
}
LEVEL = {"4": 97.0, "8": 97.0, "16": 97.0, "8 by mistake": 97.0}
NOISE = np.array([0.01, -0.01, 0.02, -0.02])


def rows_of(plan: Plan, means: dict[str, float], noise: float = 1.0) -> dict[str, Any]:
    """A row for each cell: the level's mean, in per cent, and what the seed adds."""
    found = {}
    for cell in plan.cells({}):
        assert cell.trial is not None
        # A seed's luck is the same at each level, and the noise that is not is small.
        luck = 0.3 * cell.seed + noise * NOISE[(cell.seed + list(LEVEL).index(cell.level)) % 4]
        accuracy = (means[cell.level] + luck) / 100
        found[cell.trial.key] = {"test_accuracy": accuracy, "diverged": None, "val_accuracy": accuracy}
    return found


def analysed(means: dict[str, float], **noise: float) -> Analysis:
    plan = Plan("made", parse_study(STUDY, "made"))
    return Analysis(plan, rows_of(plan, means, **noise))


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ({"8": 98.0}, "holds"),
        ({"8": 96.0}, "does not hold"),
        ({"8": 97.0}, "does not hold"),  # minimal
        ({"8": 97.0, "8 by mistake": 98.0}, "artefact"),
        ({"8": 96.0, "8 by mistake": 96.0}, "does not hold"),
    ],
)
def test_verdicts(means: dict[str, float], verdict: str) -> None:
    analysis = analysed(LEVEL | means)
    assert analysis.verdict("width") == verdict
    assert [judged.verdict for judged in analysis.judge("width")] == [verdict]


def test_what_is_too_noisy_is_undecided() -> None:
    analysis = analysed(LEVEL | {"8": 97.3}, noise=30.0)
    assert analysis.verdict("width") == "undecided"


def test_pairing_takes_the_luck_of_the_seed_out() -> None:
    analysis = analysed(LEVEL | {"8": 97.2})
    assert analysis.summary("width", "8").std > 0.3
    comparison = analysis.comparisons["width", "8", "4"]
    assert comparison.difference.mean == pytest.approx(0.2, abs=0.03)
    assert comparison.difference.std < 0.1
    assert comparison.effect == "better"


def test_levels_that_lack_a_run_are_left_out() -> None:
    plan = Plan("made", parse_study(STUDY, "made"))
    rows = rows_of(plan, LEVEL)
    lost = next(cell.trial for cell in plan.cells({}) if cell.level == "8")
    assert lost is not None
    del rows[lost.key]
    analysis = Analysis(plan, rows)
    assert not analysis.is_known("width", "8")
    assert ("width", "8", "4") not in analysis.comparisons
    assert analysis.judge("width") == []
    assert analysis.verdict("width") == "not all runs are there"
    assert "not all runs are there" in page(analysis, None)


def test_a_claim_waits_for_the_runs_with_the_mistake() -> None:
    plan = Plan("made", parse_study(STUDY, "made"))
    rows = rows_of(plan, LEVEL | {"8": 96.0})
    for cell in plan.cells({}):
        if cell.level == "8 by mistake" and cell.trial is not None:
            del rows[cell.trial.key]
    assert Analysis(plan, rows).verdict("width") == "not all runs are there"


def test_p_is_corrected_over_a_factor_or_over_the_study_and_no_test_counts_twice() -> None:
    factor = STUDY["factors"]["width"]
    claims = [{"level": "4", "than": "8", "effect": "worse"}]  # the same test in the other direction
    both = {"width": {**factor, "claims": claims}, "again": {**factor, "base": "8", "claims": []}}
    plan = Plan("made", parse_study({**STUDY, "factors": both}, "made"))
    rows = rows_of(plan, LEVEL | {"8": 97.1})
    one, all_of_it = Analysis(plan, rows), Analysis(plan, rows, "study")
    width = [("width", level, "4") for level in ("8", "16", "8 by mistake")]
    again = [("again", level, "8") for level in ("16", "8 by mistake")]
    for analysis, tests in ((one, width), (all_of_it, width + again)):
        expected = holm([analysis._difference(*place).p for place in tests])
        assert [analysis.comparisons[place].p for place in tests] == pytest.approx(expected)
        mirrored = analysis.comparisons["width", "4", "8"]
        assert mirrored.p == pytest.approx(expected[0])
        assert mirrored.difference.mean == -analysis.comparisons["width", "8", "4"].difference.mean
    assert all_of_it.comparisons["again", "4", "8"].p == all_of_it.comparisons["width", "8", "4"].p


def test_of_levels_that_all_diverged_nothing_is_said() -> None:
    plan = Plan("made", parse_study(STUDY, "made"))
    rows = rows_of(plan, LEVEL)
    for row in rows.values():
        row |= {"diverged": "the loss became nan", "test_accuracy": 0.1}
    analysis = Analysis(plan, rows)
    assert analysis.comparisons["width", "8", "4"].effect == "undecided"
    assert analysis.verdict("width") == "undecided"


def test_p_is_corrected_over_the_comparisons_of_a_factor() -> None:
    analysis = analysed(LEVEL | {"8": 97.1, "16": 97.3})
    raw = [analysis._difference(*place).p for place in analysis.comparisons]
    corrected = [comparison.p for comparison in analysis.comparisons.values()]
    assert len(raw) == 3
    assert min(corrected) == pytest.approx(3 * min(raw))


@pytest.mark.parametrize(
    ("low", "high", "p", "higher", "expected"),
    [
        (-0.09, 0.09, 0.9, True, "minimal"),
        (0.01, 0.09, 0.001, True, "minimal"),  # real, and too small to matter
        (0.05, 0.11, 0.01, True, "better"),
        (0.05, 0.11, 0.01, False, "worse"),
        (-0.3, -0.1, 0.01, True, "worse"),
        (-0.3, -0.1, 0.01, False, "better"),
        (-0.3, 0.2, 0.6, True, "undecided"),
        (0.05, 0.3, 0.051, True, "undecided"),
        (-math.inf, math.inf, math.nan, True, "undecided"),
    ],
)
def test_effects(low: float, high: float, p: float, higher: bool, expected: str) -> None:
    mean = (low + high) / 2 if math.isfinite(low) else 1.0
    assert effect(Summary(5, mean, 0.1, low, high), p, 0.1, higher) == expected


def test_the_report_says_what_the_analysis_says() -> None:
    analysis = analysed(LEVEL | {"8": 98.0})
    text = page(analysis, "forest.svg")
    assert "| Width of the network | significant positive | **holds** | 8 − 4: +1.00 |" in text
    assert "(forest.svg)" in text
    mean = analysis.summary("width", "16").mean
    assert f"| 16 | 4 | {mean:.2f} ± " in text


def test_runs_that_diverged_are_counted_and_named() -> None:
    plan = Plan("made", parse_study(STUDY, "made"))
    rows = rows_of(plan, LEVEL)
    lost = next(cell.trial for cell in plan.cells({}) if cell.level == "16")
    assert lost is not None
    rows[lost.key] |= {"diverged": "the loss became nan", "test_accuracy": 0.1}
    text = page(Analysis(plan, rows), None)
    assert "| 16 (1 diverged) | 4 |" in text
