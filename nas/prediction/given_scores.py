"""Scores of placements from another study or table, joined to the trained ones.

A supernet scores every placement without training it. Its scores are no trainings: they
enter the model as a covariate, whose weight the trained placements decide.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nas.prediction.candidates import COSTS
from nas.prediction.trained import TrainedTable
from nas.rule.checked_frame import CheckedFrame
from nas.rule.table_file import read_frame
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

SCORED_BY = ("supernet", "distilled")
"""Scorers whose metrics are scores, not results of trainings."""

_OF_A_SCORER = ("nll", "accuracy")
"""Of these metrics of a scored study the first that it has is the score: steps of the
accuracy are coarse, and it ranked worse (benchmarks/README.md)."""


def with_scores(
    table: TrainedTable, source: "str | Path | Study | pd.DataFrame"
) -> tuple[TrainedTable, tuple[str, ...]]:
    """Join scores to a table by placement.

    Args:
        table: Trained placements.
        source: A study or a table with a column ``placement``. Where its column
            ``scorer`` (or a column ``supernet``) says that these are scores, the mean
            ``nll`` over its rows becomes ``supernet_nll`` (``distilled_nll``); of
            another table every numeric column but costs is a score, under its own name
            (``score_NAME`` where the trained table has such a column).

    Returns:
        The table with the scores among what is known of placements, trained or not,
        and their names.

    Raises:
        InputError: It cannot be read, has no score, or shares no placement with what
            was trained.
    """
    frame, name = _frame(source)
    scores = _scores(frame, name, table)
    shared = scores.index.intersection(list(table.placements))
    if not len(shared):
        raise InputError(
            f"{name} scores none of the {len(table.placements)} trained placements of "
            f"{table.source}, e.g. {table.placements[0]}; it has "
            f"{', '.join(map(str, scores.index[:2]))}, ..."
        )
    known = table.known.join(scores, how="outer").sort_index()
    known.index.name = table.known.index.name
    note = (
        f"{', '.join(map(str, scores))} of {name}: {len(scores)} placements, "
        f"{len(shared)} of the {len(table.placements)} trained ones"
    )
    joined = replace(table, known=known, notes=(*table.notes, note))
    return joined, tuple(map(str, scores))


def _frame(source: "str | Path | Study | pd.DataFrame") -> tuple[pd.DataFrame, str]:
    from nas.study.study import Study

    if isinstance(source, pd.DataFrame):
        return source, "the table of scores"
    if not isinstance(source, Study):
        path = Path(source)
        if not path.is_dir():
            return read_frame(path), str(path)
        source = Study.open(path)
    return source.table(), str(source.path)


def _scores(frame: pd.DataFrame, name: str, table: TrainedTable) -> pd.DataFrame:
    checked = CheckedFrame(frame, name)
    rows = np.flatnonzero(checked.complete([]))
    names = list(checked.placements(rows))
    if names and tuple(map(len, names[0].split("-"))) != table.depths:
        raise InputError(
            f"scores must be of placements with the depths {list(table.depths)} of "
            f"{table.source}; {name} has {names[0]}"
        )
    columns = {metric: checked.floats(metric)[rows] for metric in checked.metrics()}
    scorer = _scorer(frame, rows)
    if scorer:
        found = [one for one in _OF_A_SCORER if one in columns]
        columns = {f"{scorer}_{one}": columns[one] for one in found[:1]}
    for other in (table.metric, *COSTS):
        columns.pop(other, None)
    columns = {one: values for one, values in columns.items() if _varies(values)}
    # A metric that trainings have too is another quantity here.
    taken = table.known.columns
    columns = {
        f"score_{one}" if one in taken else one: values
        for one, values in columns.items()
    }
    if not columns:
        raise InputError(
            f"a table of scores has numeric columns beside {table.metric!r}, which is "
            f"predicted, and costs; {name} has none (name its scores otherwise, e.g. "
            f"supernet_{table.metric})"
        )
    scores = pd.DataFrame(columns, index=pd.Index(names, name="placement"))
    return scores.groupby(level=0).mean()


def _varies(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> bool:
    """Whether a score tells placements apart; some may have none."""
    there = values[np.isfinite(values)]
    return bool(there.size) and float(np.ptp(there)) > 0


def _scorer(
    frame: pd.DataFrame, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]"
) -> str:
    """Who scored all rows; ``""`` if nobody says so."""
    if "scorer" in frame.columns:
        words = set(frame["scorer"].iloc[rows].astype(str))
        return next((one for one in SCORED_BY if words == {one}), "")
    return "supernet" if "supernet" in frame.columns else ""
