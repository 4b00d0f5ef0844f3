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
Verdict = Literal["holds", "does not hold", "artefact", "undecided", "not all runs are there"]

UNFINISHED: Literal["not all runs are there"] = "not all runs are there"
"""What is said in the place of a verdict while runs are missing."""

MINIMAL = {"test_accuracy": 0.1, "val_accuracy": 0.1, "test_loss": 0.003, "val_loss": 0.003}
"""A difference in percentage points (in nats, of a loss) too small to matter, whatever its sign."""

SIGNIFICANT = 0.05
"""Corrected p below which a difference is taken for one."""

CLAIMED: dict[str, Effect] = {"better": "better", "worse": "worse", "same": "minimal"}
"""What has to come out for a claim to hold."""


Place = tuple[str, str, str]
"""A factor, and two of its levels."""

Test = frozenset[tuple[str, ...]]
"""The keys of the runs of two levels."""


@dataclass(frozen=True)
class Comparison:
    """A level beside another of its factor, by runs of the same seeds.

    difference: in percentage points, or nats; above 0 where `level` has the larger value. p: Holm-corrected,
    see `Analysis`. effect: of `level`, see `effect`.
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

    rows: by the keys of their trials. family: the tests that p is corrected for together: those of a factor,
    each of which is a question of its own, or all of the study.
    """

    def __init__(
        self, plan: Plan, rows: Mapping[str, Row], family: Literal["factor", "study"] = "factor"
    ) -> None:
        self.plan, self.rows, self.family = plan, rows, family
        self.measure = plan.study.measure
        self.scale = 100.0 if "accuracy" in self.measure else 1.0
        self._values: dict[tuple[str, str], dict[int, float]] = {}
        self._keys: dict[tuple[str, str], list[str]] = {}
        incomplete = set()
        for cell in plan.cells(rows):
            row = None if cell.trial is None else rows.get(cell.trial.key)
            self._keys.setdefault((cell.factor, cell.level), []).append(cell.trial.key if cell.trial else "")
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
        rows = [self.rows[key] for key in self._keys[factor, level] if key in self.rows]
        return sum(row["diverged"] is not None for row in rows)

    def chosen(self, factor: str, level: str) -> Settings:
        """What a level has chosen on validation."""
        return self.plan.chosen(factor, level, self.rows) or {}

    @cached_property
    def comparisons(self) -> dict[Place, Comparison]:
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
        found = {place: self._difference(*place) for place in known}
        p = self._corrected(found)
        return {
            place: Comparison(
                *place, each.difference, p[place], self._effect(place, each.difference, p[place])
            )
            for place, each in found.items()
        }

    def _difference(self, factor: str, level: str, than: str) -> Difference:
        values, others = self._values[factor, level], self._values[factor, than]
        return Difference.of(list(values.values()), [others[seed] for seed in values])

    def _corrected(self, found: Mapping[Place, Difference]) -> dict[Place, float]:
        """The p-values, corrected within each family of tests."""
        families: dict[str, dict[Test, float]] = {}
        for place, each in found.items():
            families.setdefault(self._family(place), {})[self._test(place)] = each.p
        corrected = {
            family: dict(zip(tests, holm(list(tests.values())), strict=True))
            for family, tests in families.items()
        }
        return {place: corrected[self._family(place)][self._test(place)] for place in found}

    def _family(self, place: Place) -> str:
        return "" if self.family == "study" else place[0]

    def _test(self, place: Place) -> Test:
        """The runs that are compared: the same ones in both directions are one test."""
        factor, level, than = place
        return frozenset((tuple(self._keys[factor, level]), tuple(self._keys[factor, than])))

    def _effect(self, place: Place, difference: Summary, p: float) -> Effect:
        """See `effect`; of two levels that never came to an end there is nothing to say."""
        factor, level, than = place
        if all(self.diverged(factor, each) == difference.n for each in (level, than)):
            return "undecided"
        return effect(difference, p, MINIMAL[self.measure], "accuracy" in self.measure)

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
        judged = self.judge(factor)
        found = {each.verdict for each in judged}
        if "does not hold" in found:
            return "does not hold"
        if UNFINISHED in found or len(judged) < len(self.plan.factor(factor).claims):
            return UNFINISHED
        if found == {"holds"}:
            return "holds"
        return "artefact" if "artefact" in found else "undecided"


def _verdict(claim: Claim, comparison: Comparison, as_it_was: Comparison | None) -> Verdict:
    """What becomes of one claim."""
    wanted = CLAIMED[claim.effect]
    if comparison.effect == wanted:
        return "holds"
    if comparison.effect == "undecided":
        return "undecided"
    if claim.as_it_was is None:
        return "does not hold"
    if as_it_was is None:
        return UNFINISHED
    return "artefact" if as_it_was.effect == wanted else "does not hold"


def p_in_words(p: float) -> str:
    """A p-value as one reads it."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
