"""A table of trained placements, checked and ready for the rule test.

Any table will do that has a column ``placement`` and a column of the metric; the
columns ``seed``, ``epochs``, ``state`` and ``cluster`` are used if they are there
(docs/rule.md). What does not fit is refused with the row and column that are
wrong; what is left out is said in :attr:`PlacementTable.notes`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.rule.blind_rows import (
    UNIFORM_SAMPLERS,
    num_startup,
    randomised,
    without_promising,
)
from nas.rule.checked_frame import CheckedFrame
from nas.rule.letters import letters_of
from nas.rule.plan import RulePlan
from nas.rule.slot_layout import SlotLayout
from nas.rule.swap_block import swap_blocks
from nas.rule.table_file import line_name, read_frame
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.config import SamplingConfig, SearchConfig
    from nas.study.study import Study

Floats = npt.NDArray[np.float64]
Sampling = Literal["uniform", "adaptive", "unknown"]

StridedBlocks = tuple[tuple[int, int], ...] | None
"""Stage and number, from 1, of the blocks that halve the map, if anybody knows."""


@dataclass(frozen=True, eq=False)
class PlacementTable:
    """Trials of one budget, as the rule test needs them.

    Attributes:
        source: Where the table came from, for messages.
        metric: Name of the metric.
        placements: Placement of each used row, stages joined by dashes.
        values: Metric of each used row, ``(rows,)``.
        sampling: Whether the placements were chosen without looking at results.
        randomised: Rows that were chosen without looking at results, ``(rows,)``;
            ``None`` where the table does not tell.
        params: Parameter count of each used row, ``(rows,)``, or ``None``.
        epochs: The budget of the used rows, or ``None`` if the table has none.
        notes: What was left out, in sentences.
        letter: The letter that is compared with C.
        clusters: Cluster of each used row, ``(rows,)`` of numbers from 0, or ``None``
            where no two rows share more than their placement.
        failures: Placements of the trials that failed or have no value of the metric.
        plan: The plan that was registered before the first trial, if any.
        strided: Stage and number of the blocks that halve the map; ``None`` where the
            table does not tell.
        are_swaps: Whether the clusters are the blocks of a swap design.
        splits: The train/validation split of each used row, ``(rows,)`` of texts, or
            ``None`` where all have that of the study.
        family: Tables of the other metrics of the study, if there is a plan: those
            that are not the plan's are corrected for their number.
    """

    source: str
    metric: str
    placements: tuple[str, ...]
    values: Floats
    sampling: Sampling = "unknown"
    randomised: npt.NDArray[np.bool_] | None = None
    params: Floats | None = None
    epochs: int | None = None
    notes: tuple[str, ...] = ()
    letter: str = "M"
    clusters: npt.NDArray[np.intp] | None = None
    failures: tuple[str, ...] = ()
    plan: RulePlan | None = None
    family: "tuple[PlacementTable, ...]" = ()
    splits: npt.NDArray[np.str_] | None = None
    strided: tuple[tuple[int, int], ...] | None = None
    are_swaps: bool = False

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage, the same for every row."""
        return tuple(map(len, str(self.placements[0]).split("-")))

    @cached_property
    def layout(self) -> SlotLayout:
        """Where each slot stands."""
        return SlotLayout(self.depths, self.strided)

    @cached_property
    def letters(self) -> npt.NDArray[np.str_]:
        """The letter of each block, ``(rows, slots)``."""
        return letters_of(self.placements)

    @cached_property
    def bits(self) -> Floats:
        """One row per trial, one column a slot: 1 for the compared letter."""
        return np.asarray(self.letters == self.letter, dtype=float)

    @cached_property
    def other_letters(self) -> tuple[str, ...]:
        """Letters beside C and the compared one."""
        return tuple(sorted({*np.unique(self.letters)} - {"C", self.letter}))

    def only(self, rows: npt.NDArray[np.bool_]) -> "PlacementTable":
        """The same table with some of its rows, ``rows`` being a mask of them."""
        return replace(
            self,
            placements=tuple(
                p for p, keep in zip(self.placements, rows, strict=True) if keep
            ),
            values=self.values[rows],
            randomised=None if self.randomised is None else self.randomised[rows],
            params=None if self.params is None else self.params[rows],
            clusters=None if self.clusters is None else self.clusters[rows],
            splits=None if self.splits is None else self.splits[rows],
        )

    @classmethod
    def read(
        cls,
        source: "Study | pd.DataFrame | str | Path",
        metric: str = "accuracy",
        letter: str = "M",
    ) -> "PlacementTable":
        """Read a CSV or Parquet file, a study directory, or what is in memory already.

        Args:
            source: ``TABLE.csv``, ``TABLE.parquet``, a study or its directory, or a
                data frame.
            metric: Column to test.
            letter: Letter to compare with C.

        Returns:
            The checked table.

        Raises:
            InputError: The file cannot be read or does not hold such a table.
        """
        from nas.study.study import Study

        if isinstance(source, Study):
            return cls.of_study(source, metric, letter)
        if isinstance(source, pd.DataFrame):
            return cls.of_frame(source, metric, letter=letter)
        path = Path(source)
        if path.is_dir():
            return cls.of_study(Study.open(path), metric, letter)
        return cls.of_frame(
            read_frame(path), metric, str(path), line_name(path), letter=letter
        )

    @classmethod
    def of_study(
        cls, study: "Study", metric: str = "accuracy", letter: str = "M"
    ) -> "PlacementTable":
        """The trials of a study; its config says how they were sampled.

        Args:
            study: An open study.
            metric: Column to test.
            letter: Letter to compare with C.

        Returns:
            The checked table.

        Raises:
            InputError: The study has no finished trial with this metric.
        """
        frame, search = study.table(), study.config.search

        strided = strided_blocks(study.config)

        def of_metric(name: str) -> PlacementTable:
            return cls.of_trials(frame, search, name, str(study.path), letter, strided)

        table, plan = of_metric(metric), RulePlan.of_study(study)
        table = replace(table, notes=(*table.notes, *study.problems))
        if plan is None:
            return table
        planned = plan.metric if plan.unchanged else None
        others = set(CheckedFrame(frame, str(study.path)).metrics()) - {metric, planned}
        family = [
            of_metric(name) for name in sorted(others) if frame[name].nunique() > 1
        ]
        return replace(table, plan=plan, family=tuple(family))

    @classmethod
    def of_trials(
        cls,
        frame: pd.DataFrame,
        search: "SamplingConfig",
        metric: str = "accuracy",
        source: str = "the table",
        letter: str = "M",
        strided: StridedBlocks = None,
    ) -> "PlacementTable":
        """Trials of a search whose sampler is known.

        Args:
            frame: The table of its study, or some rows of it.
            search: How the placements were sampled.
            metric: Column to test.
            source: Where it came from, for messages.
            letter: Letter to compare with C.
            strided: Stage and number of the blocks that halve the map, if known.

        Returns:
            The checked table.

        Raises:
            InputError: No finished trial has this metric.
        """
        frame, chosen = without_promising(frame)
        uniform = search.sampler in UNIFORM_SAMPLERS
        if not uniform:
            # A sampler's first proposals are random; the ledger numbers proposals.
            startup = frame["number"] < num_startup(search)
            fixed = frame["baseline"].notna()
            sampled = np.where(startup | fixed, "startup", search.sampler)
            frame = frame.assign(sampled=sampled)
        table = cls.of_frame(
            frame,
            metric,
            source,
            "trial {}",
            sampling="uniform" if uniform else "adaptive",
            letter=letter,
        )
        table = replace(table, notes=(*chosen, *table.notes))
        if search.sampler == "swaps":
            table = table.with_swap_clusters()
        return table.with_strides(strided)

    def with_strides(self, strided: StridedBlocks) -> "PlacementTable":
        """The same table, and which of its blocks are known to halve the map.

        Args:
            strided: Stage and number of each; ``None`` if that is not known.

        Returns:
            The table, with a note where they are not those of the paper's networks.
        """
        known = {
            (stage, block)
            for stage, depth in enumerate(self.depths, start=1)
            for block in range(1, depth + 1)
        }
        if strided is None or not known.issuperset(strided):
            return self
        table = replace(self, strided=strided)
        if table.layout.is_as_assumed:
            return table
        said = ", ".join(f"stage {stage} block {block}" for stage, block in strided)
        note = f"strided blocks, as the space of the study says: {said or 'none'}"
        return replace(table, notes=(*self.notes, note))

    def with_swap_clusters(self) -> "PlacementTable":
        """The same table with every block of swaps as one cluster.

        Its placements share the rest of the network, and a split if they draw one.
        """
        distinct = list(dict.fromkeys(self.placements))
        if self.clusters is not None or set(np.unique(self.letters)) - {
            "C",
            self.letter,
        }:
            return self
        bits = np.asarray(letters_of(distinct) == self.letter, dtype=float)
        blocks = swap_blocks(bits, SlotLayout(self.depths))
        label = np.arange(len(distinct))
        for block in blocks:
            rows = list(block.rows.values())
            label[rows] = label[rows[0]]
        of = dict(zip(distinct, np.unique(label, return_inverse=True)[1], strict=True))
        clusters = np.array([of[one] for one in self.placements], dtype=np.intp)
        if len(set(of.values())) == len(distinct):
            return self
        note = (
            "the placements of one block of swaps share the rest of the network and "
            f"count as one cluster: {len(set(of.values()))} clusters"
        )
        return replace(
            self, clusters=clusters, are_swaps=True, notes=(*self.notes, note)
        )

    @classmethod
    def of_frame(
        cls,
        frame: pd.DataFrame,
        metric: str = "accuracy",
        source: str = "the table",
        row_name: str = "row {}",
        sampling: Sampling = "unknown",
        letter: str = "M",
    ) -> "PlacementTable":
        """Check a data frame.

        Args:
            frame: One row per trial; the columns named in the module docstring.
            metric: Column to test.
            source: Where it came from, for messages.
            row_name: How a message names a row; ``{}`` is its position from 0, or
                its ``number`` for ``"trial {}"``.
            sampling: How the placements were chosen, as far as it is known.
            letter: Letter to compare with C.

        Returns:
            The checked table.

        Raises:
            InputError: A column is missing, a cell has no usable value, the depths
                differ from row to row, or no row is left.
        """
        checked = CheckedFrame(frame, source, row_name)
        values = checked.metric(metric)
        notes: list[str] = []
        epochs, rows = checked.usable_rows(notes, metric)
        if not len(rows):
            raise InputError(
                f"a rule test needs at least one complete trial with {metric!r}; "
                f"{source} has {len(frame)} rows, none of them complete with a value"
            )
        placements = checked.placements(rows, letter)
        clusters = checked.clusters(rows, notes)
        if clusters is None:
            clusters = checked.split_clusters(rows, notes)
        table = cls(
            source,
            metric,
            placements,
            values[rows],
            sampling,
            randomised(checked.frame, rows),
            checked.floats_or_none("params", rows),
            epochs,
            tuple(notes),
            letter,
            clusters,
            checked.failures(metric, letter, placements[0]),
            splits=checked.splits(rows),
        )
        return table._merge_repeats(checked, rows)

    def _with_copies_told(self, frame: pd.DataFrame) -> "PlacementTable":
        """The same table; a note if its rows, ``frame``, look like copies.

        Intervals count placements and bear copies; what is said of replicates does not.
        """
        numbers = CheckedFrame(frame, self.source).metrics()
        copies = int(frame.duplicated(["placement", *numbers]).sum())
        if not copies:
            return self
        note = (
            f"{copies} rows have the placement and every value of another row; if they "
            "are copies, there are fewer trials and more noise between replicates than "
            "is said here (intervals count placements, copies do not shorten them)"
        )
        return replace(self, notes=(*self.notes, note))

    def _merge_repeats(self, checked: CheckedFrame, rows: Any) -> "PlacementTable":
        """Average rows that repeat a placement *and* its seed: one run, told twice."""
        frame = checked.frame
        groups: dict[tuple[str, str], list[int]] = {}
        told = zip(self.placements, checked.runs(rows), strict=True)
        for row, key in enumerate(told):
            groups.setdefault(key, []).append(row)
        if len(groups) == len(rows):
            return self._with_copies_told(frame.iloc[rows])
        first = np.zeros(len(rows), dtype=bool)
        first[[members[0] for members in groups.values()]] = True
        merged = self.only(first)
        means = np.array([self.values[members].mean() for members in groups.values()])
        note = (
            f"{len(rows) - len(groups)} rows repeat the placement and the seed of "
            "another row; each such pair counts as one trial (its mean)"
        )
        merged = replace(merged, values=means, notes=(*merged.notes, note))
        return merged._with_copies_told(frame.iloc[rows[first]])


def strided_blocks(config: "SearchConfig") -> StridedBlocks:
    """The blocks that halve the map, as the space of a search says.

    Args:
        config: Of the search.

    Returns:
        Stage and number of each; ``None`` if the space cannot be read.
    """
    try:
        return config.space.make_backbone().strided_blocks
    except InputError:  # of a version or a plugin that is not here
        return None
