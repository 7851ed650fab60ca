"""Slot effects of trained placements, sharpened by scores of all placements.

A supernet scores every placement of a space, but its scores share its luck and are no
trainings. As a control variate they may still help: an effect on the score is known
twice, from the trained placements and from all, and the difference is the luck of the
draw of placements, which the trained metric shares as far as the score predicts it:

    effect + slope x (effect on the score over all - over the trained placements)

With the slope from the same regression this is the regression estimator of survey
sampling (Cochran, Sampling Techniques, 3rd ed. 1977, section 7.1): slots and score are
the regressors, and a slot's effect is its coefficient plus the slope times its effect
on the score over all placements. Given the score it is a linear combination of
coefficients, so it is unbiased whatever the score is and whatever its rows share, and
its interval is that of :mod:`nas.rule.slot_regression`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.prediction.given_scores import with_scores
from nas.prediction.trained import TrainedTable
from nas.rule import contrasts
from nas.rule.contrasts import Contrast
from nas.rule.declared_metric import Direction, known_direction
from nas.rule.effect import Effect, measured
from nas.rule.letters import checked_letter
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable
from nas.rule.slot_layout import SlotLayout
from nas.rule.slot_regression import SlotRegression
from nas.rule.unbiased_part import unbiased_part
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

Floats = npt.NDArray[np.float64]

MIN_MORE = 2
"""The score must be known of so many times the trained placements: with fewer the draw
of placements has little luck to take off (our choice)."""


@dataclass(frozen=True)
class ScoredEffect:
    """An effect twice.

    Attributes:
        name: What it is of, e.g. ``end_of_stage`` or ``slot 1.2``.
        alone: From the trained placements alone.
        scored: With the scores.
    """

    name: str
    alone: Effect
    scored: Effect

    @property
    def worth(self) -> float | None:
        """Times as many trainings that would give as short an interval without."""
        ends = (self.alone.standard_error, self.scored.standard_error)
        if ends[0] is None or not ends[1]:
            return None
        return (ends[0] / ends[1]) ** 2

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "alone": self.alone.to_dict(),
            "with_scores": self.scored.to_dict(),
            "worth": self.worth,
        }


@dataclass(frozen=True)
class ScoredEffects:
    """Effects of slots with the help of scores.

    Attributes:
        metric: The trained metric.
        direction: Which way it is better.
        letter: The letter compared with C.
        score: Name of the score.
        num_trials: Trainings.
        num_placements: Trained placements.
        num_scored: Placements with a score.
        slope: Of the metric on the score, slots held fixed.
        contrasts: ``end_of_stage``, ``ends`` and ``end_of_model``.
        slots: One effect a slot.
        notes: What was left out or assumed.
    """

    metric: str
    direction: Direction
    letter: str
    score: str
    num_trials: int
    num_placements: int
    num_scored: int
    slope: Effect
    contrasts: tuple[ScoredEffect, ...]
    slots: tuple[ScoredEffect, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "metric": self.metric,
            "direction": self.direction,
            "letter": self.letter,
            "score": self.score,
            "num_trials": self.num_trials,
            "num_placements": self.num_placements,
            "num_scored": self.num_scored,
            "slope": self.slope.to_dict(),
            "contrasts": [one.to_dict() for one in self.contrasts],
            "slots": [one.to_dict() for one in self.slots],
            "notes": list(self.notes),
        }


def scored_effects(
    source: PlacementTable | str | Path,
    scores: "str | Path | Study | pd.DataFrame",
    metric: str = "accuracy",
    direction: Direction | None = None,
    letter: str = "M",
) -> ScoredEffects:
    """Estimate the effects of slots from trainings and scores together.

    Args:
        source: A checked table, or a path to a study, CSV or Parquet file.
        scores: A study or table with scores of placements, trained or not, as
            :func:`nas.prediction.given_scores.with_scores` takes it; of several
            supernets the mean counts.
        metric: Column to test; a checked table has its own.
        direction: Which way is better; default as the metric is declared.
        letter: Letter to compare with C; a checked table has its own.

    Returns:
        The effects without and with the scores.

    Raises:
        InputError: A table cannot be used, or the scores do not help here.
    """
    table = source
    if not isinstance(table, PlacementTable):
        table = PlacementTable.read(table, metric, checked_letter(letter))
    if table.clusters is not None:
        raise InputError(
            "scores are a control variate of trainings that share nothing; rows of "
            "this table share luck (a column cluster, supernet or parent, or swaps)"
        )
    table, _ = unbiased_part(table)
    name, known = _scores_of(table, scores)
    trained = list(dict.fromkeys(map(str, table.placements)))
    if len(known) < MIN_MORE * len(trained):
        raise InputError(
            f"scores of at least {MIN_MORE} times the trained placements are needed to "
            f"say what the draw of these did: {len(trained)} are trained, "
            f"{len(known)} have a score"
        )
    means = PlacementMeans.of(table)
    score = (known - known.mean()) / (known.std(ddof=0) or 1.0)
    values = score.reindex(trained).to_numpy(dtype=float)
    plain = means.regression()
    helped = SlotRegression(
        np.column_stack([means.bits, values]),
        means.means,
        means.weights,
        means.others,
    )
    whole = _over_all(score, table)
    layout = table.layout
    wanted = {
        "end_of_stage": contrasts.end_of_stage(plain, layout),
        "ends": contrasts.ends(plain, layout),
        "end_of_model": contrasts.end_of_model(plain, layout),
    }
    slots = [
        (f"slot {stage}.{block}", Contrast(layout.unit(index)))
        for index, (stage, block) in enumerate(layout.slots)
    ]
    return ScoredEffects(
        metric=table.metric,
        direction=known_direction(table.metric, direction),
        letter=table.letter,
        score=name,
        num_trials=len(table.values),
        num_placements=means.num_placements,
        num_scored=len(known),
        slope=_slope(helped, layout),
        contrasts=_effects(wanted.items(), plain, helped, whole),
        slots=_effects(slots, plain, helped, whole),
        notes=(
            *table.notes,
            "the effects are those over the placements with a score, every one counted "
            "alike",
        ),
    )


def _scores_of(
    table: PlacementTable, scores: "str | Path | Study | pd.DataFrame"
) -> "tuple[str, pd.Series[float]]":
    """Name and values of the score by placement; every trained one has it."""
    names = list(map(str, table.placements))
    frame = pd.DataFrame({"placement": names, table.metric: table.values})
    joined, found = with_scores(
        TrainedTable.of_frame(frame, table.metric, table.source), scores
    )
    known = joined.known[found[0]].dropna()
    missing = [one for one in joined.placements if one not in known.index]
    if missing:
        raise InputError(
            f"every trained placement needs a score: {len(missing)} of "
            f"{len(joined.placements)} have none, e.g. {missing[0]}"
        )
    return found[0], known


def _over_all(score: "pd.Series[float]", table: PlacementTable) -> Floats:
    """The effect of each slot on the score over all placements, ``(slots,)``."""
    letters = np.array([list(str(one).replace("-", "")) for one in score.index])
    bits = (letters == table.letter).astype(float)
    others = [(letters == other).astype(float) for other in table.other_letters]
    design = np.column_stack([np.ones(len(bits)), bits, *others])
    found = np.linalg.lstsq(design, score.to_numpy(dtype=float), rcond=None)[0]
    return np.asarray(found[1 : 1 + bits.shape[1]])


def _effects(
    wanted: Iterable[tuple[str, Contrast]],
    plain: SlotRegression,
    helped: SlotRegression,
    whole: Floats,
) -> tuple[ScoredEffect, ...]:
    return tuple(
        ScoredEffect(name, measured(plain, one), _helped(helped, one, whole))
        for name, one in wanted
    )


def _helped(regression: SlotRegression, contrast: Contrast, whole: Floats) -> Effect:
    if contrast.weights is None:
        return Effect(reason=contrast.reason)
    weights = np.append(contrast.weights, contrast.weights @ whole)
    return Effect.of(regression.estimate(weights), contrast.stages)


def _slope(regression: SlotRegression, layout: SlotLayout) -> Effect:
    """The metric over one standard deviation of the score."""
    only = np.zeros(layout.num_slots + 1)
    only[-1] = 1.0
    if not regression.estimable(only):
        return Effect(reason="the score is a sum over slots: it knows nothing besides")
    return Effect.of(regression.estimate(only))
