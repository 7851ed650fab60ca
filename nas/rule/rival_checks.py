"""What must be shown beside the interval: one check a rival explanation.

docs/rule.md lists the rivals and how often each is taken for the rule.
"""

import numpy as np
import numpy.typing as npt

from nas.rule.check import Checks
from nas.rule.contrasts import NO_TREND
from nas.rule.readings import Readings
from nas.rule.slot_layout import SlotLayout
from nas.rule.table_readings import TableReadings, shown, worst

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ALARM = 0.10
"""Two-sided level of "the data show levels", "... a slope", "... neighbours that
matter": deliberately easy to trip (our choice)."""

VETO = 0.05
"""Level at which what speaks against a verdict is seen. It does not follow that of the
verdict: a search that looked at results asks for 99%, which must not make vetoes rarer
(docs/rule.md: false verdicts of up to 25% where they did)."""

LEFT_OUT = ", whichever stage is left out"


def rival_checks(
    layout: SlotLayout,
    read: TableReadings,
    side: Floats,
    is_good: Flags,
    level: float,
) -> list[Checks]:
    """Check every rival on every table.

    Args:
        layout: The slots.
        read: The contrasts of the tables.
        side: Side of zero of each end-of-stage effect, 1 or -1, ``(tables,)``.
        is_good: Whether that is the good side, ``(tables,)``.
        level: One-sided level of each check.

    Returns:
        The checks that this design needs.
    """
    found = [
        *_places(layout, read, side, level),
        *_beside_rivals(layout, read, side, level),
        *_other_places(layout, read, side, is_good, level),
    ]
    return [check for check in found if check is not None]


def _asked(
    name: str, found: Readings, claims: tuple[str, str], side: Floats, level: float
) -> Checks:
    p = found.one_sided(side)
    return Checks(name, claims, p, p < level, found.reason)


def _both(claim: str) -> tuple[str, str]:
    """A claim about ``worse`` and ``better``, from one with ``{}``."""
    return claim.format("worse"), claim.format("better")


def _places(
    layout: SlotLayout, read: TableReadings, side: Floats, level: float
) -> list[Checks | None]:
    """The last slot against the other places, whichever stage is left out."""
    first, middle = read.named["last_over_first"], read.named["last_over_middle"]
    if read.first_without:
        # Ends that beat the firsts of one stage alone would carry the mean.
        first = worst(read.first_without, side, first.stages)
    if read.middle_without:
        # A bad first slot and one good end would carry the other contrasts.
        middle = worst(read.middle_without, side, middle.stages)
    average = "{} at the end on average over the stages whichever one is left out"
    than_first = "the last slot is {} than the first"
    than_middle = "the last slot is {} than the middle ones"
    return [
        _asked(
            "every_stage_left_out", read.worst_without_stage(side), _both(average),
            side, level,
        ),
        _no_stage_against(read, side),
        _asked(
            "last_over_first", first,
            _both(than_first + LEFT_OUT * bool(read.first_without)), side, level,
        )
        # strided first slots that were never varied are no rivals
        if layout.first_unstrided or not first.reason
        else None,
        _asked(
            "last_over_middle", middle,
            _both(than_middle + LEFT_OUT * bool(read.middle_without)), side, level,
        )
        if layout.has_middle
        else None,
    ]  # fmt: skip


def _no_stage_against(read: TableReadings, side: Floats) -> Checks | None:
    if len(read.stages) < 2:
        return None
    against = np.stack([one.one_sided(-side) for one in read.stages.values()])
    p = np.minimum(1.0, against.min(axis=0) * len(read.stages))
    claims = (
        "in no stage is the last slot better than the others",
        "in no stage is the last slot worse than the others",
    )
    return Checks("no_stage_against", claims, p, p >= VETO, p_of_opposite=True)


def _beside_rivals(
    layout: SlotLayout, read: TableReadings, side: Floats, level: float
) -> list[Checks | None]:
    """The last slots in regressions that hold the rivals."""
    rivals = (
        "a line over depth, strided first blocks, the MSA count and its square "
        "and adjacent MSAs together"
    )
    count = "position is told apart from the number of MSAs in the stage"
    return [
        _asked("same_count", read.named["same_count"], (count, count), side, level),
        _asked(
            "beyond_rivals",
            read.named["beyond_rivals"],
            (f"worse than {rivals} explain", f"more than {rivals}"),
            side,
            level,
        ),
        _beside_levels(layout, read, side, level),
        _each_comparison(read, side, level),
    ]


def _beside_levels(
    layout: SlotLayout, read: TableReadings, side: Floats, level: float
) -> Checks | None:
    """The step beside a level for each stage, where the data show levels."""
    levels = read.named["beyond_rivals_and_stage_levels"]
    if levels.reason == NO_TREND:
        return None
    if len(layout.stages) < 3:
        # of two stages levels are nearly a line: the data hardly show them
        needed = np.ones(len(side), dtype=bool)
    else:
        alarm = ALARM / max(len(read.off_line), 1)
        needed = shown(read.off_line, len(side), alarm)
    if not needed.any():
        return None
    p = np.where(needed, levels.one_sided(side), 0.0)
    claim = "the same with a level for each stage"
    return Checks(
        "beyond_rivals_and_stage_levels", (claim, claim), p, p < level, levels.reason
    )


def _each_comparison(read: TableReadings, side: Floats, level: float) -> Checks | None:
    """Every comparison beside the line and the neighbours that the data show.

    Where a line can hide that the table cannot see, it is taken away in any case.
    """
    needed = shown(read.slopes, len(side), ALARM) | read.pairs_differ
    # 10% for each of the two of MSAs alone; with further kinds no more in all
    alarm = ALARM * 2 / max(len(read.pairs), 2)
    needed |= shown(read.pairs, len(side), alarm)
    p, reason = np.zeros(len(side)), ""
    for one, hides in zip(read.beside, read.hides, strict=True):
        where = needed | hides
        p = np.where(where, np.maximum(p, one.one_sided(side)), p)
        reason = reason or one.reason * bool(where.any())
    if not (needed.any() or np.any(read.hides)):
        return None
    claim = (
        "{} than the other, first and middle slots also beside the line over depth, "
        "the MSA count and adjacent MSAs that the data show" + LEFT_OUT
    )
    name = "each_comparison_beyond_rivals"
    return Checks(name, _both(claim), p, p < level, reason)


def _other_places(
    layout: SlotLayout,
    read: TableReadings,
    side: Floats,
    is_good: Flags,
    level: float,
) -> list[Checks | None]:
    """Strided slots, and a Conv block at the ends."""
    strided, ends = read.named["last_over_strided"], read.named["ends"]
    found: list[Checks | None] = []
    if not strided.reason:
        p = strided.one_sided(-side)
        claims = (
            "strided first slots are not even worse places",
            "strided first slots are not even better places",
        )
        found.append(
            Checks(
                "strided_not_beyond_last",
                claims,
                p,
                p >= VETO / 2,
                p_of_opposite=True,
            )
        )
    if ends.reason and layout.has_middle:
        return found
    nothing = "whether an MSA at the ends helps does not matter here"
    if layout.has_middle:
        p = ends.one_sided(-side)
        claim = "an MSA at the ends does not hurt: it is not just the least bad place"
        name, passed = "ends_do_not_hurt", p >= VETO
    else:
        p = ends.one_sided(side)
        claim = (
            "an MSA at the ends helps: no stage has a middle slot to tell good last "
            "slots from bad first ones"
        )
        name, passed = "ends_help_by_themselves", p < level
    found.append(
        Checks(
            name,
            (nothing, claim),
            p,
            passed | ~is_good,
            ends.reason,
            p_of_opposite=layout.has_middle,
        )
    )
    return found
