"""Does an MSA belong at the end of a stage? Answered from a table of trials.

The claim is that of Park & Kim (ICLR 2022, section 4): Conv blocks at the end of a
stage are the ones to replace by MSAs. The test compares, within each stage, the effect
of an MSA in the last slot with its effect in the other slots, and then asks whether a
rival explanation would give the same comparison: strided first blocks, the number of
MSAs, depth in the whole model, or a single stage. docs/rule.md says how to read it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nas.rule.contrasts import (
    Contrast,
    SlotLayout,
    beyond_depth,
    end_of_model,
    end_of_stage,
)
from nas.rule.controls import (
    Check,
    Effect,
    Interaction,
    SlotEffect,
    interactions,
    measured,
    no_single_stage,
    num_msas_effect,
    params_control,
    same_count,
    slot_effects,
    strided_effects,
)
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable, Sampling
from nas.rule.slot_regression import LEVEL, SlotRegression

Verdict = Literal["supported", "contradicted", "inconclusive"]
Direction = Literal["maximize", "minimize", "none"]

MIN_RESIDUAL_DF = 5
"""Fewer spare placements than this give no verdict (our choice: at 5 degrees of
freedom an interval is already 1.3 times as wide as with many)."""

ADAPTIVE_LEVEL = 0.01
"""Two-sided level instead of 5% where the sampler looked at results. With TPE and
NSGA-II on pure noise, 5% intervals missed zero in up to 13% of searches of 64 trials
(docs/rule.md): errors are about 1.3 times what they seem, which 1% makes good."""

MIN_RANDOMISED_PER_SLOT = 2
"""Randomised trials of an adaptive search per slot for a test on them alone."""

_MINIMIZED = {"loss", "error", "nll", "ece", "brier", "sharpness", "latency",
              "memory", "params", "macs", "flops", "perplexity"}  # fmt: skip
"""Words of metrics that are not ours of which less is better."""


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
        end_of_stage: Last slot minus the others of its stage, averaged over stages.
        end_of_model: Late stages minus early ones.
        verdict: ``supported`` or ``contradicted`` only where the whole interval of
            ``end_of_stage`` lies on one side and every check agrees.
        reasons: Why the verdict is what it is, in sentences.
        checks: The rival explanations and whether each is ruled out.
        stages: The contrast of each stage alone.
        end_of_stage_excluding_strided: The contrast without strided first blocks.
        strided_first_blocks: Effects of strided first slots minus the middle ones.
        num_msas: Effect of one more MSA, wherever it stands.
        controls: The contrast with further regressors or another comparison.
        interactions: The strongest pairs of slots, most significant first.
        num_pairs: Pairs that could be tested.
        noise: ``residual_sd``, and ``replicate_sd`` between seeds.
        minimum_detectable_effect: True end-of-stage effect that this table would
            find in 80 of 100 repetitions.
        design: How well the table can answer at all.
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
    end_of_model: Effect
    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    stages: tuple[tuple[int, Effect], ...]
    end_of_stage_excluding_strided: Effect
    strided_first_blocks: Effect
    num_msas: Effect
    controls: dict[str, Effect]
    interactions: tuple[Interaction, ...]
    num_pairs: int
    noise: dict[str, float | int | None]
    minimum_detectable_effect: float | None
    design: dict[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that DESIGN.md fixes, with further keys after its own."""
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
            "verdict_reasons": list(self.reasons),
            "checks": [check.to_dict() for check in self.checks],
            "depths": list(self.depths),
            "stages": [
                {"stage": stage, **effect.to_dict()} for stage, effect in self.stages
            ],
            "end_of_stage_excluding_strided": (
                self.end_of_stage_excluding_strided.to_dict()
            ),
            "strided_first_blocks": self.strided_first_blocks.to_dict(),
            "num_msas": self.num_msas.to_dict(),
            "controls": {
                name: effect.to_dict() for name, effect in self.controls.items()
            },
            "interactions": {
                "num_pairs": self.num_pairs,
                "strongest": [pair.to_dict() for pair in self.interactions],
            },
            "noise": self.noise,
            "minimum_detectable_effect": self.minimum_detectable_effect,
            "design": self.design,
            "level": LEVEL,
            "notes": list(self.notes),
        }


def rule_test(
    source: PlacementTable | str | Path,
    metric: str = "accuracy",
    direction: Direction | None = None,
) -> RuleTest:
    """Test the end-of-stage rule on a table or study.

    Args:
        source: A checked table, or a path to a study, CSV or Parquet file.
        metric: Column to test; a checked table has its own.
        direction: Which way is better; default as the metric is declared.

    Returns:
        The effects, the contrasts and the verdict.

    Raises:
        InputError: The table cannot be used.
    """
    table = source
    if not isinstance(table, PlacementTable):
        table = PlacementTable.read(table, metric)
    direction, assumed = known_direction(table.metric, direction)
    table, level = unbiased_part(table)
    test = _test(table, direction, level)
    return replace(test, notes=(*test.notes, assumed)) if assumed else test


def known_direction(
    metric: str, asked: Direction | None = None
) -> tuple[Direction, str]:
    """Which way a metric is better.

    Args:
        metric: Name of the metric.
        asked: The user's word, which wins.

    Returns:
        The direction, and a note if it was assumed.
    """
    if asked is not None:
        return asked, ""
    if metric == "accuracy":  # known without importing every evaluator and torch
        return "maximize", ""
    from evaluators.registry import all_metrics

    known = all_metrics().get(metric)
    if known is not None:
        return known.direction, ""
    words = set(metric.lower().replace("-", "_").split("_"))
    direction: Direction = "minimize" if words & _MINIMIZED else "maximize"
    return direction, (
        f"direction of {metric!r} assumed from its name: {direction} "
        "(--direction says otherwise)"
    )


def unbiased_part(table: PlacementTable) -> tuple[PlacementTable, float]:
    """Of an adaptive search, the trials that did not depend on results.

    A sampler that comes back to what looked good leaves unlucky placements with their
    bad luck: estimates from all of its trials vary more than they seem to, and no
    weighting by how often a slot was drawn mends that. So only the randomised trials
    count if there are enough of them. Otherwise all are used and the verdict asks for
    more (our choice).

    Args:
        table: The checked table.

    Returns:
        The part to test, with a note that says so, and the two-sided level of the
        verdict.
    """
    if table.sampling == "unknown":
        note = (
            "how the placements were chosen is not known; if a search chose them by "
            "results, the intervals are too short"
        )
        return replace(table, notes=(*table.notes, note)), 1 - LEVEL
    if table.sampling == "uniform":
        return table, 1 - LEVEL
    blind = table.randomised
    num_blind = 0 if blind is None else int(blind.sum())
    wanted = MIN_RANDOMISED_PER_SLOT * sum(table.depths)
    if blind is None or num_blind < wanted:
        note = (
            f"the sampler looked at results and only {num_blind} trials are known to "
            f"be randomised (a test on them alone needs {wanted}): all are used, the "
            "intervals are too short for that, and the verdict asks for 99% instead of "
            "95%"
        )
        return replace(table, notes=(*table.notes, note)), ADAPTIVE_LEVEL
    note = (
        f"the sampler looked at results: only the {num_blind} randomised trials are "
        f"used, {len(blind) - num_blind} are left out"
    )
    return replace(table.only(blind), notes=(*table.notes, note)), 1 - LEVEL


def _test(table: PlacementTable, direction: Direction, level: float) -> RuleTest:
    means = PlacementMeans.of(table)
    layout = SlotLayout(table.depths)
    regression = means.regression()
    contrast = end_of_stage(regression, layout)
    headline = measured(regression, contrast)
    away = end_of_stage(regression, layout, exclude=layout.strided)
    unstrided = measured(regression, away)
    stages = tuple(
        (stage, measured(regression, end_of_stage(regression, layout, stages=[stage])))
        for stage, depth in enumerate(layout.depths, start=1)
        if depth > 1
    )
    controls = {
        "same_count": same_count(means, layout, contrast),
        "beyond_depth": measured(regression, beyond_depth(regression, layout, False)),
        "beyond_depth_within_stage": measured(
            regression, beyond_depth(regression, layout, True)
        ),
        "without_any_one_stage": no_single_stage(regression, layout, contrast.stages),
        "params": params_control(means, layout, contrast),
    }
    sign = -1 if direction == "minimize" else 1
    strided_vary = any(means.bits[:, i].std() > 0 for i in layout.strided)
    checks = _checks(layout, sign, headline, unstrided, controls, strided_vary)
    blocked = _blocked(regression, headline)
    if direction == "none" and not blocked:
        blocked = (
            f"neither side of {table.metric!r} is the better one: choose it with "
            "--direction"
        )
    verdict, reasons = _verdict(headline, sign, checks, blocked, level)
    pairs, num_pairs = interactions(means, layout)
    return RuleTest(
        metric=table.metric,
        direction=direction,
        num_trials=len(table.values),
        num_placements=len(means.means),
        sampling=table.sampling,
        depths=table.depths,
        slots=slot_effects(means, regression, layout),
        end_of_stage=headline,
        end_of_model=measured(regression, end_of_model(regression, layout)),
        verdict=verdict,
        reasons=reasons,
        checks=checks,
        stages=stages,
        end_of_stage_excluding_strided=unstrided,
        strided_first_blocks=strided_effects(regression, layout),
        num_msas=num_msas_effect(means),
        controls=controls,
        interactions=pairs,
        num_pairs=num_pairs,
        noise=_noise(means, regression),
        minimum_detectable_effect=_detectable(headline),
        design=_design(means, regression, contrast),
        notes=table.notes,
    )


def _checks(
    layout: SlotLayout,
    sign: int,
    headline: Effect,
    unstrided: Effect,
    controls: dict[str, Effect],
    strided_vary: bool,
) -> tuple[Check, ...]:
    """The rivals of the side that the headline is on."""
    if headline.effect is None:
        return ()
    side = 1 if headline.effect > 0 else -1
    checks = [
        Check.of(
            "same_count",
            "position is told apart from the number of MSAs in the stage",
            [controls["same_count"]],
            side,
        )
    ]
    if side != sign:
        # Only the claim has to survive the other rivals: an MSA that is better
        # elsewhere than at the end contradicts it, whatever makes it so.
        return tuple(checks)
    checks.append(
        Check.of(
            "beyond_depth",
            "more than a trend over the depth of the model",
            [controls["beyond_depth"], controls["beyond_depth_within_stage"]],
            side,
        )
    )
    if strided_vary:
        checks.append(
            Check.of(
                "not_strided",
                "more than strided first blocks being bad places for an MSA",
                [unstrided],
                side,
            )
        )
    if len(layout.depths) > 1:
        checks.append(
            Check.of(
                "no_single_stage",
                "on average over the stages whichever one is left out",
                [controls["without_any_one_stage"]],
                side,
            )
        )
    return tuple(checks)


def _blocked(regression: SlotRegression, headline: Effect) -> str:
    """Why there can be no verdict at all, or ``""``."""
    if headline.effect is None:
        return f"end of stage cannot be estimated: {headline.reason}"
    if regression.residual_df < MIN_RESIDUAL_DF:
        return (
            f"too few placements: {len(regression.response)} for {regression.rank} "
            f"unknowns; a verdict needs {regression.rank + MIN_RESIDUAL_DF}"
        )
    return ""


def _verdict(
    headline: Effect,
    sign: int,
    checks: tuple[Check, ...],
    blocked: str,
    level: float,
) -> tuple[Verdict, tuple[str, ...]]:
    if blocked:
        return "inconclusive", (blocked,)
    assert headline.effect is not None and headline.p is not None
    interval = f"{1 - level:.0%} interval of end of stage"
    if headline.p >= level:
        return "inconclusive", (f"the {interval} holds zero",)
    failed = [check for check in checks if not check.passed]
    if failed:
        return "inconclusive", (
            f"the {interval} lies on one side of zero, but",
            *(f"not shown: {check.claim} ({check.finding})" for check in failed),
        )
    verdict: Verdict = "supported" if headline.effect * sign > 0 else "contradicted"
    side = "good" if verdict == "supported" else "bad"
    return verdict, (
        f"the whole {interval} lies on the {side} side",
        *(f"shown: {check.claim} ({check.finding})" for check in checks),
    )


def _noise(
    means: PlacementMeans, regression: SlotRegression
) -> dict[str, float | int | None]:
    residual = regression.noise
    return {
        "residual_sd": None if np.isnan(residual) else residual,
        "replicate_sd": means.replicate_sd,
        "replicate_df": means.replicate_df,
    }


def _detectable(headline: Effect) -> float | None:
    from nas.rule.power import detectable

    if headline.standard_error is None or headline.df is None:
        return None
    return detectable(headline.standard_error, headline.df)


def _design(
    means: PlacementMeans, regression: SlotRegression, contrast: Contrast
) -> dict[str, Any]:
    bits = means.bits
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
        "max_slot_correlation": largest,
        "stages_compared": list(contrast.stages),
        "placements_by_num_msas": {
            str(count): int(time) for count, time in zip(counts, times, strict=True)
        },
    }
