"""``search`` and ``resume``: from a config to a finished study."""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nas.config import SearchConfig, with_plugins
from nas.config.completion import metric_facts
from nas.config.rule import HASH_KEY
from nas.execution.data_parallel import IDLE_CPUS, train_data_parallel
from nas.execution.dry_run import remembered
from nas.execution.full_disk import is_full_disk
from nas.execution.in_process import LINE_EVERY_S, run_in_process
from nas.ledger.atomic_file import write_atomically
from nas.ledger.cause import Cause
from nas.ledger.trial import Trial, TrialState
from nas.paths_in_study import to_keep
from nas.sampling.baselines import baselines
from nas.scoring.given_function import FromFunction
from nas.scoring.held_out_test import chosen_trials, look_once
from nas.scoring.scorer import Scorer, Step
from nas.scoring.scorers import find_scorer, make_scorer
from nas.scoring.scratch import FromScratch
from nas.scoring.trial_run import TrialFunction
from nas.search_summary import (
    images_text,
    leave_if_over,
    reasons,
    remarks,
    summary,
)
from nas.study.header import study_header
from nas.study.layout import StudyLayout
from nas.study.lease import Lease
from nas.study.new_directory import free_directory, new_directory
from nas.study.recorded_settings import NOTE as SETTINGS_NOTE
from nas.study.recorded_settings import check_unchanged, settings_to_record
from nas.study.status import StudyStatus
from nas.study.study import Study
from nas.study_path import find_study
from nas.terminal import say
from nas.tracking.trackers import check_trackers, make_trackers
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.execution.resources import Resources
    from nas.ledger.ledger import Ledger
    from nas.sampling.halving import Halving
    from nas.sampling.proposer import Proposer
    from nas.study.progress import Progress
    from nas.tracking.callback import Tracking


class SearchFailedError(RuntimeError):
    """The search as a whole failed: not one trial is complete."""


@contextmanager
def _stopped_by_full_disk(directory: Path) -> Iterator[None]:
    """Say what to do about a full disk: what is in the ledger is safe."""
    try:
        yield
    except SearchFailedError:
        raise
    except Exception as error:
        if not is_full_disk(error):
            raise
        is_there = StudyLayout(directory).exists()
        then = f"go on with: nas resume {directory}" if is_there else "start it again"
        raise SearchFailedError(
            f"the search was stopped: no space left on the disk of {directory}; make "
            f"room, then {then}"
        ) from error


class SearchInterrupted(KeyboardInterrupt):  # noqa: N818 - it is no error
    """The search was stopped; it can be resumed."""


def search(
    config: SearchConfig,
    out: str | os.PathLike[str] | None = None,
    address: str | None = None,
    *,
    quiet: bool = False,
    function: TrialFunction | None = None,
    scorer: Scorer | None = None,
) -> Study:
    """Run a search into a new study directory.

    Args:
        config: Everything about it.
        out: The study directory; ``runs/<name>`` if ``None``. Must not exist, or
            be empty.
        address: Ray cluster, instead of ``config.resources.address``.
        quiet: Show no progress.
        function: Trains and measures one network, instead of
            :func:`nas.scoring.from_scratch.train_and_evaluate`.
        scorer: Gives candidates their metrics, instead of the one that
            ``config.scoring`` names.

    Returns:
        The study.

    Raises:
        InputError: The config or the directory is not right; nothing is written.
        SearchFailedError: Not one trial is complete, or the disk is full; then the
            study can be resumed.
        SearchInterrupted: Ctrl-C or SIGTERM; the study can be resumed.
    """
    directory = free_directory(config.name, out)
    with new_directory(directory):
        if scorer is None:
            if config.storage:
                from nas.ledger.location import Location

                journal = StudyLayout(directory).journal
                Location(config.storage, journal).check_free(config.name)
            scorer = _make_scorer(config.at_address(address), function, quiet)
        else:
            check_trackers(scorer.config.tracking)
        with _stopped_by_full_disk(directory):
            return _Search(scorer, directory, quiet).start()


def resume(
    path: str | os.PathLike[str],
    trials: int | None = None,
    address: str | None = None,
    *,
    quiet: bool = False,
    function: TrialFunction | None = None,
) -> Study:
    """Go on with a study that was killed, interrupted or finished.

    Args:
        path: The study directory.
        trials: New number of trials in all; the old one if ``None``.
        address: Ray cluster, instead of the one in the study's config.
        quiet: Show no progress.
        function: As for :func:`search`; must be the same.

    Returns:
        The study.

    Raises:
        InputError: It is not a study, or another driver is at work on it.
        SearchFailedError: Not one trial is complete, or the disk is full; then the
            study can be resumed.
        SearchInterrupted: Ctrl-C or SIGTERM; the study can be resumed.
    """
    study = Study.open(find_study(path))
    with Lease(study.path):
        study.check_number(trials)
        config = study.config.at_address(address)
        if (recorded := study.recorded_settings) is not None:
            recorded = to_keep(recorded, study.path.absolute())
            kept = to_keep(config.to_dict(), study.path.absolute())
            check_unchanged(recorded, settings_to_record(kept, None))
        if leave_if_over(study, trials, quiet=quiet):
            _require_a_result(study.trials())
            return study
        scorer = _make_scorer(config, function, quiet)
        with _stopped_by_full_disk(study.path):
            return _Search(scorer, study.path, quiet).resume(study, trials)


def _require_a_result(trials: list[Trial]) -> None:
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        why = reasons(trials) or ["no trial was started"]
        raise SearchFailedError(f"not one trial is complete: {'; '.join(why)}")


def _make_scorer(
    config: SearchConfig, function: TrialFunction | None, quiet: bool
) -> Scorer:
    """Read what a scorer needs, once all that is known without it has been checked."""
    config = with_plugins(config)
    check_trackers(config.tracking)
    make = FromFunction if function is not None else find_scorer(config)
    if isinstance(make, type) and issubclass(make, Scorer):
        make.check_config(config)
        if not make.in_process:
            from nas.execution.cluster import check_before_connecting

            check_before_connecting(_resources(config))
    if function is None:
        return make_scorer(config, quiet)
    return FromFunction(config, function)


def _resources(config: SearchConfig) -> "Resources":
    from nas.execution.resources import Resources

    wanted = config.resources
    if wanted.workers_per_trial > 1:
        # The trial itself only waits for its workers, which reserve for
        # themselves; a second one would wait for the same CPUs.
        return Resources(
            cpus=IDLE_CPUS,
            max_concurrent=1,
            worker_cpus=wanted.workers_per_trial * wanted.cpus_per_trial,
            address=wanted.address,
        )
    return Resources.of_trial(wanted)


class _Search:
    """One run of a search: what ``search`` and ``resume`` have in common."""

    def __init__(self, scorer: Scorer, directory: Path, quiet: bool) -> None:
        config = scorer.config
        scorer.check()  # what was not to be seen without images, too
        self._scorer = scorer
        self._config = config
        self._directory = directory.absolute()
        self._layout = StudyLayout(self._directory)
        self._quiet = quiet
        self._dataset = scorer.dataset
        self._space = scorer.space
        if self._dataset is not None and not quiet:
            for line in (images_text(self._dataset), *self._dataset.notes):
                say(line, err=True)

    def _cluster(self) -> AbstractContextManager[None]:
        """Ray, where the scorer needs it."""
        if self._scorer.in_process:
            return nullcontext()
        from nas.execution.cluster import ray_cluster

        return ray_cluster(_resources(self._config))

    def start(self) -> Study:
        """Begin; the caller has the lease."""
        with self._cluster():
            self._check_directory()
            self._write_config()
            ledger = self._ledger(create=True)
            ledger.set_note(SETTINGS_NOTE, self._settings())
            return self._run(ledger, self._config.search.trials)

    def resume(self, study: Study, trials: int | None) -> Study:
        """Go on; the caller has the lease, and has seen that the number is right."""
        before, now = study.header.get("parent"), self._scorer.provenance.get("parent")
        if None not in (before, now) and before != now:
            raise InputError(
                "a study keeps the trained network that its trials start from, but the "
                f"fingerprint of its weights was {before} and is {now}; put them back, "
                "or start another study"
            )
        ledger = self._ledger(create=False)
        if (recorded := ledger.get_note(SETTINGS_NOTE)) is None:
            ledger.set_note(SETTINGS_NOTE, self._settings())
        else:
            # Versions before wrote absolute paths into the study.
            recorded = to_keep(recorded, self._directory)
            check_unchanged(recorded, self._settings())
        made_by = {trial.scorer for trial in ledger.trials()}
        ours = self._scorer.name
        if made_by and not made_by & {ours, FromScratch.name}:
            raise InputError(
                "a study keeps the scorer of its trials, which is "
                f"{', '.join(sorted(made_by))} here and would be {ours}: a function or "
                "scorer that was given to the search must be given again"
            )
        num_trials = study.num_trials if trials is None else trials
        if study.has_ended(trials):  # the test images are to be looked at
            return self._close(finished=True, exhausted=study.is_exhausted)
        with self._cluster():
            self._check_directory()
            if trials is not None:
                ledger.set_note("num_trials", trials)
            lost = ledger.reclaim(
                "lost with its driver, which was killed", Cause.DRIVER
            )
            if lost and not self._quiet:
                say(
                    f"{len(lost)} trials had no driver any more and are queued "
                    f"again: {', '.join(map(str, lost))}",
                    err=True,
                )
            return self._run(ledger, num_trials)

    def _settings(self) -> dict[str, Any]:
        """What must not change as long as there are trials of it."""
        fingerprint = self._dataset.fingerprint if self._dataset else None
        return settings_to_record(self._kept_settings(), fingerprint)

    def _kept_settings(self) -> dict[str, Any]:
        return to_keep(self._config.to_dict(), self._directory)

    def _check_directory(self) -> None:
        if self._scorer.in_process:
            return
        from nas.execution.cluster import check_study_is_shared

        check_study_is_shared(self._directory)

    def _write_config(self) -> None:
        fingerprint = self._dataset.fingerprint if self._dataset else None
        header = {
            **study_header(metric_facts(self._config), fingerprint),
            **self._scorer.provenance,
        }
        if self._config.rule is not None:
            header[HASH_KEY] = self._config.rule.digest()
        content = {"study": header, **self._kept_settings()}
        if (cost := remembered(self._config)) is not None:
            cost.write(self._layout.launch_cost)
        write_atomically(self._layout.config, yaml.safe_dump(content, sort_keys=False))

    def _ledger(self, *, create: bool) -> "Ledger":
        from nas.ledger.ledger import Ledger
        from nas.ledger.location import Location

        location = Location(self._config.storage or "", self._layout.journal)
        return Ledger(
            location,
            self._config.name,
            self._config.make_objectives(),
            create=create,
            scorer=self._scorer.name,
            # A driver may have been killed before it wrote the ledger, but a ledger
            # that is gone from beside its results is nothing to go on with.
            finish=not any(self._layout.trials.glob("*/metrics.json")),
        )

    def _run(self, ledger: "Ledger", num_trials: int) -> Study:
        from nas.sampling.halving import Halving, rungs
        from nas.sampling.proposer import Plan, Proposer

        if not self._prepare():
            return self._close(finished=False, exhausted=False)
        config, wanted = self._config, self._config.search
        deadline = time.time() + wanted.time_limit_s if wanted.time_limit_s else None
        plan = Plan(
            space=self._space,
            sampler=wanted.sampler,
            num_trials=num_trials,
            seed=config.seed,
            epochs=self._scorer.epochs,
            replicates=wanted.replicates,
            replicate_first=wanted.replicate_first,
            baselines=self._baselines() if wanted.baselines else {},
            sampler_options=wanted.options,
            deadline=deadline,
            planned=self._scorer.planned(self._directory),
            most_runs=self._scorer.most_runs,
            vary_seed="seed" in wanted.randomise,
            split_seed=config.data.split_seed if "split" in wanted.randomise else None,
        )
        steps: tuple[int, ...] = ()
        halving = None
        if wanted.fidelity is not None:
            factor = wanted.fidelity.reduction_factor
            steps = rungs(wanted.fidelity.min_epochs, self._scorer.epochs, factor)
            halving = Halving(ledger.objectives, factor)
            for key, measured in ledger.measured_at_rungs():
                halving.remember(key, measured)
        proposer = Proposer(ledger, plan)
        if self._scorer.in_process:
            with self._progress(ledger, num_trials, spare_s=LINE_EVERY_S) as shown:
                run_in_process(ledger, proposer, self._scorer, self._directory, shown)
            finished = True
        else:
            finished = self._run_on_ray(ledger, proposer, num_trials, halving, steps)
        if finished:
            ledger.set_note("exhausted", proposer.exhausted)
        return self._close(finished=finished, exhausted=proposer.exhausted)

    def _prepare(self) -> bool:
        """Have all ready that the trials need; whether it was not interrupted."""
        for step in self._scorer.steps(self._directory):
            if not self._quiet:
                say(f"{step.what}: {step.directory}", err=True)
            try:
                self._take(step)
            except SearchInterrupted as stop:
                raise SearchInterrupted(
                    f"the search was stopped; go on with: nas resume {self._directory}"
                ) from stop
        if not self._prepare_in_workers():
            return False
        self._scorer.prepare(self._directory)
        return True

    def _take(self, step: Step) -> None:
        if not StudyLayout(step.directory).exists():
            search(step.config, step.directory, quiet=self._quiet)
        elif StudyStatus.of(Study.open(step.directory)).state != "finished":
            resume(step.directory, quiet=self._quiet)

    def _run_on_ray(
        self,
        ledger: "Ledger",
        proposer: "Proposer",
        num_trials: int,
        halving: "Halving | None",
        steps: tuple[int, ...],
    ) -> bool:
        """Have the workers do it; whether it came to its end."""
        from nas.execution.ray_runner import run_trials
        from nas.execution.trial_worker import WorkerContext

        config = self._config
        progress = self._progress(ledger, num_trials, study=self._layout)
        tracking = self._tracking(ledger)
        in_shares = self._is_shared and self._scorer.name == FromScratch.name
        context = WorkerContext(
            function=train_data_parallel if in_shares else self._scorer.function,
            study=self._directory,
            settings=config,
            data=self._scorer.data,
            cpus=config.resources.cpus_per_trial,
            gpus=config.resources.gpus_per_trial,
            rungs=steps,
            time_limit_s=config.search.trial_time_limit_s,
            is_tracked=tracking is not None,
        )
        with progress:
            return run_trials(
                ledger=ledger,
                proposer=proposer,
                context=context,
                resources=_resources(self._config),
                listener=progress,
                halving=halving,
                tracking=tracking,
            )

    def _progress(
        self, ledger: "Ledger", num_trials: int, **options: Any
    ) -> "Progress":
        from nas.study.progress import Progress

        trials, quiet = ledger.trials(), self._quiet
        return Progress(ledger.objectives, num_trials, trials, quiet=quiet, **options)

    def _prepare_in_workers(self) -> bool:
        wanted = self._scorer.preparations(self._directory)
        if not wanted:
            return True
        from nas.execution.cluster import ray_cluster
        from nas.execution.preparations import prepare

        resources = _resources(self._config)
        with ray_cluster(resources):  # a scorer in this process has none so far
            return prepare(
                wanted,
                self._scorer.data,
                resources,
                self._layout.preparing,
                tell=lambda line: None if self._quiet else say(line, err=True),
                share=self._config.resources if self._is_shared else None,
            )

    @property
    def _is_shared(self) -> bool:
        """Whether several processes train one network."""
        return self._config.resources.workers_per_trial > 1

    def _baselines(self) -> dict[str, Architecture]:
        """Those that can be scored; a table, for one, may not know them all."""
        found = baselines(self._space)
        if not self._scorer.in_process and self._scorer.scores_baselines:
            return found
        return {n: a for n, a in found.items() if self._space.contains(a)}

    def _tracking(self, ledger: "Ledger") -> "Tracking | None":
        if not self._config.tracking.to:
            return None
        from nas.tracking.callback import Tracking

        name = self._config.name
        trackers = make_trackers(self._config.tracking, name, self._directory)
        if not self._quiet:
            for tracker in trackers:
                say(f"tracking to {tracker}", err=True)
        return Tracking(ledger, name, self._directory, trackers)

    def _close(self, *, finished: bool, exhausted: bool) -> Study:
        study = Study.open(self._directory)
        study.write_table()
        trials = study.trials()
        problem = ""
        if finished and (dataset := self._dataset) is not None:
            try:
                look_once(study, lambda: dataset, chosen_trials(study))
            except InputError as error:  # the trials are safe all the same
                problem = f"the test images were not looked at: {error}"
        study.write_table()
        if not self._quiet:
            say(summary(trials, exhausted=exhausted), err=True)
            num_classes = None if self._dataset is None else self._dataset.num_classes
            for line in remarks(study, trials, num_classes):
                say(line, err=True)
        if problem:
            say(problem, err=True)
        if not finished:
            raise SearchInterrupted(
                f"the search was stopped; go on with: nas resume {self._directory}"
            )
        _require_a_result(trials)
        return study
