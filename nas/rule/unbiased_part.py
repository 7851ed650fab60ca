"""The part of a table that a search did not choose by its results."""

from dataclasses import replace

from nas.rule.placement_table import PlacementTable
from nas.rule.slot_regression import LEVEL

ADAPTIVE_LEVEL = 0.01
"""Two-sided level instead of 5% where the sampler looked at results. With TPE and
NSGA-II on pure noise, 5% intervals missed zero in up to 13% of searches of 64 trials
(docs/rule.md): errors are about 1.3 times what they seem, which 1% makes good."""

MIN_RANDOMISED_PER_SLOT = 2
"""Randomised trials of an adaptive search per slot for a test on them alone."""


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
