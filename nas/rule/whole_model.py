"""Effects beside those of slots: the number of MSAs, and ends at equal parameters."""

import numpy as np

from nas.rule.effect import Effect
from nas.rule.placement_means import PlacementMeans
from nas.rule.rivals import msa_counts
from nas.rule.slot_layout import SlotLayout
from nas.rule.slot_regression import SlotRegression


def num_msas_effect(means: PlacementMeans) -> Effect:
    """The slope of the metric over the number of MSAs, position ignored."""
    counts = means.bits.sum(axis=1, keepdims=True)
    regression = SlotRegression(
        counts, means.means, means.weights, means.others, means.clusterings
    )
    if not regression.estimable(np.ones(1)):
        return Effect(reason="every placement has the same number of MSAs")
    return Effect.of(regression.estimate(np.ones(1)))


def params_control(
    means: PlacementMeans, layout: SlotLayout, stages: tuple[int, ...]
) -> Effect:
    """The end-of-stage contrast at equal parameter count.

    Parameters follow from the placement, so they cannot join the slots as a regressor;
    here the slots of a stage share one effect, except that placements are told apart
    by their parameters, by strided first blocks, and by how many stages end in an MSA.
    The effect is that of one more stage that ends in an MSA.

    Args:
        means: One row a placement.
        layout: The slots.
        stages: Stages whose ends count.

    Returns:
        The effect, or why there is none.
    """
    if means.params is None:
        return Effect(reason="the table has no column 'params'")
    if not stages:
        return Effect(reason="in no stage can the last slot be compared")
    last = [layout.of_stage(stage)[-1] for stage in stages]
    ends = means.bits[:, last].sum(axis=1, keepdims=True)
    parts = [
        msa_counts(means.bits, layout),
        means.bits[:, layout.strided].sum(axis=1, keepdims=True),
        (means.params - means.params.mean())[:, None],
    ]
    if means.others is not None:
        parts.append(means.others)
    regression = SlotRegression(
        ends, means.means, means.weights, np.concatenate(parts, axis=1),
        means.clusterings,
    )  # fmt: skip
    if not regression.estimable(np.ones(1)):
        return Effect(reason="collinear with the MSA counts and the parameters")
    return Effect.of(regression.estimate(np.ones(1)), stages)
