"""The end-of-stage effect against epochs, read from the learning curves of a study.

The same trials are looked at after several epochs, so what differs between budgets is
not who was trained. An effect that is good early and bad late is not an effect of
position but one of speed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from nas.rule import contrasts
from nas.rule.checked_frame import CheckedFrame
from nas.rule.declared_metric import Direction, known_direction
from nas.rule.effect import Effect, measured
from nas.rule.letters import checked_letter
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable, Sampling, strided_blocks
from nas.rule.plan import RulePlan
from nas.rule.unbiased_part import unbiased_part
from nas.study.layout import TrialLayout
from nas.study.study import Study
from nas.study.trial_view import read_history
from search_spaces.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from nas.config import SearchConfig

CURVES = {"accuracy": "val_accuracy", "nll": "val_loss"}
"""Metrics that are measured after every epoch, and their column in history.csv."""

MAX_BUDGETS = 8
"""Most epochs that are looked at. The test of the sign pays for each (Bonferroni), and
neighbouring epochs tell the same (our choice)."""


class CurvesStudy(Protocol):
    """The part of :class:`nas.study.study.Study` that is needed."""

    @property
    def path(self) -> Path:
        """Its directory."""

    @property
    def config(self) -> "SearchConfig":
        """Its settings."""

    def table(self) -> "pd.DataFrame":
        """One row per trial."""

    def trial_directory(self, number: int) -> Path:
        """Directory of a trial's files."""


@dataclass(frozen=True)
class SignChange:
    """Whether the effect is above zero at one budget and below it at another.

    Attributes:
        changes: ``True`` if that is shown, ``False`` if the effect is shown to lie on
            one side at every budget, ``None`` if neither is.
        p: P-value of "there is no change of sign". Both an effect above zero and one
            below must be shown, each at some budget (Berger 1982, Technometrics
            24:295), each corrected for the number of budgets (Bonferroni).
        above_at: Epochs at which it is most clearly above zero.
        below_at: Epochs at which it is most clearly below zero.
    """

    changes: bool | None
    p: float | None
    above_at: int | None = None
    below_at: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "changes": self.changes,
            "p": self.p,
            "above_at": self.above_at,
            "below_at": self.below_at,
        }


@dataclass(frozen=True)
class BudgetEffects:
    """The end-of-stage effect after several epochs of the same trials.

    Attributes:
        metric: The metric.
        direction: Which way is better.
        num_trials: Trials used, the same at every budget.
        num_placements: Distinct placements among them.
        sampling: How the placements were chosen.
        letter: The letter compared with C.
        effects: The end-of-stage effect by epochs, in order.
        change: The effect after the last epoch minus that after the first budget,
            of the differences within trials.
        sign: Whether it changes its sign.
        planned: The budget that the registered plan is about, in epochs; ``None`` if
            there is no plan, or if it is about another metric or was changed.
        has_plan: Whether a plan was registered: everything else is then exploratory.
        notes: What was left out or assumed.
    """

    metric: str
    direction: Direction
    num_trials: int
    num_placements: int
    sampling: Sampling
    letter: str
    effects: Mapping[int, Effect]
    change: Effect
    sign: SignChange
    planned: int | None
    has_plan: bool
    notes: tuple[str, ...]

    def is_exploratory(self, epochs: int | None = None) -> bool:
        """Whether nobody has planned to look at this.

        Args:
            epochs: A budget; ``None`` for what several budgets say together.
        """
        return self.has_plan and (epochs is None or epochs != self.planned)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "metric": self.metric,
            "direction": self.direction,
            "num_trials": self.num_trials,
            "num_placements": self.num_placements,
            "sampling": self.sampling,
            "letter": self.letter,
            "end_of_stage": [
                {
                    "epochs": epochs,
                    **effect.to_dict(),
                    "exploratory": self.is_exploratory(epochs),
                }
                for epochs, effect in self.effects.items()
            ],
            "change": self.change.to_dict(),
            "sign": self.sign.to_dict(),
            "exploratory": self.is_exploratory(),
            "planned_epochs": self.planned,
            "notes": list(self.notes),
        }


def budget_effects(
    source: CurvesStudy | str | Path,
    metric: str = "accuracy",
    direction: Direction | None = None,
    letter: str = "M",
) -> BudgetEffects:
    """Estimate the end-of-stage effect after several epochs.

    Args:
        source: A study or its directory.
        metric: A key of :data:`CURVES`.
        direction: Which way is better; default as the metric is declared.
        letter: Letter to compare with C.

    Returns:
        The effects, their change, and the test of a change of sign.

    Raises:
        InputError: There is no such curve, or the trials left none.
    """
    checked_letter(letter)
    if metric not in CURVES:
        raise InputError(
            f"learning curves are kept of {' and '.join(CURVES)}, got {metric!r}"
        )
    study = source
    if isinstance(study, str | Path):
        if not Path(study).is_dir():
            raise InputError(
                "effects at several budgets are read from the learning curves of a "
                f"study directory, got {str(study)!r}"
            )
        study = Study.open(study)
    curves, budgets, notes = _curves(study, metric)
    tables = {
        epochs: _table(study, metric, letter, curves[:, index])
        for index, epochs in enumerate(budgets)
    }
    used, level = unbiased_part(tables[budgets[-1]])
    effects = {
        epochs: _end_of_stage(unbiased_part(table)[0])
        for epochs, table in tables.items()
    }
    change = _table(study, metric, letter, curves[:, -1] - curves[:, 0])
    watched = ""
    if most := study.config.training.watched_images:
        watched = f"; before the last epoch on at most {most} validation images"
    plan = RulePlan.of_study(study) if isinstance(study, Study) else None
    planned = None
    if plan is not None and plan.unchanged and plan.metric == metric:
        planned = budgets[-1]
    if plan is not None:
        notes.append(
            f"the registered plan is about {plan.metric!r} after the last epoch: "
            "everything else here is exploratory, its p-values not corrected for the "
            "number of looks"
        )
    return BudgetEffects(
        metric=metric,
        direction=known_direction(metric, direction),
        num_trials=len(used.values),
        num_placements=len(set(used.placements)),
        sampling=used.sampling,
        letter=letter,
        effects=effects,
        change=_end_of_stage(unbiased_part(change)[0]),
        sign=sign_change(effects, level),
        planned=planned,
        has_plan=plan is not None,
        notes=(
            *used.notes,
            *notes,
            f"each budget is the training of {budgets[-1]} epochs seen on its way, not "
            f"a training that was planned for fewer{watched}",
        ),
    )


def sign_change(effects: Mapping[int, Effect], level: float = 0.05) -> SignChange:
    """Test for a change of sign over budgets.

    Args:
        effects: Effect by epochs.
        level: Level of the test, and two-sided one of each effect for "no change".

    Returns:
        What can be said. An effect without an interval shows nothing.
    """
    above: dict[int, float] = {}
    for epochs, effect in effects.items():
        if effect.effect is not None and effect.p is not None:
            half = effect.p / 2
            above[epochs] = half if effect.effect > 0 else 1 - half
    if not above:
        return SignChange(None, None)
    best = min(above, key=lambda epochs: above[epochs])
    worst = max(above, key=lambda epochs: above[epochs])
    p = min(1.0, len(above) * max(above[best], 1 - above[worst]))
    changes: bool | None = True if p < level else None
    if changes is None and len(above) == len(effects):
        half = level / 2
        values = above.values()
        if all(q < half for q in values) or all(1 - q < half for q in values):
            changes = False
    return SignChange(changes, p, best, worst)


def _curves(
    study: CurvesStudy, metric: str
) -> tuple[npt.NDArray[np.float64], list[int], list[str]]:
    """The metric of each row of the table at each budget; NaN in rows not used."""
    frame = study.table()
    checked = CheckedFrame(frame, str(study.path), "trial {}")
    epochs, rows = checked.usable_rows([], metric)
    found: dict[int, dict[int, float]] = {}
    for row in map(int, rows):
        number = int(frame["number"].iloc[row])
        history = read_history(TrialLayout(study.trial_directory(number)).history)
        pairs = zip(history.get("epoch", ()), history.get(CURVES[metric], ()),
                    strict=True)  # fmt: skip
        curve = {int(epoch): value for epoch, value in pairs if np.isfinite(value)}
        if curve and max(curve) == epochs:
            found[row] = curve
    if not found or epochs is None:
        raise InputError(
            f"{study.path} keeps no learning curve (trials/N/history.csv) of a "
            f"complete trial with {metric!r}: effects at several budgets need them"
        )
    # a gap in a few curves must not take an epoch from all the others
    common = [
        epoch
        for epoch in range(1, epochs + 1)
        if sum(epoch in curve for curve in found.values()) >= len(found) / 2
    ]
    wanted = (
        np.geomspace(1, epochs, MAX_BUDGETS) if len(common) > MAX_BUDGETS else common
    )
    budgets = sorted({min(common, key=lambda one: abs(one - want)) for want in wanted})
    if len(budgets) < 2:
        raise InputError(
            f"the learning curves of {study.path} have one epoch: effects at several "
            "budgets need two"
        )
    values = np.full((len(frame), len(budgets)), np.nan)
    for row, curve in found.items():
        if all(epoch in curve for epoch in budgets):
            values[row] = [curve[epoch] for epoch in budgets]
    whole = int(np.isfinite(values[:, 0]).sum())
    notes = []
    if left_out := len(rows) - whole:
        notes.append(f"{left_out} complete trials without a whole curve are left out")
    return values, budgets, notes


def _table(
    study: CurvesStudy, metric: str, letter: str, values: npt.NDArray[np.float64]
) -> PlacementTable:
    """The table of the study with other values of the metric, of a few rows."""
    frame = study.table()
    kept = np.isfinite(values)
    frame[metric] = values
    return PlacementTable.of_trials(
        frame[kept],
        study.config.search,
        metric,
        str(study.path),
        letter,
        strided_blocks(study.config),
    )


def _end_of_stage(table: PlacementTable) -> Effect:
    regression = PlacementMeans.of(table).regression()
    contrast = contrasts.end_of_stage(regression, table.layout)
    return measured(regression, contrast)
