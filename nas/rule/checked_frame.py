"""A data frame of trials, checked cell by cell as far as a table of placements needs.

What does not fit is refused with the row and column that are wrong; what is left out is
said in notes.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.ledger.columns import is_reserved
from nas.rule.letters import checked_placement
from search_spaces.errors import InputError, shown
from search_spaces.placement import Placement

Floats = npt.NDArray[np.float64]

CLUSTERS = ("cluster", "supernet", "parent")
"""Columns whose rows of one value share weights or luck; the first one found counts."""

MIN_SUPERNETS = 5
"""Fewest supernets that the rule is tested on (our choice: an interval from fewer
clusters is hardly one). Rows of one supernet share its luck: taken as independent,
intervals of 95% were seen to cover 23 to 63%."""

SHARED_SPLIT = 5
"""Placements per train/validation split from which a split is a cluster (our choice:
more than a block of swaps has, which is a cluster of its own)."""

LARGEST = 1e100
"""Values beyond this are refused: their squares overflow."""

SMALLEST = 1e-100
"""A metric whose values all are nearer to zero is refused: their squares vanish, and
noise would pass for exact data."""


class CheckedFrame:
    """A data frame of trials and the checks on it.

    Args:
        frame: One row per trial.
        source: Where it came from, for messages.
        row_name: How a message names a row; see :meth:`PlacementTable.of_frame`.

    Raises:
        InputError: There is no column ``placement``, or two columns have one name.
    """

    def __init__(
        self, frame: pd.DataFrame, source: str, row_name: str = "row {}"
    ) -> None:
        if not all(isinstance(name, str) for name in frame.columns):
            frame = frame.rename(columns=str)
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise InputError(
                f"columns of a table have different names; {source} has two named "
                f"{shown(twice)}"
            )
        self.frame, self.source, self.row_name = frame, source, row_name
        if "placement" not in frame.columns:
            raise InputError(
                f"a table for the rule test has a column 'placement'; {source} has "
                + (", ".join(map(repr, map(str, frame.columns))) or "no columns")
            )

    def metric(self, name: str) -> Floats:
        """The values of a metric.

        Args:
            name: Its column.

        Returns:
            ``(rows,)`` with NaN where a cell is empty.

        Raises:
            InputError: There is no such metric, a cell is not a number, or all are
                too small to be squared.
        """
        if name not in self.frame.columns or is_reserved(name):
            found = ", ".join(self.metrics()) or "none"
            why = ""
            if name in self.frame.columns:
                why = " (the column of that name is another thing in a table of trials)"
            raise InputError(
                f"{self.source} has no metric {name!r}{why}; metrics: {found}"
            )
        values = self.floats(name)
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        if 0 < largest < SMALLEST:
            raise InputError(
                f"values of {name!r} must not all be smaller than {SMALLEST:g} in size "
                f"(their squares vanish), the largest of {self.source} is {largest:g}"
            )
        return values

    def usable_rows(
        self, notes: list[str], metric: str | None = None
    ) -> tuple[int | None, npt.NDArray[np.intp]]:
        """Complete rows of one budget.

        Args:
            notes: What is left out is added here.
            metric: A metric that must be measured.

        Returns:
            The budget in epochs, ``None`` if the table has none, and the positions of
            the rows.
        """
        keep = self.complete(notes)
        if metric is not None:  # first: scores without it must not outvote trainings
            keep = self.measured(metric, keep, notes)
        keep = self.one_scorer(keep, notes)
        epochs, keep = self.one_budget(keep, notes)
        return epochs, np.flatnonzero(keep)

    def metrics(self) -> list[str]:
        """Numeric columns that can be outcomes."""
        return [
            str(name)
            for name in self.frame.columns
            if not is_reserved(str(name))
            and pd.api.types.is_numeric_dtype(self.frame[name])
        ]

    def row(self, index: int) -> str:
        """Name a row in a message."""
        if self.row_name.startswith("line"):
            return self.row_name.format(index + 2)  # line 1 is the header
        if self.row_name.startswith("trial") and "number" in self.frame.columns:
            return self.row_name.format(self.frame["number"].iloc[index])
        return self.row_name.format(index)

    def floats(self, column: str) -> Floats:
        """A column as numbers, with NaN where a cell is empty.

        Raises:
            InputError: A cell is not a number, or one too large to be squared.
        """
        cells = self.frame[column]
        if cells.dtype.kind in "mMc":  # times would become numbers of nanoseconds
            raise InputError(
                f"column {column!r} holds numbers; that of {self.source} holds "
                f"{cells.dtype}"
            )
        numbers = pd.to_numeric(cells, errors="coerce")
        wrong = np.flatnonzero((numbers.isna() & ~cells.isna()).to_numpy())
        for index in wrong:
            text = str(cells.iloc[index]).strip()
            if text:
                raise InputError(
                    f"column {column!r} holds numbers; got {shown(text)} in "
                    f"{self.row(int(index))} of {self.source}"
                )
        values: Floats = numbers.to_numpy(dtype=float, na_value=np.nan)
        for index in np.flatnonzero(np.isfinite(values) & (np.abs(values) > LARGEST)):
            raise InputError(
                f"values of {column!r} must be smaller than {LARGEST:g} in size, got "
                f"{values[index]:g} in {self.row(int(index))} of {self.source}"
            )
        return values

    def floats_or_none(self, column: str, rows: Any) -> Floats | None:
        """Rows of a numeric column, or ``None`` if it is absent or has gaps."""
        if column not in self.frame.columns:
            return None
        numbers = self.floats(column)[rows]
        return numbers if bool(np.isfinite(numbers).all()) else None

    def complete(self, notes: list[str]) -> npt.NDArray[np.bool_]:
        """Rows whose state is ``complete``, all rows if there is no such column."""
        if "state" not in self.frame.columns:
            return np.ones(len(self.frame), dtype=bool)
        states = self.states()
        keep: npt.NDArray[np.bool_] = np.asarray(states == "complete")
        if not keep.all():
            others = Counter(word or "without a state" for word in states[~keep])
            said = ", ".join(f"{n} {state}" for state, n in sorted(others.items()))
            notes.append(f"only complete trials are used; left out: {said}")
        if others_pruned := int((states == "pruned").sum()):
            notes.append(
                f"{others_pruned} trials were pruned because of their results, so the "
                "complete ones are a selection of good ones: effects are shrunken"
            )
        return keep

    def states(self) -> npt.NDArray[np.str_]:
        """State of each row in lower case; ``""`` where the cell is empty."""
        cells = self.frame["state"]
        words = cells.astype(object).where(cells.notna(), "").astype(str)
        return np.asarray(words.str.strip().str.lower().to_numpy(dtype=str))

    def one_scorer(
        self, keep: npt.NDArray[np.bool_], notes: list[str]
    ) -> npt.NDArray[np.bool_]:
        """Rows of the most frequent scorer: scores of two kinds are two quantities."""
        if "scorer" not in self.frame.columns or not keep.any():
            return keep
        words = self.frame["scorer"].astype(str).to_numpy(dtype=str)
        counts = Counter(words[keep].tolist())
        (chosen, number), *others = counts.most_common()
        if others:
            notes.append(
                f"only the {number} trials of scorer {chosen!r} are used; "
                f"{sum(n for _, n in others)} of other scorers are left out"
            )
        return np.asarray(keep & (words == chosen))

    def cluster_column(self, rows: Any) -> str | None:
        """The column that says which rows share weights or luck, if there is one.

        Args:
            rows: The used rows; a column that is empty in all of them says nothing.
        """
        there = (name for name in CLUSTERS if name in self.frame.columns)
        return next(
            (one for one in there if self.frame[one].iloc[rows].notna().any()), None
        )

    def texts(self, column: str, rows: Any) -> npt.NDArray[np.str_]:
        """Cells of rows as they are written, ``""`` where they are empty."""
        cells = self.frame[column].iloc[rows].astype(object)
        return np.asarray(cells.where(cells.notna(), "").astype(str).to_numpy(str))

    def runs(self, rows: Any) -> list[str]:
        """What tells the runs of one placement apart.

        Args:
            rows: The used rows.

        Returns:
            For each the seed, with the split and the cluster if there are such
            columns; the row itself where no seed is told.
        """
        positions = np.arange(len(self.frame))[rows].tolist()
        if "seed" not in self.frame.columns:
            return [f"row {row}" for row in positions]
        columns = ["seed"]
        if "split_seed" in self.frame.columns:
            columns.append("split_seed")
        if (cluster := self.cluster_column(rows)) is not None:
            columns.append(cluster)
        told = [self.texts(column, rows).tolist() for column in columns]
        return [
            ", ".join(known) if known[0] else f"row {row}"
            for row, known in zip(positions, zip(*told, strict=True), strict=True)
        ]

    def clusters(self, rows: Any, notes: list[str]) -> npt.NDArray[np.intp] | None:
        """Numbers of the clusters of rows that share weights or luck.

        Args:
            rows: Positions of the used rows.
            notes: What was assumed is added here.

        Returns:
            ``(rows,)``; a row with an empty cell is a cluster of its own. ``None`` if
            there is no such column.
        """
        name = self.cluster_column(rows)
        if name is None:
            return None
        cells = self.frame[name].iloc[rows]
        codes, uniques = pd.factorize(cells.astype(str).where(cells.notna()))
        if name == "parent" and len(uniques) == 1 and (codes == 0).all():
            notes.append(
                f"all trials start from the parent {uniques[0]!r}: the answer is about "
                "networks made from it"
            )
            return None
        if name == "supernet" and len(uniques) < MIN_SUPERNETS:
            raise InputError(
                f"a rule test on supernet scores needs at least {MIN_SUPERNETS} "
                "supernets, for rows of one share its luck; "
                f"{self.source} has {len(uniques)} (scoring.supernets: "
                f"{MIN_SUPERNETS}; or predict from trained placements with the scores "
                "as a covariate)",
                hint="nas predict TRAINED --scores SCORED",
            )
        alone = codes < 0
        numbers: npt.NDArray[np.intp] = codes.astype(np.intp)
        numbers[alone] = len(uniques) + np.arange(int(alone.sum()))
        notes.append(
            f"rows of one {name!r} share luck and count as one cluster: "
            f"{len(np.unique(numbers))} clusters"
        )
        return numbers

    def splits(self, rows: Any) -> npt.NDArray[np.str_] | None:
        """The split of rows, by column ``split_seed``; ``None`` without the column."""
        if "split_seed" not in self.frame.columns:
            return None
        return self.texts("split_seed", rows)

    def split_clusters(
        self, rows: Any, notes: list[str]
    ) -> npt.NDArray[np.intp] | None:
        """Numbers of the splits of rows, where few splits have many placements each.

        Two searches on a split each, put into one table, differ in level; if they also
        differ in where they placed MSAs, a level passes for an effect of position.

        Args:
            rows: Positions of the used rows.
            notes: What was assumed is added here.

        Returns:
            ``(rows,)``, or ``None`` if there are no such splits.
        """
        splits = self.splits(rows)
        if splits is None:
            return None
        names, numbers = np.unique(splits, return_inverse=True)
        placements = self.frame["placement"].iloc[rows].nunique()
        if not 1 < len(names) <= placements / SHARED_SPLIT:
            return None
        notes.append(
            "rows of one train/validation split share luck and count as one cluster: "
            f"{len(names)} clusters"
        )
        return np.asarray(numbers, dtype=np.intp)

    def failures(self, metric: str, letter: str, like: str) -> tuple[str, ...]:
        """Placements of trials that failed, or ended without the metric.

        A training that diverges may end as complete with an empty cell: it is a
        failure that the trials with a value do not show.

        Args:
            metric: Column to test.
            letter: A letter that is allowed beside the known ones.
            like: A placement; those of other depths are left out.

        Returns:
            Those that can be read.
        """
        failed = ~np.isfinite(self.metric(metric))
        if "state" in self.frame.columns:
            states = self.states()
            failed = (states == "failed") | (failed & (states == "complete"))
        found = []
        for index in np.flatnonzero(failed):
            try:
                text = self.placement(int(index), letter)
            except InputError:
                continue
            if list(map(len, text.split("-"))) == list(map(len, like.split("-"))):
                found.append(text)
        return tuple(found)

    def measured(
        self, metric: str, keep: npt.NDArray[np.bool_], notes: list[str]
    ) -> npt.NDArray[np.bool_]:
        """Of the rows to keep, those in which the metric is a finite number."""
        finite = np.isfinite(self.metric(metric))
        if count := int((keep & ~finite).sum()):
            verb = "row has" if count == 1 else "rows have"
            notes.append(f"{count} {verb} no finite {metric!r} and cannot be used")
        return keep & finite

    def one_budget(
        self, keep: npt.NDArray[np.bool_], notes: list[str]
    ) -> tuple[int | None, npt.NDArray[np.bool_]]:
        """Keep one budget: the largest that is common.

        Common means at least half as many trials as the most frequent budget has (our
        choice: a few longer trials must not push all the others out).
        """
        if "epochs" not in self.frame.columns:
            return None, keep
        epochs = self.floats("epochs")
        budgets = Counter(epochs[keep & np.isfinite(epochs)].tolist())
        if not budgets:
            return None, keep
        enough = max(budgets.values()) / 2
        budget = max(value for value, count in budgets.items() if count >= enough)
        chosen = keep & (epochs == budget)
        if left_out := int(keep.sum() - chosen.sum()):
            notes.append(
                f"only trials of {budget:g} epochs are used; {left_out} complete "
                "trials of another budget are left out"
            )
        return int(budget), chosen

    def placement(self, index: int, letter: str = "M") -> str:
        """Placement of a row, checked.

        Args:
            index: Position of the row.
            letter: A letter that is allowed beside the known ones.

        Returns:
            Its text.

        Raises:
            InputError: It is not a placement.
        """
        return self._placement(self.frame["placement"].iloc[index], index, letter)

    def _placement(self, cell: Any, index: int, letter: str) -> str:
        try:
            return checked_placement("" if pd.isna(cell) else str(cell).strip(), letter)
        except InputError as error:
            raise InputError(
                f"column 'placement', {self.row(index)} of {self.source}: {error}"
            ) from error

    def placements(self, rows: Iterable[int], letter: str = "M") -> tuple[str, ...]:
        """Placements of the rows, all of the same depths."""
        found: list[str] = []
        seen: dict[object, str] = {}
        depths: list[int] = []
        first = ""
        # a list: reading single cells of a column took most of the time
        cells: list[Any] = self.frame["placement"].tolist()
        for index in map(int, rows):
            cell = cells[index]
            text = seen.get(cell) if isinstance(cell, str) else None
            if text is None:
                text = self._placement(cell, index, letter)
                here = list(map(len, text.split("-")))
                if not found:
                    depths = here
                    first = f"{self.row(index)} has {tuple(here)} ({text})"
                elif here != depths:
                    raise InputError(
                        "all placements of a table must have the same depths: "
                        f"{first}, {self.row(index)} has {tuple(here)} ({text})"
                    )
                seen[cell] = text
            found.append(text)
        return tuple(found)

    def parsed(self, rows: Iterable[int]) -> list[Placement]:
        """Placements of the rows as values, all of the same depths."""
        return [Placement.parse(text) for text in self.placements(rows)]
