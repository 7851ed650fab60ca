"""Verdicts that no plan announced: corrected for all metrics of the study."""

from nas.rule import contrasts
from nas.rule.declared_metric import known_direction
from nas.rule.effect import holm, measured
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable
from nas.rule.plan import RulePlan
from nas.rule.unbiased_part import unbiased_part


def corrected(table: PlacementTable) -> tuple[float | None, float]:
    """Holm's p-value of an exploratory headline, and the share of the level left."""
    p_values = []
    for one in (table, *table.family):
        if one is not table and known_direction(one.metric) == "none":
            continue
        means = PlacementMeans.of(unbiased_part(one)[0])
        regression = means.regression()
        layout = one.layout
        found = measured(regression, contrasts.end_of_stage(regression, layout))
        if one is table and found.p is None:
            return None, 1.0
        if found.p is not None:
            p_values.append(found.p)
    corrected = holm(p_values)[0]
    if p_values[0] == 0:
        return corrected, 1 / len(p_values)
    return corrected, p_values[0] / corrected


def exploratory_note(
    table: PlacementTable, plan: RulePlan, level: float, share: float
) -> str:
    """What a reader of an unplanned verdict must know.

    Args:
        table: The table of its metric.
        plan: The plan that is about another metric.
        level: Two-sided level of a planned verdict.
        share: Share of it that the correction leaves.
    """
    return (
        f"exploratory: the registered plan {plan.digest} is about {plan.metric!r}; the "
        f"level of this verdict is {level * share:.2g} instead of {level:g} (Holm, "
        f"{len(table.family) + 1} metrics)"
    )
