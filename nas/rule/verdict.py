"""The verdict: which rivals a table must rule out, and what is said of it then.

One implementation for one table and for thousands of tables of one design, so that the
power that is printed is the power of the verdict that is read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special

from nas.rule import contrasts
from nas.rule.contrasts import Contrast
from nas.rule.readings import FittedDesign, Readings
from nas.rule.rivals import count_squares, joint_rivals
from nas.rule.slot_design import Labels, SlotDesign
from nas.rule.slot_layout import SlotLayout

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Key = TypeVar("Key", str, int)
FindOver = Callable[[SlotDesign, SlotLayout, Iterable[int] | None], Contrast]
Verdict = Literal["supported", "contradicted", "negligible", "inconclusive"]

MIN_RESIDUAL_DF = 5
"""Fewer spare placements than this give no verdict (our choice: at 5 degrees of
freedom an interval is already 1.3 times as wide as with many)."""

LEVEL_PRICE = 1.5
"""If levels for the stages make the step of the last slots this many times less
precise, they are asked for only where the data show them (our choice: then the step
hangs on a single slot, the first of the model)."""

ALARM = 0.10
"""Two-sided level of "the data show levels", "... a slope", "... neighbours that
matter": deliberately easy to trip (our choice)."""


PLACES: tuple[FindOver, ...] = (
    contrasts.end_of_stage,
    contrasts.last_over_first,
    contrasts.last_over_middle,
)
"""The comparisons of places that a verdict asks for."""


@dataclass(frozen=True)
class Check:
    """A rival explanation, and whether the data rule it out.

    Attributes:
        name: Short name.
        claim: What must be shown.
        passed: Whether it was.
        finding: The numbers, or why there are none.
    """

    name: str
    claim: str
    passed: bool
    finding: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "claim": self.claim,
            "passed": self.passed,
            "finding": self.finding,
        }


@dataclass(frozen=True, eq=False)
class Checks:
    """One check on many tables, ``(tables,)`` each.

    Attributes:
        name: Short name.
        claims: What must be shown for ``contradicted`` and for ``supported``.
        p: One-sided p-value.
        passed: Whether it was shown.
        reason: Why nothing can be shown, or ``""``.
    """

    name: str
    claims: tuple[str, str]
    p: Floats
    passed: Flags
    reason: str = ""

    def at(self, table: int, is_good: bool) -> Check:
        """The check of one table."""
        finding = self.reason or f"one-sided p = {self.p[table]:.3g}"
        claim = self.claims[int(is_good)]
        return Check(self.name, claim, bool(self.passed[table]), finding)


@dataclass(frozen=True, eq=False)
class Judgements:
    """Verdicts of many tables of one design.

    Attributes:
        verdicts: ``(tables,)``.
        checks: What was checked, for the side that each headline is on.
        headline: The end-of-stage contrast.
        readings: The other contrasts by name.
        worst_without_stage: The leave-one-stage-out contrast with the largest p-value.
        stages: The contrast of each stage alone.
        disagreement: Cochran's Q of the stages, ``(tables,)``, its degrees of freedom,
            and its p-value, ``(tables,)``; ``None`` for one stage.
        is_good: Whether the headline is on the good side, ``(tables,)``.
        level: Two-sided level of the verdict.
        smallest: The smallest effect of interest, if one is known.
        constant: Where the metric is the same in every row, ``(tables,)``.
        blocked: Why there can be no verdict at all, or ``""``.
    """

    verdicts: npt.NDArray[np.str_]
    checks: tuple[Checks, ...]
    headline: Readings
    readings: dict[str, Readings]
    worst_without_stage: Readings
    stages: dict[int, Readings]
    disagreement: tuple[Floats, int, Floats] | None
    is_good: Flags
    level: float
    smallest: float | None
    constant: Flags
    blocked: str

    def share(self, verdict: Verdict) -> float:
        """Share of the tables with that verdict."""
        return float((self.verdicts == verdict).mean())

    def checks_at(self, table: int) -> tuple[Check, ...]:
        """The checks of one table."""
        return tuple(c.at(table, bool(self.is_good[table])) for c in self.checks)

    def reasons_at(self, table: int) -> tuple[str, ...]:
        """Why the verdict of one table is what it is, in sentences."""
        if self.blocked:
            return (self.blocked,)
        if self.constant[table]:
            return ("the metric is the same in every trial",)
        effect = self.headline.effect(table)
        verdict = str(self.verdicts[table])
        interval = f"{1 - self.level:.0%} interval of end of stage"
        if verdict == "negligible":
            half = self.headline.half_width(1 - 2 * self.level)[table]
            assert effect.effect is not None
            low, high = effect.effect - half, effect.effect + half
            return (
                f"the {1 - 2 * self.level:.0%} interval of end of stage, {low:+.3g} to "
                f"{high:+.3g}, lies inside the smallest effect of interest, "
                f"{self.smallest:.3g}",
            )
        assert effect.p is not None
        if effect.p >= self.level:
            return (f"the {interval} holds zero",)
        checks = self.checks_at(table)
        failed = [check for check in checks if not check.passed]
        if verdict == "inconclusive":
            return (
                f"the {interval} lies on one side of zero, but",
                *(f"not shown: {check.claim} ({check.finding})" for check in failed),
            )
        side = "good" if verdict == "supported" else "bad"
        return (
            f"the whole {interval} lies on the {side} side",
            *(f"shown: {check.claim} ({check.finding})" for check in checks),
        )


@dataclass(frozen=True, eq=False)
class TableReadings:
    """Every contrast of the verdict, read from many tables of one design.

    Attributes:
        headline: The end-of-stage contrast.
        named: Contrasts of the checks by name.
        stages: The end-of-stage contrast of each stage alone.
        without: The same with one stage left out, by that stage.
        first_without: Last over first with one stage left out, where several stages
            have a first slot without a stride.
        middle_without: Last over middle with one stage left out, where several stages
            have a middle slot.
        off_line: The ways in which stages lie off a line over depth.
        trends: The slope over depth and what adjacent MSAs do, within a stage and
            across a border.
        beside: Every comparison of places of the verdict beside these.
        constant: Where the metric is the same in every row, ``(tables,)``.
    """

    headline: Readings
    named: dict[str, Readings]
    stages: dict[int, Readings]
    without: dict[int, Readings]
    first_without: dict[int, Readings]
    middle_without: dict[int, Readings]
    off_line: tuple[Readings, ...]
    trends: tuple[Readings, ...]
    beside: tuple[Readings, ...]
    constant: Flags

    def shifted(self, slot_effects: Floats) -> "TableReadings":
        """The same noise on top of slot effects, ``(slots,)``."""

        def moved(found: Mapping[Key, Readings]) -> dict[Key, Readings]:
            return {key: one.shifted(slot_effects) for key, one in found.items()}

        return TableReadings(
            self.headline.shifted(slot_effects),
            moved(self.named),
            moved(self.stages),
            moved(self.without),
            moved(self.first_without),
            moved(self.middle_without),
            tuple(one.shifted(slot_effects) for one in self.off_line),
            tuple(one.shifted(slot_effects) for one in self.trends),
            tuple(one.shifted(slot_effects) for one in self.beside),
            self.constant,
        )


class VerdictDesign:
    """The verdict of one design, ready for any number of responses.

    Args:
        bits: ``(rows, slots)``, 1 where the slot has the compared kind of block.
        layout: The slots.
        weights: Precision of each row up to a factor; default equal.
        others: Indicators of further kinds of blocks, ``(rows, columns)``: what they
            do in each slot is held fixed.
        clusterings: See :class:`~nas.rule.slot_design.SlotDesign`.
    """

    def __init__(
        self,
        bits: Floats,
        layout: SlotLayout,
        weights: Floats | None = None,
        others: Floats | None = None,
        clusterings: Sequence[Labels] = (),
    ) -> None:
        self.layout = layout

        def design(controls: Floats | None) -> SlotDesign:
            found = [part for part in (others, controls) if part is not None]
            joined = np.concatenate(found, axis=1) if found else None
            return SlotDesign(bits, weights, joined, clusterings)

        self.plain = design(None)
        self.joint = design(joint_rivals(bits, layout))
        self.counted = design(count_squares(bits, layout))
        self.headline = contrasts.end_of_stage(self.plain, layout)
        self._line = contrasts.beyond_depth(self.joint, layout, stage_levels=False)
        self._levels = contrasts.beyond_depth(self.joint, layout, stage_levels=True)
        self._off_line = contrasts.stage_levels_off_line(self.joint, layout)

    def _each_left_out(self, find: FindOver) -> dict[int, Contrast]:
        """A contrast with each of its stages left out, if it has several."""
        stages = find(self.plain, self.layout, None).stages
        if len(stages) < 2:
            return {}
        return {
            stage: find(
                self.plain, self.layout, [other for other in stages if other != stage]
            )
            for stage in stages
        }

    def _beside_trends(self) -> list[Contrast]:
        """Every comparison of places less what a line over depth does to it."""
        slopes = contrasts.slopes_over_depth(self.joint, self.layout)
        depth = np.arange(self.layout.num_slots)
        found = []
        for find in PLACES:
            each = self._each_left_out(find) or {0: find(self.plain, self.layout, None)}
            found += [
                Contrast(one.weights - (one.weights @ depth) * slope, one.stages)
                for one in each.values()
                for slope in slopes or [np.zeros(self.layout.num_slots)]
                if one.weights is not None
            ]
        return found

    def _trends(self) -> list[Contrast]:
        """The slope over depth, and the two regressors of neighbours."""
        slopes = contrasts.slopes_over_depth(self.joint, self.layout)
        num = self.joint.design.shape[1] - 1
        # the last two regressors, see joint_rivals
        pairs = [np.eye(num)[index] for index in (num - 2, num - 1)]
        return [Contrast(weights) for weights in (*slopes, *pairs)]

    @property
    def _levels_are_dear(self) -> bool:
        """Whether levels for the stages leave the step to hang on a single slot."""
        spread = []
        for contrast in (self._levels, self._line):
            if contrast.weights is None:
                return False
            loads = self.joint.loads(contrast.weights)
            if loads is None:
                return False
            spread.append(float(np.linalg.norm(loads.rows)))
        return spread[0] > LEVEL_PRICE * spread[1]

    def read(self, responses: Floats) -> "TableReadings":
        """Read every contrast from every table.

        Args:
            responses: Metric of each row, ``(rows, tables)``.

        Returns:
            What :meth:`decide` needs.
        """
        layout = self.layout
        plain = FittedDesign(self.plain, responses)
        joint = FittedDesign(self.joint, responses)
        counted = FittedDesign(self.counted, responses)

        def of_plain(find: Callable[[SlotDesign, SlotLayout], Contrast]) -> Readings:
            return plain.read(find(self.plain, layout))

        return TableReadings(
            headline=plain.read(self.headline),
            named={
                "ends": of_plain(contrasts.ends),
                "last_over_first": of_plain(contrasts.last_over_first),
                "last_over_middle": of_plain(contrasts.last_over_middle),
                "last_over_strided": of_plain(contrasts.last_over_strided),
                "same_count": counted.read(
                    contrasts.end_of_stage(self.counted, layout)
                ),
                "beyond_rivals": joint.read(self._line),
                "beyond_rivals_and_stage_levels": joint.read(self._levels),
            },
            stages={
                stage: plain.read(contrasts.end_of_stage(self.plain, layout, [stage]))
                for stage in self.headline.stages
            },
            without={
                stage: plain.read(one)
                for stage, one in self._each_left_out(contrasts.end_of_stage).items()
            },
            first_without={
                stage: plain.read(one)
                for stage, one in self._each_left_out(contrasts.last_over_first).items()
            },
            middle_without={
                stage: plain.read(one)
                for stage, one in self._each_left_out(
                    contrasts.last_over_middle
                ).items()
            },
            off_line=tuple(joint.read(Contrast(one)) for one in self._off_line),
            trends=tuple(joint.read(one) for one in self._trends()),
            beside=tuple(joint.read(one) for one in self._beside_trends()),
            constant=np.ptp(responses, axis=0)
            <= 1e-12 * np.abs(responses).max(axis=0, initial=0.0),
        )

    def judge(
        self,
        responses: Floats,
        sign: int = 1,
        level: float = 0.05,
        smallest: float | None = None,
    ) -> Judgements:
        """Judge every table.

        Args:
            responses: Metric of each row, ``(rows, tables)``.
            sign: 1 if more is better, -1 if less is, 0 if neither.
            level: Two-sided level of the interval, and one-sided one of each rival.
            smallest: Smallest effect of interest in the metric's unit.

        Returns:
            The verdicts and what they rest on.
        """
        return self.decide(self.read(responses), sign, level, smallest)

    def decide(
        self,
        read: "TableReadings",
        sign: int = 1,
        level: float = 0.05,
        smallest: float | None = None,
    ) -> Judgements:
        """The verdicts of tables that were read; arguments as of :meth:`judge`."""
        headline = read.headline
        side = np.where(headline.effects >= 0, 1.0, -1.0)
        worst = self._worst_without_stage(read, side)
        is_good = side == sign
        checks = self._checks(read, worst, side, is_good, level)
        blocked = self._blocked(headline, sign)
        shown = headline.one_sided(side) < level / 2
        for check in checks:
            shown &= check.passed
        verdicts = np.where(
            shown, np.where(is_good, "supported", "contradicted"), "inconclusive"
        )
        disagreement = _disagreement(list(read.stages.values()))
        if smallest is not None and not headline.reason:
            # two one-sided tests: the interval of twice the level
            reach = np.abs(headline.effects) + headline.half_width(1 - 2 * level)
            negligible = reach <= smallest
            if disagreement is not None:
                beyond = [
                    np.abs(one.effects) - one.half_width(1 - level) > smallest
                    for one in read.stages.values()
                ]
                differ = disagreement[2] < level
                negligible &= ~(differ & np.any(beyond, axis=0))
            verdicts = np.where(negligible, "negligible", verdicts)
        verdicts = np.where(read.constant | bool(blocked), "inconclusive", verdicts)
        return Judgements(
            verdicts, tuple(checks), headline, read.named, worst, read.stages,
            disagreement, is_good, level, smallest, read.constant, blocked,
        )  # fmt: skip

    def _worst_without_stage(self, read: "TableReadings", side: Floats) -> Readings:
        """The leave-one-stage-out contrast with the largest one-sided p-value.

        The partial conjunction of Benjamini & Heller (2008, Biometrics 64:1215) for
        two stages or more: if only one stage has the effect, leaving out that one
        leaves none.
        """
        num = len(side)
        if not self.headline.stages:
            return Readings.none(num, self.headline.reason)
        if len(self.headline.stages) == 1:
            return Readings.none(
                num,
                f"only stage {self.headline.stages[0]} has two blocks to compare that "
                "are not strided",
            )
        return _worst(read.without, side, self.headline.stages)

    def _need_levels(self, read: "TableReadings") -> Flags:
        """Where the step must also stand beside a level for each stage."""
        num_tables = len(read.constant)
        if self._levels.weights is None:
            return np.zeros(num_tables, dtype=bool)
        if not self._levels_are_dear or len(self.layout.stages) < 3:
            # of two stages levels are nearly a line: the data hardly show them
            return np.ones(num_tables, dtype=bool)
        return _shown(read.off_line, num_tables, ALARM / max(len(read.off_line), 1))

    def _checks(
        self,
        read: "TableReadings",
        worst: Readings,
        side: Floats,
        is_good: Flags,
        level: float,
    ) -> list[Checks]:
        checks = []
        readings = read.named
        need_levels = self._need_levels(read)

        def ask(name: str, found: Readings, bad: str, good: str) -> None:
            p = found.one_sided(side)
            checks.append(Checks(name, (bad, good), p, p < level, found.reason))

        ask(
            "every_stage_left_out", worst,
            "worse at the end on average over the stages whichever one is left out",
            "better at the end on average over the stages whichever one is left out",
        )  # fmt: skip
        if len(read.stages) > 1:
            against = np.stack([one.one_sided(-side) for one in read.stages.values()])
            p = np.minimum(1.0, against.min(axis=0) * len(read.stages))
            checks.append(
                Checks(
                    "no_stage_against",
                    (
                        "in no stage is the last slot better than the others",
                        "in no stage is the last slot worse than the others",
                    ),
                    p,
                    p >= level,
                )
            )
        if self._has_first:
            first = readings["last_over_first"]
            if read.first_without:
                # Ends that beat the firsts of one stage alone would carry the mean.
                first = _worst(read.first_without, side, first.stages)
            several = ", whichever stage is left out" if read.first_without else ""
            ask(
                "last_over_first", first,
                f"the last slot is worse than the first{several}",
                f"the last slot is better than the first{several}",
            )  # fmt: skip
        if self._has_middle:
            middle = readings["last_over_middle"]
            if read.middle_without:
                # A bad first slot and one good end would carry the other contrasts.
                middle = _worst(read.middle_without, side, middle.stages)
            several = ", whichever stage is left out" if read.middle_without else ""
            ask(
                "last_over_middle", middle,
                f"the last slot is worse than the middle ones{several}",
                f"the last slot is better than the middle ones{several}",
            )  # fmt: skip
        ask(
            "same_count", readings["same_count"],
            "position is told apart from the number of MSAs in the stage",
            "position is told apart from the number of MSAs in the stage",
        )  # fmt: skip
        rivals = (
            "a line over depth, strided first blocks, the MSA count and its square "
            "and adjacent MSAs together"
        )
        ask(
            "beyond_rivals", readings["beyond_rivals"],
            f"worse than {rivals} explain", f"more than {rivals}",
        )  # fmt: skip
        levels = readings["beyond_rivals_and_stage_levels"]
        if bool(need_levels.any()):
            p = np.where(need_levels, levels.one_sided(side), 0.0)
            checks.append(
                Checks(
                    "beyond_rivals_and_stage_levels",
                    (
                        "the same with a level for each stage",
                        "the same with a level for each stage",
                    ),
                    p,
                    p < level,
                    levels.reason,
                )
            )
        need_beside = _shown(read.trends, len(side), ALARM)
        if read.beside and bool(need_beside.any()):
            worst_beside = _worst(dict(enumerate(read.beside)), side, ())
            p = np.where(need_beside, worst_beside.one_sided(side), 0.0)
            claims = tuple(
                f"{way} than the other, first and middle slots also beside the line "
                "over depth, the MSA count and adjacent MSAs that the data show, "
                "whichever stage is left out"
                for way in ("worse", "better")
            )
            checks.append(
                Checks(
                    "each_comparison_beyond_rivals", (claims[0], claims[1]), p,
                    p < level, worst_beside.reason,
                )
            )  # fmt: skip
        strided = readings["last_over_strided"]
        if not strided.reason:
            p = strided.one_sided(-side)
            checks.append(
                Checks(
                    "strided_not_beyond_last",
                    (
                        "strided first slots are not even worse places",
                        "strided first slots are not even better places",
                    ),
                    p,
                    p >= level / 2,
                )
            )
        ends = readings["ends"]
        if not ends.reason:
            p = ends.one_sided(-side)
            checks.append(
                Checks(
                    "ends_do_not_hurt",
                    (
                        "whether an MSA at the ends helps does not matter here",
                        "an MSA at the ends does not hurt: it is not just the least "
                        "bad place",
                    ),
                    p,
                    (p >= level) | ~is_good,
                )
            )
        return checks

    @property
    def _has_first(self) -> bool:
        return any(map(self.layout.plain_first, self.layout.stages))

    @property
    def _has_middle(self) -> bool:
        return any(map(self.layout.middle, self.layout.stages))

    def _blocked(self, headline: Readings, sign: int) -> str:
        """Why there can be no verdict at all, or ``""``."""
        if headline.reason:
            return f"end of stage cannot be estimated: {headline.reason}"
        if self.plain.residual_df < MIN_RESIDUAL_DF:
            needed = self.plain.rank + MIN_RESIDUAL_DF
            return (
                f"too few placements: {len(self.plain.design)} for {self.plain.rank} "
                f"unknowns; a verdict needs {needed}"
            )
        if sign == 0:
            return "neither side of the metric is the better one"
        return ""


def _shown(found: Sequence[Readings], num_tables: int, alarm: float) -> Flags:
    """Where one of several effects cannot be taken for zero, two-sided."""
    shown = np.zeros(num_tables, dtype=bool)
    for one in found:
        shown |= bool(one.reason) | (2 * one.one_sided(np.sign(one.effects)) < alarm)
    return shown


def _worst(
    found: Mapping[int, Readings], side: Floats, stages: tuple[int, ...]
) -> Readings:
    """Of contrasts that leave out a stage each, the one with the largest p-value."""
    each = list(found.values())
    missing = [one for one in each if one.reason]
    if missing:
        return missing[0]
    p = np.stack([one.one_sided(side) for one in each])
    # among equal p-values (exact data) the smallest effect
    sizes = np.stack([side * one.effects for one in each])
    pick = np.lexsort((-sizes, p), axis=0)[-1]
    every = np.arange(len(side))
    return Readings(
        np.stack([one.effects for one in each])[pick, every],
        np.stack([one.errors for one in each])[pick, every],
        np.stack([one.df for one in each])[pick, every],
        stages,
    )


def _disagreement(stages: list[Readings]) -> tuple[Floats, int, Floats] | None:
    """Cochran's Q: whether the stages have one common contrast."""
    found = [one for one in stages if not one.reason]
    if len(found) < 2:
        return None
    effects = np.stack([one.effects for one in found])
    errors = np.stack([one.errors for one in found])
    exact = (errors == 0).any(axis=0)
    weights = 1 / np.where(errors == 0, 1.0, errors) ** 2
    centre = (weights * effects).sum(axis=0) / weights.sum(axis=0)
    q = (weights * (effects - centre) ** 2).sum(axis=0)
    df = len(found) - 1
    p = np.where(
        exact,
        np.where(np.ptp(effects, axis=0) > 0, 0.0, 1.0),
        special.chdtrc(df, q),
    )
    return q, df, p
