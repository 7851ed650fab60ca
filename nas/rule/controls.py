"""The parts of a rule test: effects with intervals, rivals, and pairs of slots."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from nas.rule.contrasts import Contrast, SlotLayout, end_of_stage
from nas.rule.placement_means import PlacementMeans
from nas.rule.slot_regression import LEVEL, Estimate, SlotRegression, t_quantile

Floats = npt.NDArray[np.float64]

MAX_PAIRS = 10
"""Pairs of slots that a result lists (our choice; all of them are tested)."""


RIVAL_LEVEL = 0.05
"""One-sided level at which a rival explanation must be ruled out. All of them must be,
so the chance of a false verdict under any one of them is at most this."""

ONE_STAGE_LEVEL = 0.10
"""The same where one stage alone carries the comparison (stages of two blocks, or two
stages): at 5% that stage would miss one in eight true effects of one standard deviation
in 64 trials (our choice)."""


@dataclass(frozen=True)
class Effect:
    """An effect in the metric's unit, or the reason why there is none.

    Attributes:
        effect: Its value.
        ci: Its 95% interval.
        p: Two-sided p-value.
        p_above: One-sided p-value of the effect not being positive.
        standard_error: Robust standard error.
        df: Degrees of freedom of its t distribution.
        stages: Stages that take part.
        reason: Why it could not be estimated, or ``""``.
    """

    effect: float | None = None
    ci: tuple[float | None, float | None] = (None, None)
    p: float | None = None
    p_above: float | None = None
    standard_error: float | None = None
    df: float | None = None
    stages: tuple[int, ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, estimate: Estimate | None, stages: tuple[int, ...] = ()) -> "Effect":
        """Take over an estimate; ``None`` means that no spare placement is left."""
        if estimate is None:
            return cls(reason="no more placements than unknowns: no interval")
        return cls(
            estimate.effect,
            estimate.ci,
            estimate.p,
            estimate.p_above(),
            estimate.standard_error,
            estimate.df,
            stages,
        )

    def one_sided(self, side: int) -> float:
        """P-value of the effect not being on that side; 1 if there is no effect."""
        if self.p_above is None:
            return 1.0
        return self.p_above if side > 0 else 1 - self.p_above

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; ``reason`` only where there is one."""
        data: dict[str, Any] = {
            "effect": self.effect,
            "ci": list(self.ci),
            "p": self.p,
            "standard_error": self.standard_error,
            "df": self.df,
        }
        if self.stages:
            data["stages"] = list(self.stages)
        if self.reason:
            data["reason"] = self.reason
        return data


@dataclass(frozen=True)
class SlotEffect:
    """The change from turning one slot from C to M, the others held fixed.

    Attributes:
        stage: Stage, from 1.
        block: Block of the stage, from 1.
        effect: The effect.
        p_holm: P-value after Holm's correction for all slots.
        num_msa: Placements with an MSA here.
        strided: Whether the block also halves the map.
    """

    stage: int
    block: int
    effect: Effect
    p_holm: float | None
    num_msa: int
    strided: bool

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "stage": self.stage,
            "block": self.block,
            **self.effect.to_dict(),
            "p_holm": self.p_holm,
            "num_msa": self.num_msa,
            "strided": self.strided,
        }


@dataclass(frozen=True)
class Interaction:
    """What two MSAs do together beyond the sum of what each does.

    Attributes:
        slots: Stage and block of both.
        effect: The effect.
        p_holm: P-value after Holm's correction for all pairs.
    """

    slots: tuple[tuple[int, int], tuple[int, int]]
    effect: Effect
    p_holm: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "slots": [{"stage": s, "block": b} for s, b in self.slots],
            **self.effect.to_dict(),
            "p_holm": self.p_holm,
        }


@dataclass(frozen=True)
class Check:
    """A rival explanation, and whether the data rule it out.

    Attributes:
        name: Short name.
        claim: What must be shown.
        passed: Whether it was.
        finding: The numbers, or why there are none.
    """

    name: str
    claim: str
    passed: bool
    finding: str

    @classmethod
    def of(cls, name: str, claim: str, effects: Sequence[Effect], side: int) -> "Check":
        """Pass if one of the effects lies on that side (Bonferroni over them)."""
        found = [effect for effect in effects if effect.effect is not None]
        if not found:
            return cls(name, claim, False, effects[0].reason)
        best = min(found, key=lambda effect: effect.one_sided(side))
        p = min(1.0, len(found) * best.one_sided(side))
        level = ONE_STAGE_LEVEL if len(best.stages) == 1 else RIVAL_LEVEL
        return cls(name, claim, p < level, f"one-sided p = {p:.3g}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "claim": self.claim,
            "passed": self.passed,
            "finding": self.finding,
        }


def measured(regression: SlotRegression, contrast: Contrast) -> Effect:
    """Estimate a contrast, or say why it cannot be."""
    if contrast.weights is None:
        return Effect(reason=contrast.reason)
    return Effect.of(regression.estimate(contrast.weights), contrast.stages)


def slot_effects(
    means: PlacementMeans, regression: SlotRegression, layout: SlotLayout
) -> tuple[SlotEffect, ...]:
    """The effect of every slot, Holm-corrected over those that can be estimated."""
    num_msa = means.bits.sum(axis=0)
    num_rows = len(means.bits)
    effects = []
    for index in range(layout.num_slots):
        if num_msa[index] in (0, num_rows):
            kind = "MSA" if num_msa[index] else "Conv"
            effects.append(Effect(reason=f"never varied: {kind} in every placement"))
        elif not regression.estimable(layout.unit(index)):
            effects.append(
                Effect(reason="collinear: changed only together with other slots")
            )
        else:
            effects.append(Effect.of(regression.estimate(layout.unit(index))))
    corrected = iter(_holm([e.p for e in effects if e.p is not None]))
    return tuple(
        SlotEffect(
            stage,
            block,
            effect,
            None if effect.p is None else next(corrected),
            int(num_msa[index]),
            index in layout.strided,
        )
        for index, ((stage, block), effect) in enumerate(
            zip(layout.slots, effects, strict=True)
        )
    )


def _holm(p_values: list[float]) -> list[float]:
    if not p_values:
        return []
    # statsmodels' multipletests gives the same numbers but runs the garbage
    # collector at every call, which took 95% of a test's time.
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * np.asarray(p_values)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in corrected]


def strided_effects(regression: SlotRegression, layout: SlotLayout) -> Effect:
    """Strided first slots minus the middle slots of their stages, averaged.

    Middle slots are neither first nor last; where a stage has none (two blocks), its
    last slot stands in.
    """
    total = np.zeros(layout.num_slots)
    used = []
    for stage in range(2, len(layout.depths) + 1):
        first, *others = layout.of_stage(stage)
        others = [
            other
            for other in (others[:-1] or others)
            if regression.estimable(layout.unit(first) - layout.unit(other))
        ]
        if others:
            total += layout.unit(first) - layout.unit(*others)
            used.append(stage)
    if not used:
        return Effect(reason="no strided first slot was varied apart from another one")
    return Effect.of(regression.estimate(total / len(used)), tuple(used))


def num_msas_effect(means: PlacementMeans) -> Effect:
    """The slope of the metric over the number of MSAs, position ignored."""
    counts = means.bits.sum(axis=1, keepdims=True)
    regression = SlotRegression(counts, means.means, means.weights)
    if not regression.estimable(np.ones(1)):
        return Effect(reason="every placement has the same number of MSAs")
    return Effect.of(regression.estimate(np.ones(1)))


def same_count(means: PlacementMeans, layout: SlotLayout, contrast: Contrast) -> Effect:
    """The end-of-stage contrast with curved effects of the MSA counts held fixed.

    The slots already carry a straight effect of the count; here the squares of each
    stage's count and of the total are regressors too. In a family that always fills a
    stage from its end, "last slot" and "first MSA of the stage" are the same thing:
    then these regressors are collinear with the slots and nothing can be told.
    """
    if contrast.weights is None:
        return Effect(reason=contrast.reason)
    counts = np.stack(
        [
            means.bits[:, layout.of_stage(stage)].sum(axis=1)
            for stage in range(1, len(layout.depths) + 1)
        ],
        axis=1,
    )
    squares = np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1) ** 2
    regression = means.regression(squares)
    adjusted = end_of_stage(regression, layout)
    if adjusted.weights is None:
        return Effect(
            reason="position and number of MSAs always changed together in this table"
        )
    return measured(regression, adjusted)


def params_control(
    means: PlacementMeans, layout: SlotLayout, contrast: Contrast
) -> Effect:
    """The end-of-stage contrast at equal parameter count.

    Parameters follow from the placement, so they cannot join the slots as a regressor;
    here the slots of a stage share one effect, except that placements are told apart
    by their parameters and by how many stages end in an MSA. The effect is that of one
    more stage that ends in an MSA.
    """
    if means.params is None:
        return Effect(reason="the table has no column 'params'")
    if contrast.weights is None:
        return Effect(reason=contrast.reason)
    ends = np.zeros((len(means.means), 1))
    counts = []
    for stage in contrast.stages:
        slots = layout.of_stage(stage)
        ends[:, 0] += means.bits[:, slots[-1]]
    for stage in range(1, len(layout.depths) + 1):
        counts.append(means.bits[:, layout.of_stage(stage)].sum(axis=1))
    others = np.stack([*counts, means.params - means.params.mean()], axis=1)
    regression = SlotRegression(ends, means.means, means.weights, others)
    if not regression.estimable(np.ones(1)):
        return Effect(reason="collinear with the MSA counts and the parameters")
    return Effect.of(regression.estimate(np.ones(1)), contrast.stages)


def no_single_stage(
    regression: SlotRegression, layout: SlotLayout, stages: Sequence[int]
) -> Effect:
    """The weakest end-of-stage contrast with one of its stages left out.

    The partial conjunction of Benjamini & Heller (2008, Biometrics 64:1215) for two
    stages or more: if only one stage has the effect, leaving out that one leaves none.
    """
    if len(stages) < 2:
        return Effect(reason="only one stage could be compared at all")
    rest = [
        measured(
            regression,
            end_of_stage(regression, layout, stages=[s for s in stages if s != out]),
        )
        for out in stages
    ]
    if any(effect.effect is None for effect in rest):
        return rest[0]
    return min(rest, key=lambda effect: abs(effect.effect or 0.0))


def interactions(
    means: PlacementMeans, layout: SlotLayout
) -> tuple[tuple[Interaction, ...], int]:
    """Test each pair of slots for more or less than the sum of its two effects.

    One pair at a time is added to the slots (Frisch-Waugh-Lovell: the product's
    residual on the slots carries its effect), with HC2-style robust errors.

    Args:
        means: One row a placement.
        layout: The slots.

    Returns:
        The most significant pairs, and how many pairs could be tested.
    """
    base = means.regression()
    df = base.residual_df - 1
    if df < 1:
        return (), 0
    root = np.sqrt(means.weights)
    exog = base.design * root[:, None]
    basis, singular, _ = np.linalg.svd(exog, full_matrices=False)
    basis = basis[:, singular > 1e-8 * singular[0]]
    pairs = [
        (i, j) for i in range(layout.num_slots) for j in range(i + 1, layout.num_slots)
    ]
    if not pairs:
        return (), 0
    first, second = map(list, zip(*pairs, strict=True))
    products = means.bits[:, first] * means.bits[:, second] * root[:, None]
    products -= basis @ (basis.T @ products)
    sizes = (products**2).sum(axis=0)
    usable = np.flatnonzero(sizes > 1e-6)
    if not len(usable):
        return (), 0
    products, sizes = products[:, usable], sizes[usable]
    response = root * means.means
    response = response - basis @ (basis.T @ response)
    effects = products.T @ response / sizes
    leverage = (basis**2).sum(axis=1)[:, None] + products**2 / sizes
    residuals = response[:, None] - products * effects
    spare = np.maximum(1 - leverage, 1e-8)
    # A pair that a single placement carries has no residual there to judge it by.
    carried = (leverage > 1 - 1e-6) & (np.abs(products) > 1e-9)
    errors = np.sqrt((products**2 * residuals**2 / spare).sum(axis=0)) / sizes
    classical = np.sqrt((residuals**2).sum(axis=0) / df / sizes)
    errors = np.where(carried.any(axis=0), classical, errors)
    floor = 1e-9 * float(np.abs(means.means).max())
    settled = (errors <= floor) & (np.abs(effects) <= floor)
    ratios = np.where(settled, 0.0, effects / np.maximum(errors, 1e-300))
    p_values = 2 * special.stdtr(df, -np.abs(ratios))
    corrected = _holm(p_values.tolist())
    half = t_quantile(0.5 + LEVEL / 2, df) * errors
    slots = layout.slots
    found = []
    for rank in np.argsort(p_values, kind="stable")[:MAX_PAIRS]:
        i, j = pairs[usable[rank]]
        effect = Effect(
            float(effects[rank]),
            (float(effects[rank] - half[rank]), float(effects[rank] + half[rank])),
            float(p_values[rank]),
            standard_error=float(errors[rank]),
            df=float(df),
        )
        found.append(Interaction((slots[i], slots[j]), effect, corrected[rank]))
    return tuple(found), len(usable)
