"""A search on a finished table: any sampler, in seconds, without training.

Whatever a sampler proposes is looked up instead of trained. The result is a study like
any other. The table may be anyone's (``placement``, metrics, and ``seed``, ``epochs``,
``state`` if it has them) or a study directory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from nas.config import SearchConfig, SpaceConfig
from nas.rule.checked_frame import CheckedFrame
from nas.rule.table_file import read_frame
from nas.scoring.scorer import Scorer
from nas.scoring.scorers import check_no_options
from nas.scoring.trial_run import TrialFunction, TrialOutcome, TrialRun
from nas.study.study import Study
from nas.terminal import say
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.free_space import FreeSpace
from search_spaces.spaces.per_stage_count_space import PerStageCountSpace
from search_spaces.spaces.space import SearchSpace

NOMINAL_WIDTH = 8
"""Width of the stand-in backbone of a bare table: it is named, never trained."""

NOMINAL_IMAGE = (10, 3, 32)
"""Classes, channels and pixels of the stand-in; more pixels for more than 5 stages."""


@dataclass(frozen=True)
class Recorded:
    """What is known of every placement.

    Attributes:
        runs: The metrics of each run, by placement, in the order of their seeds.
        metrics: Names of the metrics.
        epochs: Budget of the runs; 1 if the table does not say.
    """

    runs: Mapping[Placement, Sequence[Mapping[str, float]]]
    metrics: tuple[str, ...]
    epochs: int

    @classmethod
    def read(cls, path: str | Path) -> "Recorded":
        """Read a CSV or Parquet file, or a study directory.

        Args:
            path: Where the table is.

        Returns:
            Its complete runs of one budget.

        Raises:
            InputError: It cannot be read or has no complete run.
        """
        path = Path(path)
        frame = Study.open(path).table() if path.is_dir() else read_frame(path)
        return cls.of_frame(frame, str(path))

    @classmethod
    def of_frame(cls, frame: pd.DataFrame, source: str = "the table") -> "Recorded":
        """Take a data frame; see :class:`nas.rule.placement_table.PlacementTable`.

        Args:
            frame: One row per run.
            source: Where it came from, for messages.

        Returns:
            Its complete runs of one budget.

        Raises:
            InputError: A column is missing, a cell cannot be used, or no run is left.
        """
        checked = CheckedFrame(frame, source)
        budget, rows = checked.usable_rows([])
        metrics = checked.metrics()
        if not metrics:
            raise InputError(f"a table to replay has metrics; {source} has none")
        if not len(rows):
            raise InputError(f"a table to replay has complete runs; {source} has none")
        order = list(range(len(rows)))
        if "seed" in frame.columns:
            seeds = [_seed_key(cell) for cell in frame["seed"].iloc[rows]]
            order.sort(key=lambda i: seeds[i])
        placements = checked.parsed(rows)
        columns = {name: checked.floats(name)[rows] for name in metrics}
        runs: dict[Placement, list[dict[str, float]]] = {}
        for i in order:
            known = {name: float(values[i]) for name, values in columns.items()}
            found = {name: value for name, value in known.items() if value == value}
            runs.setdefault(placements[i], []).append(found)
        return cls(runs, tuple(metrics), budget or 1)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return next(iter(self.runs)).depths

    @property
    def kinds(self) -> str:
        """Every letter of the table, ``C`` first."""
        letters = {letter for placement in self.runs for letter in placement.letters}
        return "C" + "".join(sorted(letters - {"C"}))

    def run(
        self, placement: Placement, replicate: int, shift: int = 0
    ) -> Mapping[str, float] | None:
        """The metrics of one run.

        Args:
            placement: What was trained.
            replicate: Which of its runs, from 0.
            shift: Start with another one: searches of other seeds see other noise.

        Returns:
            The metrics, or ``None`` if there are not so many runs.
        """
        runs = self.runs.get(placement, ())
        return runs[(replicate + shift) % len(runs)] if replicate < len(runs) else None


def _seed_key(cell: Any) -> tuple[int, float, str]:
    """Order of seeds: numbers, then words; rows without a seed stay as they stand."""
    if pd.isna(cell):
        return 2, 0.0, ""
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return 1, 0.0, str(cell)
    return 0, number, ""


class _InTable:
    """What a space of recorded placements does otherwise than the whole space."""

    recorded: frozenset[Placement]

    @cached_property
    def size(self) -> int:
        """Number of recorded placements."""
        return len(self.recorded)

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture is the recorded one of its placement."""
        placement = architecture.placement
        return (
            placement in self.recorded and self.architecture(placement) == architecture  # type: ignore[attr-defined]
        )

    def enumerate(self) -> Iterator[Architecture]:
        """Walk through the recorded placements in order."""
        for placement in sorted(self.recorded):
            yield self.architecture(placement)  # type: ignore[attr-defined]

    def sample(self, rng: Random) -> Architecture:
        """Draw one of the recorded placements."""
        chosen = rng.choice(sorted(self.recorded))
        return self.architecture(chosen)  # type: ignore[attr-defined, no-any-return]

    def violations(self, architecture: Architecture) -> dict[str, float]:
        """A placement that is not recorded breaks the constraint ``recorded``."""
        return {"recorded": float(architecture.placement not in self.recorded)}


@dataclass(frozen=True)
class _RecordedFree(_InTable, FreeSpace):
    recorded: frozenset[Placement] = field(default_factory=frozenset)


@dataclass(frozen=True)
class _RecordedCounts(_InTable, PerStageCountSpace):
    recorded: frozenset[Placement] = field(default_factory=frozenset)


def recorded_space(config: SpaceConfig, recorded: Recorded) -> SearchSpace:
    """The part of a space that a table knows.

    Args:
        config: The space of the search, as :func:`_fitting_space` gives it.
        recorded: The table.

    Returns:
        A space of the placements that are in both.

    Raises:
        InputError: There is none.
    """
    config = _fitting_space(config, recorded)
    if config.choices:
        config = config.model_copy(update={"choices": {}})
    num_classes, channels, pixels = NOMINAL_IMAGE
    pixels = max(pixels, 2 ** len(recorded.depths))
    whole = config.make(num_classes, channels, pixels)
    both = frozenset(
        placement
        for placement in recorded.runs
        if SearchSpace.contains(whole, whole.architecture(placement))
    )
    if not both:
        raise InputError(
            f"none of the table's {len(recorded.runs)} placements, e.g. "
            f"{next(iter(recorded.runs))}, is in the search space of the config"
        )
    kind = _RecordedCounts if config.kind == "per_stage_count" else _RecordedFree
    return kind(
        whole.backbone,
        whole.attention,
        strided_msas=whole.strided_msas,
        num_classes=num_classes,
        in_channels=channels,
        image_size=pixels,
        kinds=whole.kinds,
        recorded=both,
    )


def _fitting_space(config: SpaceConfig, recorded: Recorded) -> SpaceConfig:
    """The space of a config with depths and letters of the table.

    Args:
        config: The space of the search. If its backbone has other depths than the
            table, any placement of the table's depths is meant; if it does not say
            which letters, those of the table are.
        recorded: The table.
    """
    asked = config.kinds if "kinds" in config.model_fields_set else None
    if config.make_backbone().depths == recorded.depths:
        kinds = recorded.kinds if asked is None else asked
        return config.model_copy(update={"kinds": kinds})
    backbone: dict[str, Any] = {
        "block": "basic",
        "stem": "cifar",
        "depths": list(recorded.depths),
        "widths": [NOMINAL_WIDTH] * len(recorded.depths),
    }
    kinds = asked if isinstance(asked, str) else recorded.kinds
    return SpaceConfig(kind="free", backbone=backbone, strided_msas=True, kinds=kinds)


@dataclass(frozen=True)
class FromRecord(Scorer):
    """Scorer ``recorded``: every run is looked up in a finished table.

    Attributes:
        given: The config of the search. Objectives that the table does not have are
            left out, and so are baselines.
        quiet: Do not say which objectives are left out.
        table: The table; ``None`` reads the file or study ``scoring.table``.

    Raises:
        InputError: The table cannot be used, or has none of the objectives.
    """

    given: SearchConfig
    quiet: bool = False
    table: Recorded | None = None

    name = "recorded"
    in_process = True

    def __post_init__(self) -> None:
        check_no_options(self.given, ("table",))
        self.config  # noqa: B018  (reads the table, checks the objectives)
        wanted, runs = self.given.search.replicates, self._record.runs
        few = sum(len(one) < wanted for one in runs.values())
        if few and not self.quiet:
            say(
                f"search.replicates is {wanted}, but {few} of the {len(runs)} "
                f"placements of {self._source} have fewer runs: no more than these are "
                "looked up",
                err=True,
            )

    @cached_property
    def _record(self) -> Recorded:
        if self.table is not None:
            return self.table
        path = self.given.scoring.options.get("table")
        if not isinstance(path, str):
            raise InputError(
                "scoring.kind recorded needs scoring.table: a CSV or Parquet file or a "
                f"study; got {path!r}"
            )
        return Recorded.read(path)

    @property
    def _source(self) -> str:
        path = self.given.scoring.options.get("table")
        return "a table" if path is None else Path(path).name

    @cached_property
    def config(self) -> SearchConfig:
        """The config with the objectives, depths and budget of the table."""
        return _with_known_objectives(
            self.given, self._record, self._source, self.quiet
        )

    @cached_property
    def space(self) -> SearchSpace:
        """The part of the space that the table knows."""
        space = recorded_space(self.config.space, self._record)
        known = len(self._record.runs)
        if space.size < known and not self.quiet:
            say(
                f"{known - space.size} of the {known} placements of {self._source} are "
                "not in the search space of the config and are left out",
                err=True,
            )
        return space

    @property
    def function(self) -> TrialFunction:
        """Looks a run up."""
        return self._look_up

    @property
    def epochs(self) -> int:
        """Budget of the table's runs."""
        return self._record.epochs

    @property
    def most_runs(self) -> Callable[[Architecture], int]:
        """As many as the table has of a placement."""
        runs = self._record.runs
        return lambda architecture: len(runs.get(architecture.placement, ()))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The name of the table."""
        return {"replay_of": self._source}

    def _look_up(self, run: TrialRun) -> TrialOutcome:
        placement = Placement.parse(run.architecture["placement"])
        seed = self.given.seed
        found = self._record.run(placement, run.seed - seed, seed)
        if found is None:
            known = len(self._record.runs.get(placement, ()))
            raise InputError(
                f"the table has {known} of the runs of {placement} that are wanted"
            )
        return TrialOutcome(found)


def _with_known_objectives(
    config: SearchConfig, recorded: Recorded, source: str, quiet: bool
) -> SearchConfig:
    known = [one for one in config.objectives if one["metric"] in recorded.metrics]
    left_out = [one["metric"] for one in config.objectives if one not in known]
    if not known:
        raise InputError(
            f"{source} has none of the objectives {', '.join(left_out)}; it has "
            f"{', '.join(recorded.metrics)}",
            hint="choose with --set objectives=[METRIC]",
        )
    if left_out and not quiet:
        say(f"not in {source}, left out: {', '.join(left_out)}", err=True)
    space = _fitting_space(config.space, recorded)
    training = config.training.model_copy(update={"epochs": recorded.epochs})
    return config.model_copy(
        update={
            "objectives": known,
            "space": space,
            "training": training,
        }
    )
