"""Which trials were chosen without looking at results."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from nas.config import SamplingConfig

UNIFORM_SAMPLERS = frozenset({"random", "uniform", "factorial", "swaps", "exhaustive"})
"""Samplers whose choice does not depend on the results."""


def without_promising(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The trials of a search in two steps that no score has chosen.

    Args:
        frame: The table of a study.

    Returns:
        The table without those that its first step found promising, and a note if
        there were any.
    """
    if "sampled" not in frame.columns:
        return frame, ()
    promising = (frame["sampled"] == "promising").to_numpy(dtype=bool)
    if not promising.any():
        return frame, ()
    note = (
        f"{int(promising.sum())} trials were chosen by their scores and are left out: "
        "the random part alone is tested"
    )
    return frame[~promising].reset_index(drop=True), (note,)


def num_startup(search: "SamplingConfig") -> int:
    """Proposals that a sampler draws at random before it looks at results."""
    if search.sampler in ("tpe", "gp"):
        return int(search.options.get("n_startup_trials", 10))  # Optuna's default
    if search.sampler == "nsga2":  # its first generation; see nas.sampling.samplers
        population = max(4, min(50, search.trials // 8))
        return int(search.options.get("population_size", population))
    return 0


def randomised(frame: pd.DataFrame, rows: Any) -> npt.NDArray[np.bool_] | None:
    """Which rows were drawn without looking at results, by the column ``sampled``.

    ``random``, ``startup``, ``baseline`` and the names of uniform samplers count; a
    baseline is fixed before the first result.
    """
    if "sampled" not in frame.columns:
        return None
    blind = UNIFORM_SAMPLERS | {"startup", "baseline", "enqueued"}
    said = frame["sampled"].iloc[rows].astype(str).str.strip().str.lower()
    return np.array([word in blind for word in said], dtype=bool)
