"""The effect of an MSA in every slot, and the slots that hardly vary."""

import numpy as np
import numpy.typing as npt

from nas.rule.effect import Effect, SlotEffect, holm
from nas.rule.placement_means import PlacementMeans
from nas.rule.slot_layout import SlotLayout
from nas.rule.slot_regression import SlotRegression

FEW_OF_A_LETTER = 8
"""Fewer placements than this with either letter in a slot draw a warning (our choice:
with 8 the effect of a slot has a standard error of half a noise SD at best)."""


def slot_effects(
    means: PlacementMeans, regression: SlotRegression, layout: SlotLayout
) -> tuple[SlotEffect, ...]:
    """The effect of every slot, Holm-corrected over those that can be estimated."""
    num_msa, num_conv = _counts(means)
    effects = []
    for index in range(layout.num_slots):
        if num_msa[index] == 0:
            kind = "Conv" if num_conv[index] == means.num_placements else "no MSA"
            effects.append(Effect(reason=f"never varied: {kind} in every placement"))
        elif num_msa[index] == means.num_placements:
            effects.append(Effect(reason="never varied: MSA in every placement"))
        elif not regression.estimable(layout.unit(index)):
            effects.append(
                Effect(reason="collinear: changed only together with other slots")
            )
        else:
            effects.append(Effect.of(regression.estimate(layout.unit(index))))
    corrected = iter(holm([e.p for e in effects if e.p is not None]))
    return tuple(
        SlotEffect(
            stage,
            block,
            effect,
            None if effect.p is None else next(corrected),
            int(num_msa[index]),
            int(num_conv[index]),
            index in layout.strided,
        )
        for index, ((stage, block), effect) in enumerate(
            zip(layout.slots, effects, strict=True)
        )
    )


def thin_slots(
    means: PlacementMeans, layout: SlotLayout, letter: str
) -> tuple[str, ...]:
    """Slots that vary, but hardly."""
    msas, convs = _counts(means)
    thin = [
        f"stage {stage} block {block} ({int(m)} {letter}, {int(c)} C)"
        for (stage, block), m, c in zip(layout.slots, msas, convs, strict=True)
        if min(m, c) and min(m, c) < FEW_OF_A_LETTER
    ]
    if not thin:
        return ()
    more = f" and {len(thin) - 5} more" if len(thin) > 5 else ""
    return (
        f"fewer than {FEW_OF_A_LETTER} placements with either letter in "
        f"{', '.join(thin[:5])}{more}: what is said there rests on few networks",
    )


def _counts(
    means: PlacementMeans,
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Placements with the compared letter and with a C in each slot."""
    bits, convs = (part[means.distinct] for part in (means.bits, means.convs))
    return bits.sum(axis=0).astype(int), convs.sum(axis=0).astype(int)
