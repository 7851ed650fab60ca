"""A table of trained placements, checked and ready for the rule test.

Any table will do that has a column ``placement`` and a column of the metric; the
columns ``seed``, ``epochs``, ``state`` and ``cluster`` are used if they are there
(docs/rule.md). What does not fit is refused with the row and column that are
wrong; what is left out is said in :attr:`PlacementTable.notes`.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.ledger.columns import is_reserved
from nas.rule.letters import checked_placement, letters_of
from nas.rule.plan import RulePlan
from nas.rule.slot_layout import SlotLayout
from nas.rule.swap_block import swap_blocks
from search_spaces.errors import InputError, shown
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from nas.config import SamplingConfig, SearchConfig
    from nas.study.study import Study

Floats = npt.NDArray[np.float64]
Sampling = Literal["uniform", "adaptive", "unknown"]

StridedBlocks = tuple[tuple[int, int], ...] | None
"""Stage and number, from 1, of the blocks that halve the map, if anybody knows."""

CLUSTERS = ("cluster", "supernet", "parent")
"""Columns whose rows of one value share weights or luck; the first one found counts."""

MIN_SUPERNETS = 5
"""Fewest supernets that the rule is tested on (our choice: an interval from fewer
clusters is hardly one). Rows of one supernet share its luck: taken as independent,
intervals of 95% were seen to cover 23 to 63%."""

LARGEST = 1e100
"""Values beyond this are refused: their squares overflow."""

UNIFORM_SAMPLERS = frozenset({"random", "uniform", "factorial", "swaps", "exhaustive"})
"""Samplers whose choice does not depend on the results."""


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
        failures: Placements of the trials that failed.
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
        cls, path: str | Path, metric: str = "accuracy", letter: str = "M"
    ) -> "PlacementTable":
        """Read a CSV or Parquet file, or a study directory.

        Args:
            path: ``TABLE.csv``, ``TABLE.parquet`` or a study.
            metric: Column to test.
            letter: Letter to compare with C.

        Returns:
            The checked table.

        Raises:
            InputError: The file cannot be read or does not hold such a table.
        """
        path = Path(path)
        if path.is_dir():
            from nas.study.study import Study

            return cls.of_study(Study.open(path), metric, letter)
        return cls.of_frame(
            read_frame(path), metric, str(path), _line_of(path), letter=letter
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
            startup = frame["number"] < _num_startup(search)
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
                f"{source} has {len(frame)} rows and none of them is"
            )
        placements = checked.placements(rows, letter)
        clusters = checked.clusters(rows, notes)
        table = cls(
            source,
            metric,
            placements,
            values[rows],
            sampling,
            _randomised(frame, rows),
            checked.floats_or_none("params", rows),
            epochs,
            tuple(notes),
            letter,
            clusters,
            checked.failures(letter, placements[0]),
            splits=checked.splits(rows),
        )
        return table._merge_repeats(frame, rows)

    def _merge_repeats(self, frame: pd.DataFrame, rows: Any) -> "PlacementTable":
        """Average rows that repeat a placement *and* its seed: one run, told twice."""
        if "seed" not in frame.columns:
            return self
        seeds = frame["seed"].iloc[rows].tolist()
        splits = ["" for _ in seeds] if self.splits is None else self.splits.tolist()
        groups: dict[Hashable, list[int]] = {}
        shared = self.clusters if self.clusters is not None else np.zeros(len(rows))
        for row, (placement, seed, split, cluster) in enumerate(
            zip(self.placements, seeds, splits, shared.tolist(), strict=True)
        ):
            # rows without a seed are separate runs
            told = (seed, split, cluster) if not pd.isna(seed) else (row, None, None)
            key = (placement, *told)
            groups.setdefault(key, []).append(row)
        if len(groups) == len(rows):
            return self
        first = np.zeros(len(rows), dtype=bool)
        first[[members[0] for members in groups.values()]] = True
        merged = self.only(first)
        means = np.array([self.values[members].mean() for members in groups.values()])
        note = (
            f"{len(rows) - len(groups)} rows repeat the placement and the seed of "
            "another row; each such pair counts as one trial (its mean)"
        )
        return replace(merged, values=means, notes=(*merged.notes, note))


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table file as pandas sees it.

    Args:
        path: A file that ends in ``.csv`` or ``.parquet``.

    Returns:
        The table.

    Raises:
        InputError: The file is absent, of another kind or damaged.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise InputError(
            "the rule is tested on a study directory, a .csv or a .parquet file; "
            f"got {str(path)!r}" + ("" if path.exists() else ", which does not exist")
        )
    if not path.is_file():
        raise InputError(f"there is no table at {str(path)!r}")
    try:
        if kind == ".parquet":
            return pd.read_parquet(path)
        header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
        if header.duplicated().any():  # pandas would number them in silence
            twice = header[header.duplicated()].iloc[0]
            raise InputError(
                f"columns of a table have different names; {str(path)!r} has two "
                f"named {shown(twice)}"
            )
        return pd.read_csv(path)
    except InputError:
        raise
    except (ValueError, OSError) as error:  # pandas' and arrow's errors are ValueErrors
        problem = " ".join(str(error).split())
        raise InputError(f"{str(path)!r} is not a readable table: {problem}") from error


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


def _num_startup(search: "SamplingConfig") -> int:
    """Proposals that a sampler draws at random before it looks at results."""
    if search.sampler in ("tpe", "gp"):
        return int(search.options.get("n_startup_trials", 10))  # Optuna's default
    if search.sampler == "nsga2":  # its first generation; see nas.sampling.samplers
        population = max(4, min(50, search.trials // 8))
        return int(search.options.get("population_size", population))
    return 0


def _line_of(path: Path) -> str:
    return "line {}" if path.suffix.lower() == ".csv" else "row {}"


def _randomised(frame: pd.DataFrame, rows: Any) -> npt.NDArray[np.bool_] | None:
    """Which rows were drawn without looking at results, by the column ``sampled``.

    ``random``, ``startup``, ``baseline`` and the names of uniform samplers count; a
    baseline is fixed before the first result.
    """
    if "sampled" not in frame.columns:
        return None
    blind = UNIFORM_SAMPLERS | {"startup", "baseline", "enqueued"}
    said = frame["sampled"].iloc[rows].astype(str).str.strip().str.lower()
    return np.array([word in blind for word in said], dtype=bool)


class CheckedFrame:
    """A data frame of trials and the checks on it.

    Args:
        frame: One row per trial.
        source: Where it came from, for messages.
        row_name: How a message names a row; see :meth:`PlacementTable.of_frame`.

    Raises:
        InputError: There is no column ``placement``.
    """

    def __init__(
        self, frame: pd.DataFrame, source: str, row_name: str = "row {}"
    ) -> None:
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
            InputError: There is no such metric or a cell is not a number.
        """
        if name not in self.frame.columns or is_reserved(name):
            found = ", ".join(self.metrics()) or "none"
            raise InputError(f"{self.source} has no metric {name!r}; metrics: {found}")
        return self.floats(name)

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
        keep = self.one_scorer(self.complete(notes), notes)
        if metric is not None:
            keep = self.measured(metric, keep, notes)
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

    def clusters(self, rows: Any, notes: list[str]) -> npt.NDArray[np.intp] | None:
        """Numbers of the clusters of rows that share weights or luck.

        Args:
            rows: Positions of the used rows.
            notes: What was assumed is added here.

        Returns:
            ``(rows,)``; a row with an empty cell is a cluster of its own. ``None`` if
            there is no such column.
        """
        name = next((name for name in CLUSTERS if name in self.frame.columns), None)
        if name is None:
            return None
        cells = self.frame[name].iloc[rows]
        if cells.isna().all():
            return None
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
        cells = self.frame["split_seed"].iloc[rows].astype(object)
        return np.asarray(cells.where(cells.notna(), "").astype(str).to_numpy(str))

    def failures(self, letter: str, like: str) -> tuple[str, ...]:
        """Placements of failed trials that can be read and have the same depths."""
        if "state" not in self.frame.columns:
            return ()
        found = []
        for index in np.flatnonzero(self.states() == "failed"):
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
