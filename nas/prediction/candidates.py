"""Which placements are predicted: all of a space, or the best that can be found."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.prediction.best_of_space import best_placements
from nas.prediction.costs import complete_cost
from nas.prediction.placement_model import PlacementModel
from nas.prediction.slot_space import Codes, SlotSpace
from nas.prediction.study_space import MAX_LISTED, StudySpace
from search_spaces.errors import InputError

Floats = npt.NDArray[np.float64]

COSTS = ("macs", "params", "latency")
"""Columns that are costs of the placement, known before it is trained."""

NUM_BEST = 1_000
"""Placements that are shown of a space too large to list."""

_PRICE_STEPS = 16
"""Bisections of the price of limited costs at which a large space is searched."""


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
    """

    space: SlotSpace
    size: int
    complete: bool
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

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
        if listed is not None:
            names = list(listed)
        elif complete:
            names = [p for codes in space.enumerate() for p in space.decode(codes)]
        else:
            names = _searched(model, space, costs, limits, maximize)
            if study is not None and asked is None:
                allowed = study.allows(names)
                names = [p for p, keep in zip(names, allowed, strict=True) if keep]
            notes.append(
                f"the space holds {size} placements, too many to list; these are the "
                "best that local searches found, beside the trained ones (not proven "
                "to be the best)"
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
            keep &= (means >= worst) | frame["placement"].isin(table.placements)
        return cls(
            space, size, complete, frame[keep].reset_index(drop=True), tuple(notes)
        )


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


def _searched(
    model: PlacementModel,
    space: SlotSpace,
    costs: _Costs,
    limits: Mapping[str, float],
    maximize: bool,
) -> list[str]:
    """The best placements of a large space, at several prices of limited costs."""
    features = model.features
    weights = model.linear.mixture.mean[1:]
    sign = 1.0 if maximize else -1.0
    rng = np.random.default_rng(0)
    drawn = features.space.encode(space.decode(space.sample(rng, NUM_BEST)))
    design = features(drawn)
    fixed = _letters_only(features.space, space)
    priced = np.zeros(len(weights))
    for name in limits:
        values = costs.of(name, features.space.decode(drawn), drawn)
        slope = np.linalg.lstsq(design, values - values.mean(), rcond=None)[0]
        priced += slope / (np.std(values) or 1.0)
    priced *= float(np.std(design @ weights))

    def best_at(price: float) -> tuple[list[str], bool]:
        """The best at a price, and whether the first of them is cheap enough."""
        codes = best_placements(
            features, sign * weights - price * priced, NUM_BEST, within=fixed
        )
        found = features.space.decode(codes)
        first = (costs.of(name, found[:1], codes[:1])[0] for name in limits)
        cheap = all(
            value <= limit for value, limit in zip(first, limits.values(), strict=True)
        )
        return found, cheap

    names, cheap = best_at(0.0)
    low, high = np.log(1e-3), np.log(1e3)
    for _ in range(0 if cheap else _PRICE_STEPS):
        middle = (low + high) / 2
        found, cheap = best_at(float(np.exp(middle)))
        names += found
        low, high = (low, middle) if cheap else (middle, high)
    return list(dict.fromkeys(names))


def _letters_only(whole: SlotSpace, part: SlotSpace) -> npt.NDArray[np.bool_]:
    """Which letter of which slot of the whole space belongs to the part."""
    flags = [
        letter in allowed
        for choices, allowed in zip(whole.letters, part.letters, strict=True)
        for letter in choices
    ]
    return np.array(flags, dtype=bool)
