"""Does an MSA belong at the end of a stage? Answered from a table of trials.

The claim is that of Park & Kim (ICLR 2022, section 4): Conv blocks at the end of a
stage are the ones to replace by MSAs. The test compares, within each stage, the effect
of an MSA in the last slot with its effect in the other slots, and then asks whether a
rival explanation would give the same comparison. docs/rule.md says how to read it.
"""

from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.html_table import html_table
from nas.rule import contrasts
from nas.rule.declared_metric import (
    SMALLEST_FRACTION,
    Direction,
    is_fraction,
    known_direction,
)
from nas.rule.effect import Effect, SlotEffect, measured
from nas.rule.exploratory import corrected, exploratory_note
from nas.rule.failures import SlotFailures, slot_failures
from nas.rule.interactions import Interaction, interactions
from nas.rule.letters import checked_letter
from nas.rule.paired import PairedEffects, paired_effects
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable, Sampling
from nas.rule.plan import RulePlan
from nas.rule.power import VerdictPower
from nas.rule.slot_effects import slot_effects, thin_slots
from nas.rule.slot_regression import LEVEL, SlotRegression
from nas.rule.unbiased_part import unbiased_part
from nas.rule.verdict import Check, Judgements, Verdict, VerdictDesign
from nas.rule.verdict_interval import VerdictInterval, verdict_interval
from nas.rule.whole_model import num_msas_effect, params_control
from search_spaces.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from nas.study.study import Study


@dataclass(frozen=True)
class RuleTest:
    """The statistics that say where in a stage MSAs help, hurt, or cannot be told.

    Attributes:
        metric: The metric tested.
        direction: Which way is better.
        num_trials: Trials used.
        num_placements: Distinct placements among them.
        sampling: How the placements were chosen.
        depths: Blocks of each stage.
        slots: Effect of an MSA in each slot.
        end_of_stage: Last slot minus the others of its stage that are not strided,
            averaged over stages.
        end_of_stage_with_strided: The same with the strided ones among the others.
        end_of_model: Late stages minus early ones.
        verdict: ``supported`` or ``contradicted`` only where the whole interval of
            ``end_of_stage`` lies on one side and every check agrees; ``negligible``
            where its 90% interval lies inside the smallest effect of interest.
        ends_help: Whether an MSA in the last slots helps at all (its whole interval on
            the good side), hurts (on the bad side), or cannot be told (``None``).
        ends: The mean effect of an MSA in the last slots.
        reasons: Why the verdict is what it is, in sentences.
        checks: The rival explanations and whether each is ruled out.
        stages: The contrast of each stage alone.
        disagreement: Cochran's Q of the stages: ``q``, ``df``, ``p``.
        strided_first_blocks: Effects of strided first slots minus the middle ones.
        num_msas: Effect of one more MSA, wherever it stands.
        controls: The contrast with further regressors or another comparison.
        interactions: The strongest pairs of slots, most significant first.
        num_pairs: Pairs that could be tested.
        paired: The end of a stage within blocks of placements that differ in the
            place of one MSA; not part of the verdict.
        noise: ``residual_sd``, and ``replicate_sd`` between seeds.
        smallest_effect: Smallest effect of interest, or ``None`` if none is known.
        power: Power of the verdict with this design.
        design: How well the table can answer at all.
        letter: The letter compared with C.
        failures: Failed trials per slot; empty if none failed.
        plan: The plan that was registered before the first trial, if any.
        exploratory: Whether there is a plan and this verdict is not the planned one.
        p_corrected: P-value of ``end_of_stage``, Holm-corrected for all exploratory
            metrics of the study; ``None`` where nothing is corrected.
        notes: What was left out or assumed.
    """

    metric: str
    direction: Direction
    num_trials: int
    num_placements: int
    sampling: Sampling
    depths: tuple[int, ...]
    slots: tuple[SlotEffect, ...]
    end_of_stage: Effect
    end_of_stage_with_strided: Effect
    end_of_model: Effect
    verdict: Verdict
    ends_help: bool | None
    ends: Effect
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    stages: tuple[tuple[int, Effect], ...]
    disagreement: dict[str, float | int | None]
    strided_first_blocks: Effect
    num_msas: Effect
    controls: dict[str, Effect]
    interactions: tuple[Interaction, ...]
    num_pairs: int
    paired: PairedEffects
    noise: dict[str, float | int | None]
    smallest_effect: float | None
    power: VerdictPower
    design: dict[str, Any]
    letter: str
    failures: tuple[SlotFailures, ...]
    plan: RulePlan | None
    exploratory: bool
    p_corrected: float | None
    notes: tuple[str, ...]

    @property
    def minimum_detectable_effect(self) -> float | None:
        """True end-of-stage effect that the verdict finds in 80 of 100 such tables."""
        size, noise = self.power.detectable, self.noise["residual_sd"]
        return None if size is None or noise is None else size * noise

    @property
    def verdict_interval(self) -> VerdictInterval | None:
        """The interval of ``end_of_stage`` that the verdict is read from."""
        return verdict_interval(self.end_of_stage, self.power.level, self.verdict)

    def _repr_html_(self) -> str:
        """Verdict, contrast and slots as a table, for notebooks."""
        rows = [
            (
                f"{one.stage}.{one.block}",
                f"{one.effect.effect:+.4g}",
                f"{one.effect.ci[0]:+.4g} to {one.effect.ci[1]:+.4g}",
            )
            for one in self.slots
            if one.effect.effect is not None and one.effect.ci is not None
        ]
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        return (
            f"<p>{self.letter} at the end of a stage, {escape(self.metric)}: "
            f"<b>{self.verdict}</b></p><ul>{reasons}</ul>"
            + html_table(["slot", "effect", "95% interval"], rows)
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, see docs/rule.md."""
        interval = self.verdict_interval
        return {
            "metric": self.metric,
            "direction": self.direction,
            "num_trials": self.num_trials,
            "num_placements": self.num_placements,
            "sampling": self.sampling,
            "slots": [slot.to_dict() for slot in self.slots],
            "end_of_stage": self.end_of_stage.to_dict(),
            "end_of_model": self.end_of_model.to_dict(),
            "verdict": self.verdict,
            "ends_help": self.ends_help,
            "verdict_interval": interval and interval.to_dict(),
            "end_of_stage_with_strided": self.end_of_stage_with_strided.to_dict(),
            "verdict_reasons": list(self.reasons),
            "checks": [check.to_dict() for check in self.checks],
            "ends": self.ends.to_dict(),
            "depths": list(self.depths),
            "letter": self.letter,
            "stages": [
                {"stage": stage, **effect.to_dict()} for stage, effect in self.stages
            ],
            "stages_disagree": self.disagreement,
            "strided_first_blocks": self.strided_first_blocks.to_dict(),
            "num_msas": self.num_msas.to_dict(),
            "controls": {
                name: effect.to_dict() for name, effect in self.controls.items()
            },
            "interactions": {
                "num_pairs": self.num_pairs,
                "strongest": [pair.to_dict() for pair in self.interactions],
            },
            "paired": self.paired.to_dict(),
            "noise": self.noise,
            "smallest_effect": self.smallest_effect,
            "minimum_detectable_effect": self.minimum_detectable_effect,
            "power": self.power.to_dict(),
            "design": self.design,
            "failures": [one.to_dict() for one in self.failures],
            "plan": None if self.plan is None else self.plan.to_dict(),
            "exploratory": self.exploratory,
            "p_corrected": self.p_corrected,
            "level": LEVEL,
            "notes": list(self.notes),
        }


def rule_test(
    source: "PlacementTable | Study | pd.DataFrame | str | Path",
    metric: str = "accuracy",
    direction: Direction | None = None,
    smallest_effect: float | None = None,
    letter: str = "M",
) -> RuleTest:
    """Test the end-of-stage rule on a table or study.

    Args:
        source: A checked table, a study, a data frame, or a path to a study, CSV or
            Parquet file.
        metric: Column to test; a checked table has its own.
        direction: Which way is better; default as the metric is declared.
        smallest_effect: Smallest effect of interest in the metric's unit; default
            0.005 for metrics that are fractions, none for others.
        letter: Letter to compare with C; a checked table has its own. Where no
            placement has an M, the only other letter is compared.

    Returns:
        The effects, the contrasts and the verdict.

    Raises:
        InputError: The table cannot be used.
    """
    if smallest_effect is not None and not 0 < smallest_effect < float("inf"):
        raise InputError(
            f"the smallest effect of interest is above zero, got {smallest_effect}"
        )
    table = source
    if not isinstance(table, PlacementTable):
        table = PlacementTable.read(table, metric, checked_letter(letter))
        if letter == "M" and len(table.other_letters) == 1 and not table.bits.any():
            # The one kind beside C is what a table without any M is about.
            table = replace(table, letter=table.other_letters[0])
    plan = table.plan
    planned = plan is not None and plan.unchanged and plan.metric == table.metric
    if planned and plan is not None and plan.smallest_effect is not None:
        if smallest_effect is None:
            smallest_effect = plan.smallest_effect
        elif smallest_effect != plan.smallest_effect:
            planned = False
            note = (
                f"the smallest effect of interest is not the {plan.smallest_effect:g} "
                "of the registered plan"
            )
            table = replace(table, notes=(*table.notes, note))
    direction = known_direction(table.metric, direction)
    p_corrected, share = None, 1.0
    if plan is not None and not planned:
        p_corrected, share = corrected(table)
    if plan is not None:
        notes = plan.notes(len(table.values))
        table = replace(table, notes=(*table.notes, *notes))
    table, level = unbiased_part(table)
    if smallest_effect is None and is_fraction(table.metric):
        smallest_effect = SMALLEST_FRACTION
        if bool((np.abs(table.values) > 1).any()):
            note = (
                f"values of {table.metric!r} go beyond 1; the smallest effect of "
                f"interest is {SMALLEST_FRACTION} in their own unit (half a "
                "point in percent is 0.5)"
            )
            table = replace(table, notes=(*table.notes, note))
    test = _test(table, direction, level * share, smallest_effect)
    if plan is None or planned:
        return test
    return replace(
        test,
        exploratory=True,
        p_corrected=p_corrected,
        notes=(*test.notes, exploratory_note(table, plan, level, share)),
    )


def _test(
    table: PlacementTable,
    direction: Direction,
    level: float,
    smallest_effect: float | None,
) -> RuleTest:
    means = PlacementMeans.of(table)
    layout = table.layout
    regression = means.regression()
    design = VerdictDesign(
        means.bits, layout, means.weights, means.other_bits, means.clusterings
    )
    sign = {"maximize": 1, "minimize": -1, "none": 0}[direction]
    judged = design.judge(means.means[:, None], sign, level, smallest_effect)
    pairs, num_pairs = interactions(means, layout)
    ends = judged.readings["ends"].effect(0)
    reasons = judged.reasons_at(0)
    if direction == "none" and design.headline.weights is not None:
        reasons = (
            f"neither side of {table.metric!r} is known to be the better one: choose "
            "it with --direction",
        )
    controls = {
        name: judged.readings[name].effect(0)
        for name in (
            "last_over_first", "last_over_middle", "last_over_strided", "same_count",
            "beyond_rivals", "beyond_rivals_and_stage_levels",
        )
    }  # fmt: skip
    controls["worst_without_a_stage"] = judged.worst_without_stage.effect(0)
    controls["params"] = params_control(means, layout, design.headline.stages)
    return RuleTest(
        metric=table.metric,
        direction=direction,
        num_trials=len(table.values),
        num_placements=means.num_placements,
        sampling=table.sampling,
        depths=table.depths,
        slots=slot_effects(means, regression, layout),
        end_of_stage=judged.headline.effect(0),
        end_of_stage_with_strided=measured(
            regression, contrasts.end_of_stage_with_strided(regression, layout)
        ),
        end_of_model=measured(regression, contrasts.end_of_model(regression, layout)),
        verdict=_verdict_of(judged),
        ends_help=_ends_help(ends, sign),
        ends=ends,
        reasons=reasons,
        checks=judged.checks_at(0) if judged.headline.reason == "" else (),
        stages=tuple((stage, one.effect(0)) for stage, one in judged.stages.items()),
        disagreement=_disagreement(judged),
        strided_first_blocks=measured(
            regression, contrasts.strided_over_middle(regression, layout)
        ),
        num_msas=num_msas_effect(means),
        controls=controls,
        interactions=pairs,
        num_pairs=num_pairs,
        paired=paired_effects(means, layout),
        noise=_noise(means, regression),
        smallest_effect=smallest_effect,
        power=VerdictPower(design, level),
        design=_design(means, regression, design),
        letter=table.letter,
        failures=slot_failures(table),
        plan=table.plan,
        exploratory=False,
        p_corrected=None,
        notes=(*table.notes, *thin_slots(means, layout, table.letter)),
    )


def _verdict_of(judged: Judgements) -> Verdict:
    found: Verdict = judged.verdicts[0].item()
    return found


def _ends_help(ends: Effect, sign: int) -> bool | None:
    if ends.effect is None or ends.p is None or sign == 0 or ends.p >= 1 - LEVEL:
        return None
    return ends.effect * sign > 0


def _disagreement(judged: Judgements) -> dict[str, float | int | None]:
    if judged.disagreement is None:
        return {"q": None, "df": None, "p": None}
    q, df, p = judged.disagreement
    return {"q": float(q[0]), "df": df, "p": float(p[0])}


def _noise(
    means: PlacementMeans, regression: SlotRegression
) -> dict[str, float | int | None]:
    residual = regression.noise
    return {
        "residual_sd": None if np.isnan(residual) else residual,
        "replicate_sd": means.replicate_sd,
        "replicate_df": means.replicate_df,
    }


def _design(
    means: PlacementMeans, regression: SlotRegression, design: VerdictDesign
) -> dict[str, Any]:
    bits = means.bits[means.distinct]
    varied = bits.std(axis=0) > 0
    largest = None
    if varied.sum() > 1:
        related = np.corrcoef(bits[:, varied], rowvar=False) - np.eye(int(varied.sum()))
        largest = float(np.abs(related).max())
    counts, times = np.unique(bits.sum(axis=1).astype(int), return_counts=True)
    return {
        "num_slots": bits.shape[1],
        "num_varied_slots": int(varied.sum()),
        "rank": regression.rank,
        "residual_df": regression.residual_df,
        "num_clusters": regression.num_clusters if means.clusterings else None,
        "max_slot_correlation": largest,
        "stages_compared": list(design.headline.stages),
        "placements_by_num_msas": {
            str(count): int(time) for count, time in zip(counts, times, strict=True)
        },
    }
