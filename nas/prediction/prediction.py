"""Predict every placement of a space from those that were trained.

``predict(study_or_table)`` is what `nas predict` prints.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.html_table import html_table
from nas.pareto.front import non_dominated
from nas.prediction.candidates import COSTS, Candidates
from nas.prediction.given_scores import with_scores
from nas.prediction.placement_model import PlacementModel
from nas.prediction.slot_space import SlotSpace
from nas.prediction.study_space import StudySpace
from nas.prediction.trained import TrainedTable
from nas.prediction.trust import Trust, assess
from nas.study.reliability import Reliability
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

Floats = npt.NDArray[np.float64]
Direction = Literal["maximize", "minimize", "none"]

RECORDED_COVARIATES = (
    "init_score", "supernet_score", "supernet_nll", "supernet_accuracy",
    "distilled_score", "distilled_nll", "distilled_accuracy",
)  # fmt: skip
"""Columns that score a placement without training it; used where a table has them."""

_CONTENDERS = 2_000
"""Placements among which the probability of being best is shared (our choice): those
of the highest upper ends of their intervals."""

WIDTH = 1.959964
"""Standard deviations to either side of a 95% interval. The normal quantile: the draws
of the variances carry their uncertainty already (benchmarks/prediction.py)."""

_SHOWN = 10
"""Placements that a notebook shows (our choice)."""

_WORLDS = 2_000
"""Posterior draws behind that probability: standard error at most 0.011."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Placements with what is to be expected of them.

    Attributes:
        source: Where the trained placements came from.
        metric: What is predicted.
        direction: Which way is better; the rows are sorted by it.
        num_trials: Trainings behind the prediction.
        num_placements: Trained placements.
        space: Letters of each slot.
        space_size: Placements of the space.
        complete: Whether all of them are in the table; else the best that local
            searches found.
        table: One row a placement, best first: ``placement``; ``mean``, ``low``,
            ``high`` of the metric to be expected over seeds, with a 95% interval;
            ``training_low``, ``training_high``, the 95% interval of a single new
            training; ``num_trainings`` and ``measured``, their mean; ``p_best``, the
            probability of being the best of the table; ``extrapolated``, why the
            prediction is a guess, or ``""``; costs and covariates.
        left_out: One row a trained placement: ``placement``, ``measured``, and
            ``predicted`` with ``deviation`` without its own trainings.
        trust: How well left-out placements are predicted.
        reliability: ICC of single trainings, ``None`` without repeated placements.
        variances: What share each part of the model has, in squared units.
        covariates: Columns the model used beside the letters.
        notes: What was left out or assumed, in sentences.
        front: With limits, the rows of the table on the front of ``mean`` and the
            limited costs; ``None`` without.
        front_method: How it was found, to stand after "the front is".
        limited: The costs that have limits.
    """

    source: str
    metric: str
    direction: Direction
    num_trials: int
    num_placements: int
    space: SlotSpace
    space_size: int
    complete: bool
    table: pd.DataFrame
    left_out: pd.DataFrame
    trust: Trust
    reliability: Reliability | None
    variances: Mapping[str, float]
    covariates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    front: pd.DataFrame | None = None
    front_method: str = ""
    limited: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """The best placements and what they are worth, for notebooks."""
        rows = [
            (
                row["placement"],
                row["mean"],
                f"{row['low']:.4g} to {row['high']:.4g}",
                row["measured"],
                row["p_best"],
                "guess" if row["extrapolated"] else "",
            )
            for row in self.table.head(_SHOWN).to_dict("records")
        ]
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            f"<p><b>{escape(self.metric)}</b> of {len(self.table):,} placements, "
            f"predicted from {self.num_trials:,} trainings of "
            f"{self.num_placements:,}; the first of them:</p>"
            + html_table(
                ["placement", "mean", "95% interval", "measured", "P(best)", ""], rows
            )
            + f"<p>{escape(self.trust.sentence())}</p><ul>{notes}</ul>"
        )

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Everything as plain data for JSON; what is not a number is ``None``.

        Args:
            top: Only so many placements.
        """
        rows = self.table if top is None else self.table.head(top)
        return {
            "metric": self.metric,
            "direction": self.direction,
            "num_trials": self.num_trials,
            "num_placements": self.num_placements,
            "space": {
                "slots": str(self.space),
                "size": self.space_size,
                "complete": self.complete,
            },
            "trust": {"sentence": self.trust.sentence(), **_plain(asdict(self.trust))},
            "reliability": self.reliability and _plain(asdict(self.reliability)),
            "variances": _plain(dict(self.variances)),
            "covariates": list(self.covariates),
            "notes": list(self.notes),
            "front": None
            if self.front is None
            else {
                "method": self.front_method,
                "placements": [_plain(row) for row in self.front.to_dict("records")],
            },
            "placements": [_plain(row) for row in rows.to_dict("records")],
        }


def predict(
    source: "str | Path | Study | pd.DataFrame",
    metric: str | None = None,
    *,
    direction: Direction | None = None,
    space: str | SlotSpace | None = None,
    covariates: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    scores: "str | Path | Study | pd.DataFrame | None" = None,
    seed: int = 0,
) -> Prediction:
    """Predict every placement of a space, the untrained ones included.

    Args:
        source: A study, or its directory; a table: a data frame, a ``.csv`` or a
            ``.parquet`` file with the columns ``placement`` and the metric.
        metric: What is predicted; the first objective of a study, else ``accuracy``.
        direction: Which way is better; as the metric is declared.
        space: What is predicted: letters of every slot (``"CMP"``) or a pattern
            (``"C[CM][CM]-[CM]M"``). Default: the space of the study, or every
            combination of the letters that the table has in each slot.
        covariates: Numeric columns that predict beside the letters. They are used for
            placements that have them; the others are predicted without.
            :data:`RECORDED_COVARIATES` are used unasked.
        limits: Upper bounds of costs, e.g. ``{"macs": 1e8}``.
        scores: A study or table that scores placements without training them, e.g. by
            supernets; joined by placement, and used as covariates.
        seed: Of the draws.

    Returns:
        The prediction.

    Raises:
        InputError: The source, a column or the space cannot be used.
    """
    from nas.rule.declared_metric import known_direction

    table, study_space, objective = _read(source, metric)
    given: tuple[str, ...] = ()
    if scores is not None:
        table, given = with_scores(table, scores)
    chosen = known_direction(table.metric, direction or objective)
    notes = list(table.notes)
    if chosen == "none":
        notes.append(
            f"neither side of {table.metric!r} is known to be the better one: the "
            "largest come first (--direction says otherwise)"
        )
    if study_space is not None and space is None:
        notes += study_space.notes
    asked = _asked_space(space, table.depths)
    plain = PlacementModel(table, _whole_space(asked, table, study_space), seed=seed)
    candidates = Candidates.of(
        plain, asked, study_space, limits or {}, maximize=chosen != "minimize"
    )
    notes += candidates.notes
    frame = candidates.table
    names = _covariates((*covariates, *given), table)
    # Costs are there already, completed for placements that the table does not have.
    others = [name for name in names if name not in frame.columns]
    frame = frame.join(table.known[others], on="placement")
    model, used = plain, np.zeros(len(frame), dtype=bool)
    if names:
        model, used = _with_covariates(plain, frame, names, seed, notes)
    trust = assess(
        model.linear,
        model.features,
        model.codes,
        _trivial(table, given),
        seed,
        within=_counts(table) if len(table.trained_space.alphabet) > 1 else None,
    )
    if not model.linear.tells_noise:
        notes.append(
            "no placement was trained twice, so seed noise and what the model misses "
            "cannot be told apart: intervals are those of a single new training, and a "
            "measured value counts half against the model's"
        )
    frame = _filled(frame, plain, model, used)
    frame["p_best"] = _best_probability(frame, plain, model, used, chosen, seed)
    frame["extrapolated"] = _extrapolations(list(frame["placement"]), table)
    front = [
        "placement", "mean", "low", "high", "training_low", "training_high",
        "num_trainings", "measured", "p_best", "extrapolated",
    ]  # fmt: skip
    frame = frame[[*front, *(c for c in frame.columns if c not in front)]]
    frame = frame.sort_values("mean", ascending=chosen == "minimize", kind="stable")
    frame = frame.reset_index(drop=True)
    on_front, method = _front(frame, candidates, list(limits or {}), chosen)
    return Prediction(
        table.source,
        table.metric,
        chosen,
        table.num_trials,
        len(table.placements),
        candidates.space,
        candidates.size,
        candidates.complete,
        frame,
        _left_out(model),
        trust,
        table.reliability,
        model.linear.variances,
        tuple(names) if model is not plain else (),
        tuple(notes),
        on_front,
        method,
        tuple(limits or ()),
    )


def _front(
    frame: pd.DataFrame, candidates: Candidates, limited: list[str], direction: str
) -> tuple[pd.DataFrame | None, str]:
    """The front under the limits, and how it was found."""
    if not limited:
        return None, ""
    if candidates.complete:
        side = "minimize" if direction == "minimize" else "maximize"
        values = frame[["mean", *limited]].to_numpy(dtype=float)
        keep = non_dominated(values, [side, *["minimize"] * len(limited)])
        return frame[keep].reset_index(drop=True), (
            "that of every placement within the limits, by its predicted mean"
        )
    keep = frame["placement"].isin(candidates.front).to_numpy()
    share = candidates.additive_share or 0.0
    return frame[keep].reset_index(drop=True), (
        f"exact, by dynamic programming over the slots, for the sum over slots that is "
        f"nearest to the model ({share:.0%} of its variance over the space); the means "
        "shown are the whole model's"
    )


def _read(
    source: "str | Path | Study | pd.DataFrame", metric: str | None
) -> tuple[TrainedTable, StudySpace | None, Direction | None]:
    """The table, the study's space and the direction of its objective, if any."""
    from nas.study.study import Study

    if isinstance(source, pd.DataFrame):
        return TrainedTable.of_frame(source, metric or "accuracy"), None, None
    if not isinstance(source, Study):
        if not Path(source).is_dir():
            return TrainedTable.read(source, metric or "accuracy"), None, None
        source = Study.open(source)
    directions = {one.metric: one.direction for one in source.objectives}
    metric = metric or next(iter(directions))
    space = StudySpace.of(source)
    table = TrainedTable.of_frame(source.table(), metric, str(source.path), "trial {}")
    table = replace(table, notes=(*table.notes, *source.problems))
    return table, space, directions.get(metric)


def _asked_space(
    space: str | SlotSpace | None, depths: tuple[int, ...]
) -> SlotSpace | None:
    if isinstance(space, str):
        return SlotSpace.parse(space, depths)
    if space is not None and space.depths != depths:
        raise InputError(
            f"the space must have the depths of the placements, {list(depths)}; got "
            f"{list(space.depths)}"
        )
    return space


def _whole_space(
    asked: SlotSpace | None, table: TrainedTable, study_space: StudySpace | None
) -> SlotSpace:
    """The space that holds what was trained and what is wanted."""
    whole = table.space
    if asked is not None:
        return whole.union(asked)
    if study_space is not None and study_space.space.depths == whole.depths:
        return whole.union(study_space.space)
    return whole


def _covariates(asked: Sequence[str], table: TrainedTable) -> list[str]:
    """The columns that are used, checked."""
    for name in asked:
        if name == table.metric:
            raise InputError(f"{name!r} is what is predicted; it cannot predict itself")
        table.column(name)
    recorded = [n for n in RECORDED_COVARIATES if n in table.known.columns]
    return list(dict.fromkeys((*asked, *(n for n in recorded if n != table.metric))))


def _with_covariates(
    plain: PlacementModel,
    frame: pd.DataFrame,
    names: list[str],
    seed: int,
    notes: list[str],
) -> tuple[PlacementModel, npt.NDArray[np.bool_]]:
    """The model with covariates, and the rows that have them."""
    known = plain.table.known[names].combine_first(frame.set_index("placement")[names])
    trained = known.loc[list(plain.table.placements), names]
    if not bool(np.isfinite(trained.to_numpy()).all()):
        notes.append(
            f"not every trained placement has {' and '.join(names)}; the prediction is "
            "made without"
        )
        return plain, np.zeros(len(frame), dtype=bool)
    there = np.isfinite(frame[names].to_numpy(dtype=float)).all(axis=1)
    if not there.all():
        notes.append(
            f"{int((~there).sum())} placements have no {' and '.join(names)} and are "
            "predicted from their letters alone"
        )
    space = plain.features.space
    table = replace(plain.table, known=known)
    return PlacementModel(table, space, names, seed=seed), there


def _filled(
    frame: pd.DataFrame,
    plain: PlacementModel,
    model: PlacementModel,
    used: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """The columns mean, intervals, num_trainings and measured."""
    placements = frame["placement"].to_numpy(dtype=object)
    mean, deviation = np.empty(len(frame)), np.empty(len(frame))
    single = np.empty(len(frame))
    for one, rows in ((plain, ~used), (model, used)):
        if not rows.any():
            continue
        mean[rows], deviation[rows] = one.expected(placements[rows].tolist())
        noise = np.full(int(rows.sum()), one.linear.mixture.noise)
        if not one.linear.tells_noise:  # of a trained one half of it may be noise
            known = np.isin(placements[rows], np.array(one.table.placements, object))
            noise = np.where(known, one.linear.mixture.misfit / 2, 0.0)
        single[rows] = np.sqrt(deviation[rows] ** 2 + noise)
    table = plain.table
    own = pd.Index(table.placements)
    measured = pd.Series(table.means, own).reindex(placements).to_numpy()
    counts = pd.Series(table.counts, own).reindex(placements, fill_value=0)
    shown = deviation if plain.linear.tells_noise else single
    return frame.assign(
        mean=mean,
        low=mean - WIDTH * shown,
        high=mean + WIDTH * shown,
        training_low=mean - WIDTH * single,
        training_high=mean + WIDTH * single,
        num_trainings=counts.to_numpy(dtype=int),
        measured=measured,
    )


def _left_out(model: PlacementModel) -> pd.DataFrame:
    means, deviations = model.linear.leave_one_out()
    columns = {
        "placement": list(model.table.placements),
        "measured": model.table.means,
        "predicted": means,
        "deviation": deviations,
    }
    return pd.DataFrame(columns)


def _best_probability(
    frame: pd.DataFrame,
    plain: PlacementModel,
    model: PlacementModel,
    used: npt.NDArray[np.bool_],
    direction: Direction,
    seed: int,
) -> Floats:
    """How probable it is that a placement is the best of the table."""
    if direction == "none" or not len(frame):
        return np.full(len(frame), np.nan)
    sign = -1.0 if direction == "minimize" else 1.0
    upper = sign * frame["high" if sign > 0 else "low"].to_numpy()
    rows = np.argsort(-upper, kind="stable")[:_CONTENDERS]
    placements = frame["placement"].to_numpy(dtype=object)[rows]
    rng = np.random.default_rng(seed)
    worlds = np.empty((_WORLDS, len(rows)))
    for one, part in ((plain, ~used[rows]), (model, used[rows])):
        if part.any():
            worlds[:, part] = one.worlds(placements[part].tolist(), _WORLDS, rng)
    winners = (sign * worlds).argmax(axis=1)
    found = np.zeros(len(frame))
    found[rows] = np.bincount(winners, minlength=len(rows)) / _WORLDS
    return found


def _counts(table: TrainedTable) -> list[tuple[int, ...]]:
    """Blocks of each kind in each trained placement."""
    letters = table.trained_space.alphabet
    return [tuple(map(name.count, letters)) for name in table.placements]


def _trivial(table: TrainedTable, given: Sequence[str] = ()) -> dict[str, Floats]:
    """Predictors that need no model: counts of letters, and whatever is a cost."""
    letters = table.trained_space.alphabet
    found = {
        f"the number of {letter}": np.array(
            [float(name.count(letter)) for name in table.placements]
        )
        for letter in (letters[1:] if len(letters) == 2 else letters)
    }
    for name in dict.fromkeys((*COSTS, *RECORDED_COVARIATES, *given)):
        if name in table.known.columns and name != table.metric:
            column = table.known[name].reindex(list(table.placements))
            found[name] = column.to_numpy(dtype=float)
    return found


def _extrapolations(placements: list[str], table: TrainedTable) -> list[str]:
    """Why a prediction goes beyond what was trained; ``""`` where it does not."""
    space = table.trained_space
    counts = {
        letter: [name.count(letter) for name in table.placements]
        for letter in space.alphabet
    }
    bounds = {letter: (min(found), max(found)) for letter, found in counts.items()}
    reasons = []
    for name in placements:
        reason = ""
        for slot, (letter, trained) in enumerate(
            zip(name.replace("-", ""), space.letters, strict=True)
        ):
            if letter not in trained:
                stage = space.stage_of[slot]
                block = slot - space.stage_of.index(stage) + 1
                reason = f"{letter} in stage {stage + 1} block {block} never trained"
                break
        else:
            for letter, (low, high) in bounds.items():
                count = name.count(letter)
                if not low <= count <= high:
                    reason = f"{count} {letter}; trained were {low} to {high}"
                    break
        reasons.append(reason)
    return reasons


def _plain(value: Any) -> Any:
    """A value that JSON can hold: no NaN, no infinity."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
