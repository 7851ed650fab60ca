"""The words that are no metrics: columns of a trial table, attributes of a trial.

One list for everybody who tells metrics from the rest. A study itself records which
metrics its trials have (:meth:`nas.ledger.ledger.Ledger.complete`); the list is needed
where nobody has recorded it: tables from elsewhere, and studies of before 2026-12.
"""

from collections.abc import Iterable
from functools import lru_cache

from search_spaces.errors import InputError

FIRST_COLUMNS = ("number", "state", "placement", "seed", "epochs")
"""Columns of a trial table before the metrics."""

LAST_COLUMNS = (
    "duration_s",
    "architecture",
    "baseline",
    "scorer",
    "rung",
    "error",
    "cause",
    "signal",
    "node",
    "retry_of",
    "retried_as",
    "started",
    "finished",
)
"""Columns of a trial table after the metrics."""

RESERVED = frozenset(
    {
        *FIRST_COLUMNS,
        *LAST_COLUMNS,
        "split_seed",  # a column of studies whose trials draw a split of their own
        # attributes of a row of the ledger
        "architecture_id",
        "standard_errors",
        "rungs",
        "losses",
        "crashes",
        "duplicate_of",
        "infeasible",
        "not_finite",
        # columns that the tables of `nas pareto` and `nas rule` add
        "sampled",
        "cluster",
        "supernet",
        "parent",
        "scorer",
        "is_pareto",
        "is_feasible",
        "is_baseline",  # of trial tables of before 2026-12
    }
)
"""Names that no metric may have."""

PARAMETER = "param."
"""How the names of columns with what the sampler chose begin."""


@lru_cache(maxsize=1024)  # asked of every attribute of every trial
def is_reserved(name: str) -> bool:
    """Whether a name is a column's or an attribute's, and so no metric's."""
    return name in RESERVED or name.startswith(PARAMETER)


def check_metric_names(names: Iterable[str]) -> None:
    """Refuse metrics that would overwrite another column of the trial table.

    Args:
        names: Names of metrics.

    Raises:
        InputError: One of them is a column's.
    """
    if taken := sorted(name for name in set(names) if is_reserved(name)):
        raise InputError(
            f"a metric cannot be named {', '.join(map(repr, taken))}: the trial table "
            "has a column, or a trial an attribute, of that name; choose another name"
        )
