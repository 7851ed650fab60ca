"""Which placements are predicted: all of a space, or the best that can be found."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.prediction.best_of_space import (
    WIDENED,
    allowed_letters,
    best_placements,
    neighbours,
)
from nas.prediction.costs import complete_cost
from nas.prediction.exact_front import additive_part, exact_front, slot_sum
from nas.prediction.placement_model import PlacementModel
from nas.prediction.slot_space import Codes, SlotSpace
from nas.prediction.study_space import MAX_LISTED, StudySpace
from search_spaces.errors import InputError

Floats = npt.NDArray[np.float64]

COSTS = ("macs", "params", "latency")
"""Columns that are costs of the placement, known before it is trained."""

NUM_BEST = 1_000
"""Placements that are shown of a space too large to list."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Placements to predict.

    Attributes:
        space: Letters of each slot.
        size: Placements of the space.
        complete: Whether all of them (within the limits) are in the table.
        table: Columns ``placement`` and costs; trained placements are always there
            unless they break a limit.
        notes: What was left out, in sentences.
        front: Of a space too large to list, under limits: the placements of the exact
            front of the model's additive part.
        additive_share: Which share of the model's variance over the space that part
            has.
    """

    space: SlotSpace
    size: int
    complete: bool
    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    additive_share: float | None = None

    @classmethod
    def of(
        cls,
        model: PlacementModel,
        asked: SlotSpace | None,
        study: StudySpace | None,
        limits: Mapping[str, float],
        *,
        maximize: bool,
    ) -> "Candidates":
        """Choose placements.

        Args:
            model: The fitted model of letters alone.
            asked: The space that was asked for, if any.
            study: The space of the study, if it is one.
            limits: Upper bounds of costs.
            maximize: Whether more of the metric is better.

        Raises:
            InputError: A limit is of an unknown cost, or nothing keeps to the limits.
        """
        table = model.table
        space = asked or (study.space if study is not None else table.space)
        listed = study.listed if study is not None and asked is None else None
        size = len(listed) if listed is not None else space.size
        if study is not None and asked is None and listed is None:
            size = study.search_space.size
        costs = _Costs(model, study, limits)
        notes: list[str] = []
        complete = listed is not None or space.size <= MAX_LISTED
        front: list[str] = []
        share: float | None = None
        if listed is not None:
            names = list(listed)
        elif complete:
            names = [p for codes in space.enumerate() for p in space.decode(codes)]
        else:
            front, share = _exact_front(model, space, costs, limits, maximize)
            names = [*front, *_searched(model, space, front, maximize)]
            if study is not None and asked is None:
                allowed = dict(zip(names, study.allows(names), strict=True))
                names = [name for name in names if allowed[name]]
                if not all(allowed[name] for name in front):
                    notes.append(
                        f"{sum(not allowed[name] for name in front)} placements of the "
                        "exact front break constraints of the space and are left out, "
                        "without anything in their place"
                    )
                front = [name for name in front if allowed[name]]
            notes.append(
                f"the space holds {size} placements, too many to list; these are the "
                "best that local searches found, beside the trained ones (not proven "
                "to be the best)"
                + (
                    ", the exact front of the additive part and what is next to it"
                    if front
                    else ""
                )
            )
        names = list(dict.fromkeys([*names, *table.placements]))
        frame = pd.DataFrame({"placement": names})
        codes = model.features.space.encode(names)
        keep = np.ones(len(names), dtype=bool)
        for name in costs.names:
            values = costs.of(name, names, codes)
            frame[name] = values
            if name in limits:
                keep &= values <= limits[name]
        if not keep.any():
            said = ", ".join(f"{name}={value:g}" for name, value in limits.items())
            least = ", ".join(f"{name} {frame[name].min():g}" for name in limits)
            raise InputError(
                f"no placement keeps to the limits {said}; the least there is: {least}"
            )
        if not keep.all():
            notes.append(f"{int((~keep).sum())} placements break the limits")
        if not complete:
            sign = 1.0 if maximize else -1.0
            means = sign * model.features(codes) @ model.linear.mixture.mean[1:]
            worst = np.sort(means[keep])[-NUM_BEST:][0]
            keep &= (means >= worst) | frame["placement"].isin(
                [*table.placements, *front]
            )
        frame = frame[keep].reset_index(drop=True)
        within = set(frame["placement"])
        front = [name for name in front if name in within]
        return cls(space, size, complete, frame, tuple(notes), tuple(front), share)


class _Costs:
    """Costs of any placement: of the study's architectures, or from the table."""

    def __init__(
        self,
        model: PlacementModel,
        study: StudySpace | None,
        limits: Mapping[str, float],
    ) -> None:
        self._features = model.features
        self._known = model.table.known
        self._limits = limits
        self._study: dict[str, Floats] = {}
        self._codes: Codes = model.features.space.encode(list(self._known.index))
        if study is not None:
            self._codes = study.example()
            self._study = study.costs(study.space.decode(self._codes))
            self._codes = self._features.space.encode(study.space.decode(self._codes))
        self._study_space = study
        there = [n for n in COSTS if n in self._study or n in self._known.columns]
        for name in limits:
            if name not in there and name not in self._known.columns:
                found = ", ".join(dict.fromkeys([*there, *self._known.columns]))
                raise InputError(
                    f"limit of {name}: {model.table.source} has no cost {name!r}; "
                    f"there are {found or 'none'}"
                )
        self.names = list(dict.fromkeys([*there, *limits]))

    def of(self, name: str, placements: list[str], codes: Codes) -> Floats:
        """One cost of placements; NaN where it is unknown and not limited.

        Raises:
            InputError: It is limited, and unknown for some of them.
        """
        values: Floats | None
        if name in self._study:
            values = complete_cost(
                self._features, self._codes, self._study[name], codes
            )
            if values is None and self._study_space is not None:
                values = self._study_space.costs(placements)[name]
            return np.full(len(placements), np.nan) if values is None else values
        column = self._known[name]
        own: Floats = column.reindex(placements).to_numpy(dtype=float)
        if np.isfinite(own).all():
            return own
        table_codes = self._features.space.encode(list(self._known.index))
        values = complete_cost(
            self._features, table_codes, column.to_numpy(dtype=float), codes
        )
        if values is not None:
            return np.where(np.isfinite(own), own, values)
        if name in self._limits:
            raise InputError(
                f"limit of {name}: {int((~np.isfinite(own)).sum())} placements have no "
                f"{name!r} in the table, and it is not a sum over slots from which it "
                "follows; add rows with their placement and cost, without the metric"
            )
        return own


def _exact_front(
    model: PlacementModel,
    space: SlotSpace,
    costs: _Costs,
    limits: Mapping[str, float],
    maximize: bool,
) -> tuple[list[str], float | None]:
    """The front of the model's additive part and the limited costs, and its share."""
    if not limits:
        return [], None

    def values_of(name: str, codes: Codes) -> Floats:
        placements = space.decode(codes)
        return costs.of(name, placements, model.features.space.encode(placements))

    sums = [slot_sum(partial(values_of, name), space) for name in limits]
    for name, found in zip(limits, sums, strict=True):
        if found is None:
            raise InputError(
                f"limit of {name}: a space of {space.size} placements is searched slot "
                f"by slot, and {name} is not a sum over slots"
            )
    sign = 1.0 if maximize else -1.0
    weights = sign * model.linear.mixture.mean[1:]
    score, share = additive_part(model.features, weights, space)
    whole = [found for found in sums if found is not None]
    codes = exact_front(score, whole, list(limits.values()))
    return space.decode(codes), share


def _searched(
    model: PlacementModel, space: SlotSpace, front: list[str], maximize: bool
) -> list[str]:
    """The best placements of a large space, and those near an exact front."""
    whole = model.features.space
    sign = 1.0 if maximize else -1.0
    weights = sign * model.linear.mixture.mean[1:]
    fixed = _letters_only(whole, space)
    codes = best_placements(model.features, weights, NUM_BEST, within=fixed)
    near = [
        neighbours(code, allowed_letters(whole.letters, fixed))
        for code in whole.encode(front[:WIDENED])
    ]
    return list(dict.fromkeys(whole.decode(np.concatenate([codes, *near]))))


def _letters_only(whole: SlotSpace, part: SlotSpace) -> npt.NDArray[np.bool_]:
    """Which letter of which slot of the whole space belongs to the part."""
    flags = [
        letter in allowed
        for choices, allowed in zip(whole.letters, part.letters, strict=True)
        for letter in choices
    ]
    return np.array(flags, dtype=bool)
