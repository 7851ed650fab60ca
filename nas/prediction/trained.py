"""A table of trained placements, put together for the model.

A column ``placement`` and the metric are enough. ``state``, ``seed`` and ``epochs``
are used as the rule test uses them. Rows without the metric are placements that nobody
trained: they say what else is in the space, what it costs and which covariates it has.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.ledger.columns import is_reserved
from nas.prediction.cluster_shifts import cluster_shifts
from nas.prediction.slot_space import SlotSpace
from nas.rule.checked_frame import CheckedFrame
from nas.rule.table_file import read_frame
from nas.study.reliability import Reliability, reliability
from search_spaces.errors import InputError
from search_spaces.placement import Placement

Floats = npt.NDArray[np.float64]

MIN_PLACEMENTS = 3
"""Fewest different placements from which anything is predicted (our choice)."""


@dataclass(frozen=True, eq=False)
class TrainedTable:
    """What was trained, and what the table knows of other placements.

    Attributes:
        source: Where the table came from, for messages.
        metric: Name of the metric.
        placements: Every trained placement once.
        means: Mean of the metric over the trainings of each.
        counts: Trainings of each.
        within: Sum of squared deviations of trainings from their placement's mean.
        known: Every placement of the table, trained or not, as index; the other
            numeric columns, averaged over its rows.
        reliability: ICC of single trainings; ``None`` if too few were repeated.
        epochs: Budget of the used rows, or ``None``.
        notes: What was left out, in sentences.
    """

    source: str
    metric: str
    placements: tuple[str, ...]
    means: Floats
    counts: Floats
    within: float
    known: pd.DataFrame
    reliability: Reliability | None
    epochs: int | None
    notes: tuple[str, ...]

    @property
    def num_trials(self) -> int:
        """Trainings that were used."""
        return int(self.counts.sum())

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(map(len, self.placements[0].split("-")))

    @property
    def space(self) -> SlotSpace:
        """Every combination of the letters that the table has in each slot."""
        return SlotSpace.of_placements([tuple(p.split("-")) for p in self.known.index])

    @property
    def trained_space(self) -> SlotSpace:
        """Every combination of the letters that were *trained* in each slot."""
        return SlotSpace.of_placements([tuple(p.split("-")) for p in self.placements])

    @classmethod
    def read(cls, path: str | Path, metric: str = "accuracy") -> "TrainedTable":
        """Read a CSV or Parquet file.

        Args:
            path: The file.
            metric: Column to predict.

        Raises:
            InputError: The file cannot be read or does not hold such a table.
        """
        path = Path(path)
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise InputError(
                "a prediction needs a study directory, a .csv or a .parquet file; got "
                f"{str(path)!r}" + ("" if path.exists() else ", which does not exist")
            )
        row_name = "line {}" if path.suffix.lower() == ".csv" else "row {}"
        return cls.of_frame(read_frame(path), metric, str(path), row_name)

    @classmethod
    def of_frame(
        cls,
        frame: pd.DataFrame,
        metric: str = "accuracy",
        source: str = "the table",
        row_name: str = "row {}",
    ) -> "TrainedTable":
        """Check a data frame.

        Args:
            frame: One row a training; the columns of the module docstring.
            metric: Column to predict.
            source: Where it came from, for messages.
            row_name: How a message names a row.

        Raises:
            InputError: A column is missing, a cell cannot be used, or there are fewer
                than :data:`MIN_PLACEMENTS` trained placements or only one value.
        """
        if "placement" not in frame.columns:
            raise InputError(
                f"a table of placements has a column 'placement'; {source} has "
                + (", ".join(map(repr, map(str, frame.columns))) or "no columns")
            )
        checked = CheckedFrame(frame, source, row_name)
        values = checked.metric(metric)
        names = _placements(checked)
        notes: list[str] = []
        keep = checked.complete(notes)
        if count := int((keep & ~np.isfinite(values)).sum()):
            notes.append(
                f"{count} {'row has' if count == 1 else 'rows have'} no finite "
                f"{metric!r} and count as not trained"
            )
        keep = checked.one_scorer(keep & np.isfinite(values), notes)
        epochs, keep = checked.one_budget(keep, notes)
        used = pd.DataFrame({"placement": names, "value": values})[keep]
        used["run"] = checked.runs(keep)
        _take_shifts_away(used, checked, keep, notes)
        runs = used.groupby(["placement", "run"])["value"].mean()
        if repeated := len(used) - len(runs):
            notes.append(
                f"{repeated} rows repeat the placement and the seed of another row; "
                "each such group counts as one training (its mean)"
            )
        by_placement = runs.groupby("placement")
        means, counts = by_placement.mean(), by_placement.size()
        within = float(((runs - by_placement.transform("mean")) ** 2).sum())
        if len(means) < MIN_PLACEMENTS:
            raise InputError(
                f"to predict {metric!r}, at least {MIN_PLACEMENTS} different "
                f"placements must be trained; {source} has {len(means)}"
            )
        if np.ptp(means.to_numpy()) <= 1e-12 * max(1.0, float(means.abs().max())):
            raise InputError(
                f"there is nothing to predict: every trained placement of {source} has "
                f"{metric} {means.iloc[0]:.6g}"
            )
        return cls(
            source,
            metric,
            tuple(map(str, means.index)),
            means.to_numpy(dtype=float),
            np.asarray(counts, dtype=float),
            within,
            _known(checked, names, metric),
            reliability(runs.index.get_level_values(0).tolist(), runs.tolist()),
            epochs,
            tuple(notes),
        )

    def column(self, name: str) -> "pd.Series[float]":
        """A numeric column by placement; gaps are NaN.

        Args:
            name: Its name.

        Raises:
            InputError: There is no such column.
        """
        if name not in self.known.columns:
            there = ", ".join(map(str, self.known.columns)) or "none"
            raise InputError(
                f"{self.source} has no numeric column {name!r} beside the metric; "
                f"there are {there}"
            )
        return self.known[name]


def _placements(checked: CheckedFrame) -> list[str]:
    names: list[str] = []
    depths: tuple[int, ...] | None = None
    for index, cell in enumerate(checked.frame["placement"]):
        try:
            text = "" if pd.isna(cell) else str(cell).strip()
            found = Placement.parse(text).depths
        except InputError as error:
            raise InputError(
                f"column 'placement', {checked.row(index)} of {checked.source}: {error}"
            ) from error
        if depths is not None and found != depths:
            raise InputError(
                "all placements of a table must have the same depths: "
                f"{names[0]} has {depths}, {checked.row(index)} has {found} ({text})"
            )
        depths = found
        names.append(text)
    return names


def _take_shifts_away(
    used: pd.DataFrame,
    checked: CheckedFrame,
    keep: npt.NDArray[np.bool_],
    notes: list[str],
) -> None:
    """Values as they would be in a cluster of average luck, if there are clusters."""
    column = checked.cluster_column(keep)
    if column is None:
        return
    labels = checked.texts(column, keep).tolist()
    if len(set(labels)) < 2:
        return
    values = used["value"].to_numpy(dtype=float)
    shifts = cluster_shifts(values, used["placement"].tolist(), labels)
    if shifts is None:
        notes.append(f"no shift common to the rows of one {column!r} is seen")
        return
    used["value"] = values - shifts
    notes.append(
        f"what the rows of one {column!r} have in common (an SD of {shifts.std():.3g}) "
        "is taken away: predictions are for one of average luck, and do not count how "
        "well its luck is known"
    )


def _known(checked: CheckedFrame, names: list[str], metric: str) -> pd.DataFrame:
    frame = checked.frame
    numeric = [
        name
        for name in frame.columns
        if name != metric
        and (not is_reserved(name) or name == "duration_s")
        and not str(name).startswith("param.")
        and pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    ]
    columns = {str(name): checked.floats(str(name)) for name in numeric}
    known = pd.DataFrame(columns, index=pd.Index(names, name="placement"))
    return known.groupby(level=0).mean()
