"""Every contrast of the verdict, read from many tables of one design."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special

from nas.rule.readings import Readings

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Key = TypeVar("Key", str, int)


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
        slopes: The slope of a line over depth; two where it can be taken twice.
        pairs: What adjacent MSAs do, within a stage and across a border, and an MSA
            next to each further kind of block.
        pairs_differ: Where what adjacent MSAs do differs between stages, ``(tables,)``:
            there the regression of all rivals has their pairs by stage.
        beside: Every comparison of places of the verdict beside these.
        hides: For each of them the tables in which a line can hide that they cannot
            see, ``(tables,)``.
        constant: Where the metric is the same in every row, ``(tables,)``.
    """

    headline: Readings
    named: dict[str, Readings]
    stages: dict[int, Readings]
    without: dict[int, Readings]
    first_without: dict[int, Readings]
    middle_without: dict[int, Readings]
    off_line: tuple[Readings, ...]
    slopes: tuple[Readings, ...]
    pairs: tuple[Readings, ...]
    pairs_differ: Flags
    beside: tuple[Readings, ...]
    hides: tuple[Flags, ...]
    constant: Flags

    def worst_without_stage(self, side: Floats) -> Readings:
        """The leave-one-stage-out contrast with the largest one-sided p-value.

        The partial conjunction of Benjamini & Heller (2008, Biometrics 64:1215) for
        two stages or more: if only one stage has the effect, leaving out that one
        leaves none.

        Args:
            side: Side of zero on which an effect counts, 1 or -1, ``(tables,)``.
        """
        stages = tuple(self.stages)
        if not stages:
            return Readings.none(len(side), self.headline.reason)
        if len(stages) == 1:
            return Readings.none(
                len(side),
                f"only stage {stages[0]} has two blocks to compare that are not "
                "strided",
            )
        return worst(self.without, side, stages)

    def shifted(self, slot_effects: Floats) -> "TableReadings":
        """The same noise on top of slot effects, ``(slots,)``."""

        def moved(found: Mapping[Key, Readings]) -> dict[Key, Readings]:
            return {key: one.shifted(slot_effects) for key, one in found.items()}

        def each(found: tuple[Readings, ...]) -> tuple[Readings, ...]:
            return tuple(one.shifted(slot_effects) for one in found)

        return TableReadings(
            self.headline.shifted(slot_effects),
            moved(self.named),
            moved(self.stages),
            moved(self.without),
            moved(self.first_without),
            moved(self.middle_without),
            each(self.off_line),
            each(self.slopes),
            each(self.pairs),
            self.pairs_differ,
            each(self.beside),
            self.hides,
            self.constant,
        )


def shown(found: Sequence[Readings], num_tables: int, alarm: float) -> Flags:
    """Where one of several effects cannot be taken for zero, two-sided."""
    flags = np.zeros(num_tables, dtype=bool)
    for one in found:
        flags |= bool(one.reason) | (2 * one.one_sided(np.sign(one.effects)) < alarm)
    return flags


def worst(
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


def disagreement(stages: list[Readings]) -> tuple[Floats, int, Floats] | None:
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
