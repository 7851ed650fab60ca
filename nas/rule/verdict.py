"""The verdict: which rivals a table must rule out, and what is said of it then.

One implementation for one table and for thousands of tables of one design, so that the
power that is printed is the power of the verdict that is read.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas.rule import contrasts
from nas.rule.check import Check, Checks
from nas.rule.contrasts import Contrast
from nas.rule.judgements import Judgements, Verdict
from nas.rule.letters import indicators
from nas.rule.readings import FittedDesign, Readings
from nas.rule.rival_checks import ALARM, VETO, rival_checks
from nas.rule.rivals import (
    adjacent_pairs,
    count_squares,
    other_pairs,
    stage_pairs,
    total_squares,
)
from nas.rule.slot_design import Labels, SlotDesign
from nas.rule.slot_layout import SlotLayout
from nas.rule.table_readings import TableReadings, disagreement, shown

__all__ = ["Check", "Checks", "Judgements", "Verdict", "VerdictDesign"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
FindOver = Callable[[SlotDesign, SlotLayout, Iterable[int] | None], Contrast]
Read = Callable[[Contrast], Readings]

MIN_RESIDUAL_DF = 5
"""Fewer spare placements than this give no verdict (our choice: at 5 degrees of
freedom an interval is already 1.3 times as wide as with many)."""

HIDING = 0.4
"""A line over depth of one standard error that moves a comparison by more than this
many of *its* standard errors can hide: it makes the comparison significant before it is
seen itself (docs/rule.md: false verdicts of 7 to 16% where it is 0.4 to 0.7, at most
6.5% with the line taken away)."""

PLACES: tuple[FindOver, ...] = (
    contrasts.end_of_stage,
    contrasts.last_over_first,
    contrasts.last_over_middle,
)
"""The comparisons of places that a verdict asks for."""


class VerdictDesign:
    """The verdict of one design, ready for any number of responses.

    Args:
        bits: ``(rows, slots)``, 1 where the slot has the compared kind of block.
        layout: The slots.
        weights: Precision of each row up to a factor; default equal.
        other_bits: The same as ``bits`` for each further kind of block: what they do
            in each slot, and next to the compared kind, is held fixed.
        clusterings: See :class:`~nas.rule.slot_design.SlotDesign`.
    """

    def __init__(
        self,
        bits: Floats,
        layout: SlotLayout,
        weights: Floats | None = None,
        other_bits: Sequence[Floats] = (),
        clusterings: Sequence[Labels] = (),
    ) -> None:
        self.layout = layout
        others = indicators(other_bits)
        # a placement in several clusters is several rows
        self._num_placements = len(
            np.unique(np.concatenate([bits, *other_bits], axis=1), axis=0)
        )

        def design(*controls: Floats) -> SlotDesign:
            found = controls if others is None else (others, *controls)
            joined = np.concatenate(found, axis=1) if found else None
            return SlotDesign(bits, weights, joined, clusterings)

        pairs = adjacent_pairs(bits, layout, other_bits)
        self._num_pairs = pairs.shape[1]
        self.plain = design()
        controls = [total_squares(bits, other_bits), pairs]
        if other_bits:
            controls.insert(0, other_pairs(layout, other_bits))
        self.joint = design(*controls)
        by_stage = stage_pairs(bits, layout)
        self._num_apart = by_stage.shape[1]
        self.apart = design(*controls, by_stage)
        self.counted = design(count_squares(bits, layout, other_bits))
        self.headline = contrasts.end_of_stage(self.plain, layout)

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

    @cached_property
    def _slopes(self) -> list[Floats]:
        """Slot weights of the slope of a line over depth."""
        return contrasts.slopes_over_depth(self.joint, self.layout)

    def _beside_trends(
        self, plain: FittedDesign, joint: Read
    ) -> list[tuple[Readings, Flags]]:
        """Every comparison of places less what a line over depth does to it.

        Returns:
            Each with the tables in which a line can hide in it, ``(tables,)``.
        """
        depth = np.arange(self.layout.num_slots)
        found = []
        for find in PLACES:
            left_out = self._each_left_out(find)
            for one in left_out.values() or [find(self.plain, self.layout, None)]:
                if one.weights is None:
                    continue
                own, steps = plain.read(one), float(one.weights @ depth)
                for slope in self._slopes or [np.zeros(self.layout.num_slots)]:
                    line = steps * slope
                    less = joint(Contrast(one.weights - line, one.stages))
                    hides = np.zeros(len(less.effects), dtype=bool)
                    # of several stages the worst counts, which is strict enough
                    if line.any() and not left_out:
                        errors = joint(Contrast(line)).errors
                        hides = errors > HIDING * own.errors
                    found.append((less, hides))
        return found

    def read(self, responses: Floats) -> TableReadings:
        """Read every contrast from every table.

        Args:
            responses: Metric of each row, ``(rows, tables)``.

        Returns:
            What :meth:`decide` needs.
        """
        layout = self.layout
        plain = FittedDesign(self.plain, responses)
        together = FittedDesign(self.joint, responses)
        apart = FittedDesign(self.apart, responses)
        counted = FittedDesign(self.counted, responses)

        unequal = [apart.read(one) for one in _last(self.apart, self._num_apart)]
        alarm = ALARM / max(len(unequal), 1)
        pairs_differ = shown(unequal, responses.shape[1], alarm)

        def joint(contrast: Contrast) -> Readings:
            found = together.read(contrast)
            return found.where(pairs_differ, apart.read(contrast))

        def of_plain(find: Callable[[SlotDesign, SlotLayout], Contrast]) -> Readings:
            return plain.read(find(self.plain, layout))

        def left_out(find: FindOver) -> dict[int, Readings]:
            found = self._each_left_out(find)
            return {stage: plain.read(one) for stage, one in found.items()}

        def step(stage_levels: bool) -> Readings:
            return joint(contrasts.beyond_depth(self.joint, layout, stage_levels))

        beside = self._beside_trends(plain, joint)
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
                "beyond_rivals": step(stage_levels=False),
                "beyond_rivals_and_stage_levels": step(stage_levels=True),
            },
            stages={
                stage: plain.read(contrasts.end_of_stage(self.plain, layout, [stage]))
                for stage in self.headline.stages
            },
            without=left_out(contrasts.end_of_stage),
            first_without=left_out(contrasts.last_over_first),
            middle_without=left_out(contrasts.last_over_middle),
            off_line=tuple(
                joint(Contrast(one))
                for one in contrasts.stage_levels_off_line(self.joint, layout)
            ),
            slopes=tuple(joint(Contrast(one)) for one in self._slopes),
            pairs=tuple(
                together.read(one) for one in _last(self.joint, self._num_pairs)
            ),
            pairs_differ=pairs_differ,
            beside=tuple(one for one, _ in beside),
            hides=tuple(hides for _, hides in beside),
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
        read: TableReadings,
        sign: int = 1,
        level: float = 0.05,
        smallest: float | None = None,
    ) -> Judgements:
        """The verdicts of tables that were read; arguments as of :meth:`judge`."""
        headline = read.headline
        side = np.where(headline.effects >= 0, 1.0, -1.0)
        is_good = side == sign
        worst = read.worst_without_stage(side)
        checks = rival_checks(self.layout, read, side, is_good, level)
        blocked = self._blocked(headline, sign)
        passed = headline.one_sided(side) < level / 2
        for check in checks:
            passed &= check.passed
        verdicts = np.where(
            passed, np.where(is_good, "supported", "contradicted"), "inconclusive"
        )
        differ = disagreement(list(read.stages.values()))
        if smallest is not None and not headline.reason:
            # two one-sided tests: the interval of twice the level
            reach = np.abs(headline.effects) + headline.half_width(1 - 2 * level)
            negligible = reach <= smallest
            if differ is not None:
                # effects of both signs that cancel are no small effect
                beyond = [
                    np.abs(one.effects) > smallest for one in read.stages.values()
                ]
                negligible &= ~((differ[2] < VETO) & np.any(beyond, axis=0))
            verdicts = np.where(negligible, "negligible", verdicts)
        verdicts = np.where(read.constant | bool(blocked), "inconclusive", verdicts)
        return Judgements(
            verdicts, tuple(checks), headline, read.named, worst, read.stages,
            differ, is_good, level, smallest, read.constant, blocked,
        )  # fmt: skip

    def _blocked(self, headline: Readings, sign: int) -> str:
        """Why there can be no verdict at all, or ``""``."""
        if headline.reason:
            return f"end of stage cannot be estimated: {headline.reason}"
        needed = self.plain.rank + MIN_RESIDUAL_DF
        if self._num_placements < needed:
            return (
                f"too few placements: {self._num_placements} for {self.plain.rank} "
                f"unknowns; a verdict needs {needed}"
            )
        if sign == 0:
            return "neither side of the metric is the better one"
        return ""


def _last(design: SlotDesign, number: int) -> list[Contrast]:
    """The coefficients of the last regressors of a design."""
    num = design.design.shape[1] - 1
    return [Contrast(weights) for weights in np.eye(num)[num - number :]]
