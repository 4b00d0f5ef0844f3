"""From the rows of a study to what they say: levels, comparisons, verdicts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from numnist.study.plan import Plan, Row
from numnist.study.statistics import Difference, Summary, holm
from numnist.study.study_file import Claim, Settings

Effect = Literal["better", "worse", "minimal", "undecided"]
Verdict = Literal["holds", "does not hold", "artefact", "undecided"]

MINIMAL = {"test_accuracy": 0.1, "val_accuracy": 0.1, "test_loss": 0.003, "val_loss": 0.003}
"""A difference in percentage points (in nats, of a loss) too small to matter, whatever its sign."""

SIGNIFICANT = 0.05
"""Corrected p below which a difference is taken for one."""

CLAIMED: dict[str, Effect] = {"better": "better", "worse": "worse", "same": "minimal"}
"""What has to come out for a claim to hold."""


@dataclass(frozen=True)
class Comparison:
    """A level beside another of its factor, by runs of the same seeds.

    difference: in percentage points, or nats; above 0 where `level` has the larger value. p: Holm-corrected
    over all comparisons of the study. effect: of `level`, see `effect`.
    """

    factor: str
    level: str
    than: str
    difference: Summary
    p: float
    effect: Effect


@dataclass(frozen=True)
class Judged:
    """A claim, the comparison that it is about, and its verdict. as_it_was: the same with the mistake."""

    claim: Claim
    comparison: Comparison
    as_it_was: Comparison | None
    verdict: Verdict


def effect(difference: Summary, p: float, minimal: float, higher_is_better: bool) -> Effect:
    """What a difference amounts to.

    minimal where the whole interval is within ±minimal, else better or worse where p < 0.05, else undecided.
    """
    if -minimal <= difference.low and difference.high <= minimal:
        return "minimal"
    if not p < SIGNIFICANT:
        return "undecided"
    return "better" if (difference.mean > 0) == higher_is_better else "worse"


class Analysis:
    """What the rows of a study say; of levels that lack a run there is nothing to say yet.

    rows: by the keys of their trials.
    """

    def __init__(self, plan: Plan, rows: Mapping[str, Row]) -> None:
        self.plan, self.rows = plan, rows
        self.measure = plan.study.measure
        self.scale = 100.0 if "accuracy" in self.measure else 1.0
        self._values: dict[tuple[str, str], dict[int, float]] = {}
        incomplete = set()
        for cell in plan.cells(rows):
            row = None if cell.trial is None else rows.get(cell.trial.key)
            value = None if row is None else row[self.measure]
            if value is None:
                incomplete.add((cell.factor, cell.level))
            else:
                self._values.setdefault((cell.factor, cell.level), {})[cell.seed] = self.scale * value
        for place in incomplete:
            self._values.pop(place, None)

    def is_known(self, factor: str, level: str) -> bool:
        """Whether all runs of a level are there."""
        return (factor, level) in self._values

    def summary(self, factor: str, level: str) -> Summary:
        """Mean and spread of a level, in per cent or nats; KeyError while runs of it are missing."""
        return Summary.of(list(self._values[factor, level].values()))

    def diverged(self, factor: str, level: str) -> int:
        """In how many runs of a level the loss was no longer finite."""
        cells = [cell for cell in self.plan.cells(self.rows) if (cell.factor, cell.level) == (factor, level)]
        rows = [self.rows[cell.trial.key] for cell in cells if cell.trial and cell.trial.key in self.rows]
        return sum(row["diverged"] is not None for row in rows)

    def chosen(self, factor: str, level: str) -> Settings:
        """What a level has chosen on validation."""
        return self.plan.chosen(factor, level, self.rows) or {}

    @cached_property
    def comparisons(self) -> dict[tuple[str, str, str], Comparison]:
        """All of them: each level beside its factor's base, and what claims compare besides."""
        places = []
        for name, factor in self.plan.study.factors.items():
            pairs = [(level, factor.base) for level in factor.levels if level != factor.base]
            for claim in factor.claims:
                pairs += [(claim.level, claim.than), *([claim.as_it_was] if claim.as_it_was else [])]
            places += [(name, *pair) for pair in dict.fromkeys(pairs)]
        known = [
            (factor, level, than)
            for factor, level, than in places
            if self.is_known(factor, level) and self.is_known(factor, than)
        ]
        found = [self._difference(*place) for place in known]
        corrected = holm([each.p for each in found])
        minimal, higher = MINIMAL[self.measure], "accuracy" in self.measure
        return {
            place: Comparison(*place, each.difference, p, effect(each.difference, p, minimal, higher))
            for place, each, p in zip(known, found, corrected, strict=True)
        }

    def _difference(self, factor: str, level: str, than: str) -> Difference:
        values, others = self._values[factor, level], self._values[factor, than]
        return Difference.of(list(values.values()), [others[seed] for seed in values])

    def judge(self, factor: str) -> list[Judged]:
        """What became of the claims about a factor, those that can be judged by now."""
        judged = []
        for claim in self.plan.factor(factor).claims:
            comparison = self.comparisons.get((factor, claim.level, claim.than))
            if comparison is None:
                continue
            again = None
            if claim.as_it_was is not None:
                again = self.comparisons.get((factor, *claim.as_it_was))
            judged.append(Judged(claim, comparison, again, _verdict(claim, comparison, again)))
        return judged

    def verdict(self, factor: str) -> Verdict:
        """Of all that is claimed about a factor: that holds where every claim does."""
        found = {judged.verdict for judged in self.judge(factor)}
        if found == {"holds"}:
            return "holds"
        if "does not hold" in found:
            return "does not hold"
        return "artefact" if "artefact" in found else "undecided"


def _verdict(claim: Claim, comparison: Comparison, as_it_was: Comparison | None) -> Verdict:
    """What becomes of one claim."""
    wanted = CLAIMED[claim.effect]
    if comparison.effect == wanted:
        return "holds"
    if comparison.effect == "undecided":
        return "undecided"
    return "artefact" if as_it_was is not None and as_it_was.effect == wanted else "does not hold"


def p_in_words(p: float) -> str:
    """A p-value as one reads it."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
