"""A study directory, opened to read: its settings, its trials, its files.

Safe to use while a search runs, with many readers at once. Nothing is unpickled and
YAML is read by the safe loader. Starts without torch, Optuna or Ray, and without
pandas until a table is asked for.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.csv_text import csv_frame
from nas.ledger.atomic_file import atomic_file
from nas.ledger.attributes import RUNNING, STUDY_FORMAT, WAITING, Row
from nas.ledger.columns import FIRST_COLUMNS, LAST_COLUMNS, PARAMETER
from nas.ledger.held_out_results import (
    TEST_COLUMNS,
    TestResult,
    read_test,
    results_of,
)
from nas.ledger.journal_reader import JournalReader
from nas.ledger.note_texts import notes_of
from nas.ledger.paused_collector import paused_collector
from nas.ledger.regular_file import read_regular
from nas.ledger.trial import Objective, Trial, no_trial
from nas.paths_in_study import to_use
from nas.study.layout import StudyLayout
from nas.study.lease import driver_text, is_driven
from search_spaces.errors import InputError
from search_spaces.yaml_text import read_yaml

if TYPE_CHECKING:
    import pandas as pd

    from nas.config import SearchConfig
    from nas.study.reliability import Reliability
    from search_spaces.architecture import Architecture


class Study:
    """A search that runs, was interrupted or is finished.

    Make one with :meth:`open`.

    Attributes:
        path: The study directory.
        layout: Where its files are.
        header: The part of config.yaml that is about the study itself: format,
            creation time, versions, commit.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.layout = StudyLayout(path)
        self._settings = {k: v for k, v in settings.items() if k != "study"}
        self.header: Mapping[str, Any] = settings["study"]
        if kinds := self.header.get("block_kinds"):
            from search_spaces.kinds.block_kinds import remember_block_kinds

            remember_block_kinds(kinds)
        self._source = _open_source(self)
        self._records: dict[int, Trial] = {}
        self._trials: tuple[int | None, list[Trial]] = (None, [])
        self._test_problem: tuple[str, ...] = ()
        self._damaged: dict[int, str] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Study":
        """Open a study directory to read.

        Args:
            path: The directory.

        Returns:
            The study.

        Raises:
            InputError: It is not a study, or one of another format.
        """
        directory = Path(path)
        return cls(directory, read_settings(directory))

    @property
    def name(self) -> str:
        """Name of the study."""
        return str(self._settings.get("name", self.path.name))

    @cached_property
    def config(self) -> "SearchConfig":
        """Every setting of the search, defaults included."""
        from nas.config.loading import recorded_config

        return recorded_config(self._settings, str(self.layout.config))

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """What the search optimises."""
        try:
            return tuple(
                Objective(one["metric"], one["direction"])
                for one in self._settings["objectives"]
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{self.layout.config} is damaged: 'objectives' is a list of "
                "{metric: NAME, direction: maximize or minimize}"
            ) from error

    @cached_property
    def metric_facts(self) -> dict[str, Mapping[str, Any]]:
        """Unit, direction and definition of each metric, as the search recorded them.

        Known without the plugins that yielded them; empty for a study of an earlier
        version, whose metrics are those of the evaluators that are installed.
        """
        recorded = self.header.get("metrics")
        if not isinstance(recorded, Mapping):
            return {}
        return {
            name: facts
            for name, facts in recorded.items()
            if isinstance(facts, Mapping)
            and facts.get("direction") in ("maximize", "minimize", "none")
            and isinstance(facts.get("unit"), str)
            and isinstance(facts.get("definition"), str)
        }

    @property
    def num_trials(self) -> int:
        """Trials that the search is to have in the end."""
        planned = self._settings.get("search", {}).get("trials", 0)
        return int(self._source.user_attrs.get("num_trials", planned))

    @property
    def num_counted(self) -> int:
        """Trials that use up the search's number of trials: a repeated one once."""
        return sum(trial.retried_as is None for trial in self.trials())

    def check_number(self, trials: int | None) -> None:
        """Refuse a new number of trials that is less than there are.

        Args:
            trials: The number; ``None`` for the one it has.

        Raises:
            InputError: It is.
        """
        if trials is not None and trials < (least := self.num_counted):
            raise InputError(
                "a study keeps its trials: their number must be at least "
                f"{least} here, got {trials}"
            )

    def has_ended(self, trials: int | None = None) -> bool:
        """Whether there is nothing left to run.

        Args:
            trials: Number of trials that is wanted; ``None`` for the one it has.
        """
        wanted = self.num_trials if trials is None else trials
        if any(
            row.state == RUNNING or (row.state == WAITING and row.is_trial)
            for row in self.rows()
        ):
            return False
        exhausted = trials is None and self.is_exhausted
        return exhausted or wanted <= self.num_counted

    @property
    def recorded_settings(self) -> Mapping[str, Any] | None:
        """What its trials depend on, as the ledger keeps it; ``None`` if it does not.

        See :mod:`nas.study.recorded_settings`.
        """
        found = self._source.user_attrs.get("settings")
        return found if isinstance(found, Mapping) else None

    @property
    def is_exhausted(self) -> bool:
        """Whether the search ended because nothing untrained was left."""
        return bool(self._source.user_attrs.get("exhausted", False))

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each damaged part of the study that was left out."""
        missing: tuple[str, ...] = ()
        if (
            isinstance(self._source, JournalReader)
            and not self.layout.journal.exists()
            and not is_driven(self.path)  # else it is about to be written
        ):
            missing = (
                f"{self.layout.journal} is missing: the search was stopped before its "
                "first trial (then `nas resume` goes on), or the file was lost",
            )
        return (
            *missing,
            *self._source.problems,
            *self._damaged.values(),
            *self._test_problem,
        )

    def rows(self) -> list[Row]:
        """Every row of the ledger as of now, untrained proposals included."""
        self._source.refresh()
        return self._source.rows()

    def trials(self) -> list[Trial]:
        """Every training run as of now, in order of their numbers.

        Repeated proposals and proposals that break a constraint were never trained
        and are left out, so numbers may have gaps.
        """
        self._source.refresh()
        revision = self._source.revision
        known_at, trials = self._trials
        if revision is not None and revision == known_at:
            return list(trials)
        with paused_collector():
            trials = self._read_trials()
        self._trials = (revision, trials)
        return list(trials)

    def _read_trials(self) -> list[Trial]:
        trials: list[Trial] = []
        for row in self._source.rows():
            if not row.is_trial:
                continue
            trial = self._records.get(row.number)
            if trial is None:
                try:
                    trial = row.trial(self._source.user_attrs.get("metrics"))
                except ValueError as error:
                    self._damaged[row.number] = f"{self.layout.journal}: {error}"
                    continue
                if row.finished is not None:
                    self._records[row.number] = trial
            trials.append(trial)
        return trials

    def trial(self, number: int) -> Trial:
        """One training run.

        Args:
            number: Its number.

        Raises:
            InputError: There is none of that number.
        """
        trials = {trial.number: trial for trial in self.trials()}
        if number not in trials:
            raise no_trial(self.name, number, trials)
        return trials[number]

    def test_results(self) -> dict[int, TestResult]:
        """How trials did on the test images, by number; empty before the look.

        A damaged file is told among the ``problems`` and read as none.
        """
        try:
            results = read_test(self.layout.test)
        except InputError as error:
            self._test_problem = (str(error),)
            return {}
        self._test_problem = ()
        return results_of(self.trials(), results)

    def notes(self) -> dict[int, dict[str, Any]]:
        """Notes and tags on trials, as `nas serve --edit` keeps them in the ledger.

        Returns:
            ``note`` and ``tags`` by number of the trial.
        """
        self._source.refresh()
        return notes_of(self._source.user_attrs)

    def architecture(self, number: int) -> "Architecture":
        """The architecture of one training run."""
        from search_spaces.architecture import Architecture

        return Architecture.from_dict(dict(self.trial(number).architecture))

    def trial_directory(self, number: int) -> Path:
        """Where the files of one training run are."""
        return self.layout.trial(number).directory

    def read_json(self, number: int, name: str) -> dict[str, Any]:
        """Read a JSON file of one training run.

        Args:
            number: The trial.
            name: ``metrics.json`` or ``details.json``.

        Raises:
            InputError: The file is missing or damaged; names it.
        """
        path = self.trial_directory(number) / name
        try:
            content = json.loads(read_regular(path))
        except OSError as error:
            raise InputError(
                f"{path} of trial {number} cannot be read: {error.strerror}"
            ) from error
        except ValueError as error:
            raise InputError(f"{path} is damaged: {error}") from error
        if not isinstance(content, dict):
            raise InputError(f"{path} is damaged: a JSON object is expected")
        return content

    def reliability(self) -> "dict[str, Reliability]":
        """How much of each metric is the network and how much the luck of a training.

        Returns:
            The intraclass correlation by metric, over complete trials; networks that
            were trained with several seeds tell. Empty if there are fewer than two.
        """
        from nas.study.reliability import reliability_by_metric

        return reliability_by_metric(self.trials())

    def table(self) -> "pd.DataFrame":
        """One row per training run.

        Returns:
            Columns ``number, state, placement, seed, epochs``, the metrics in
            alphabetical order (objectives first), ``duration_s``, then the id of the
            architecture, baseline, rung, error, cause and signal, node, retries,
            times, and what the sampler chose as ``param.NAME``. Once the test images
            have been looked at, ``test_accuracy``, ``test_accuracy_se`` and
            ``test_nll`` behind the metrics. Where trials draw a split of their own, its
            ``split_seed`` before ``duration_s``.
        """
        import pandas as pd

        trials = self.trials()
        first = [objective.metric for objective in self.objectives]
        rest = {name for trial in trials for name in trial.metrics}.difference(first)
        metrics = first + sorted(rest)
        params = sorted({name for trial in trials for name in trial.params})
        columns: dict[str, Any] = {
            name: [_cell(getattr(trial, name)) for trial in trials]
            for name in FIRST_COLUMNS
        }
        for name in metrics:
            columns[name] = pd.array(
                [trial.metrics.get(name, float("nan")) for trial in trials], "float64"
            )
        tested = self.test_results()
        for name in (n for n in TEST_COLUMNS if tested and n not in metrics):
            columns[name] = pd.array(
                [
                    getattr(tested[trial.number], name)
                    if trial.number in tested
                    else float("nan")
                    for trial in trials
                ],
                "float64",
            )
        for name in LAST_COLUMNS:
            source = "architecture_id" if name == "architecture" else name
            columns[name] = [_cell(getattr(trial, source)) for trial in trials]
        if any(trial.sampled for trial in trials):  # a search in two steps
            columns["sampled"] = [trial.sampled for trial in trials]
        frame = pd.DataFrame(columns)
        if any(trial.split_seed is not None for trial in trials):
            splits = [trial.split_seed for trial in trials]
            frame.insert(list(frame).index("duration_s"), "split_seed", splits)
            frame["split_seed"] = frame["split_seed"].astype("Int64")
        if any(trial.supernet is not None for trial in trials):
            numbers = [trial.supernet for trial in trials]
            frame.insert(list(frame).index("scorer") + 1, "supernet", numbers)
            frame["supernet"] = frame["supernet"].astype("Int64")
        for name in ("rung", "retry_of", "retried_as"):
            frame[name] = frame[name].astype("Int64")
        for name in ("duration_s", "started", "finished"):
            frame[name] = frame[name].astype("float64")
        chosen = {
            PARAMETER + name: [_parameter(trial.params.get(name)) for trial in trials]
            for name in params
        }
        return frame.assign(**chosen)

    def write_table(self) -> tuple[Path, ...]:
        """Write trials.parquet and trials.csv into the study.

        Returns:
            The two files. A reader sees the old or the new one, never a half.

        Raises:
            InputError: The directory cannot be written to.
        """
        frame = self.table()
        if isinstance(self._source, JournalReader):
            with suppress(OSError):  # a full disk: the journal has it all
                self._source.write_index()
        try:
            with atomic_file(self.layout.parquet) as file:
                frame.to_parquet(file, index=False)
            with atomic_file(self.layout.csv) as file:
                csv_frame(frame).to_csv(file, index=False)
        except OSError as error:
            raise InputError(
                f"the table cannot be written to {error.filename or self.path}: "
                f"{error.strerror}"
            ) from error
        return self.layout.parquet, self.layout.csv


def read_settings(directory: Path) -> dict[str, Any]:
    """Read and check the config.yaml of a study.

    Args:
        directory: The study directory.

    Returns:
        Its content, with the key ``study`` about the study itself and paths that can
        be opened.

    Raises:
        InputError: It is not a study, or one of another format.
    """
    path = StudyLayout(directory).config
    if not path.is_file():
        if driver := driver_text(directory):
            raise InputError(
                f"the search in {directory} is starting (process {driver}) and has not "
                f"written {path.name} yet; look again in a moment"
            )
        layout = StudyLayout(directory)
        written = layout.journal.exists() or layout.trials.exists()
        if layout.lease.exists() and not written:
            raise InputError(
                f"{directory} is not a study: the search in it was stopped before it "
                f"wrote {path.name}; start it again"
            )
        around = [one for one in directory.parents if StudyLayout(one).journal.exists()]
        hint = "a study is a directory that nas search made; nas ls lists them"
        if around and directory.exists():
            hint = f"it is inside the study {around[0]}"
        elif directory.name in ("best", "latest", "pareto") or directory.name.isdigit():
            hint = f"the study stands before the trial: STUDY {directory.name}"
        lacks = f"it has no {path.name}" if directory.exists() else "it does not exist"
        raise InputError(f"{directory} is not a study: {lacks}", hint=hint)
    try:
        settings = read_yaml(path)
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    header = settings.get("study") if isinstance(settings, dict) else None
    found = header.get("format") if isinstance(header, dict) else None
    if found != STUDY_FORMAT:
        raise InputError(
            f"a study must be of format {STUDY_FORMAT!r}, but {path} has {found!r}"
        )
    return to_use(settings, directory)


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value


def _parameter(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else float(value)


class _StorageSource:
    """Rows of a study that is kept in a database."""

    revision = None  # whether a database has changed is not known without reading it

    def __init__(self, url: str, name: str) -> None:
        from nas.ledger.location import open_study

        self._study = open_study(url, name)
        self.problems: list[str] = []

    @property
    def user_attrs(self) -> dict[str, Any]:
        return dict(self._study.user_attrs)

    def refresh(self) -> None:
        """Nothing: a database is asked anew each time."""

    def rows(self) -> list[Row]:
        from nas.ledger.location import row_of

        return [row_of(one) for one in self._study.get_trials(deepcopy=False)]


def _open_source(study: Study) -> JournalReader | _StorageSource:
    url = study._settings.get("storage")
    if url:
        return _StorageSource(url, study.name)
    return JournalReader(study.layout.journal, study.layout.index, may_be_missing=True)
