"""The ledger: one Optuna study that is the truth about a search.

Whatever runs the trials (Ray Tune, or a plain loop) asks this ledger what is there
and tells it what happened; every fact is on disk before the next step. A search is
resumed by opening the ledger again: trials that nobody runs any more are failed
once and queued again (:meth:`Ledger.reclaim`).

Rows that are not training runs (repeated proposals, proposals that break a
constraint) stay in the ledger because the sampler learns from them; see
:attr:`nas.ledger.attributes.Row.is_trial`.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.ledger.attributes import STUDY_FORMAT, Row, finite_only
from nas.ledger.cause import Cause
from nas.ledger.columns import check_metric_names, is_reserved
from nas.ledger.journal import Journal
from nas.ledger.location import Location, load_optuna_study, one_line, row_of, taken
from nas.ledger.space import Space
from nas.ledger.trial import Objective, Trial
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError

MAX_LOSSES = 6
"""Workers that one trial may take down before it counts as failed; our choice: a
trial that needs more memory than there is costs six starts of a worker, a minute,
and nobody else's misfortune hits the same trial six times."""

MAX_CRASHES = 3
"""Times that a trial may end its process in the same place before it counts as
crashed; our choice: twice may be bad memory, three times is the code."""

_METRICS = "metrics"
"""The note in which a study records the names of its metrics."""

Key = tuple[str, int, int, int | None]
"""Architecture id, seed, epochs, split seed: what is never trained twice."""


@dataclass(frozen=True)
class Proposal:
    """A training run to be done.

    Attributes:
        number: Number of the trial.
        architecture: What to train.
        seed: Seed of the run.
        epochs: Budget.
        retry_of: The lost trial whose checkpoint may be continued, or ``None``.
        split_seed: Seed with which the training and validation images are drawn anew,
            or ``None`` for those of the study.
    """

    number: int
    architecture: Architecture
    seed: int
    epochs: int
    retry_of: int | None = None
    split_seed: int | None = None

    @property
    def key(self) -> Key:
        """What is never trained twice."""
        return self.architecture.id, self.seed, self.epochs, self.split_seed


class Ledger:
    """The rows of one search.

    Can be pickled: what is written is where the storage is, not the connection.

    Args:
        location: Where the ledger is kept.
        name: Name of the Optuna study.
        objectives: What is optimised; must agree with the stored study.
        create: Whether a new study is wanted; one of that name is then refused.
        scorer: How the trials that are started get their metrics.
        finish: Whether to go on with a creation that a killed driver left unfinished.

    Raises:
        InputError: The storage cannot be opened, the study is missing, exists
            already, or has other objectives.
    """

    def __init__(
        self,
        location: Location,
        name: str,
        objectives: tuple[Objective, ...],
        *,
        create: bool = False,
        scorer: str = "scratch",
        finish: bool = False,
    ) -> None:
        self._location = location
        self.scorer = scorer
        self.name = name
        self.objectives = objectives
        self._study: optuna.Study | None = None
        self._index: dict[Key, int] = {}
        self._open: set[int] = set()
        self._num_counted = 0
        self._num_waiting = 0
        self._finished: dict[int, Trial] = {}
        check_metric_names(objective.metric for objective in objectives)
        if create:
            self._create()
        elif finish:
            self._finish_creation()
        self._check()
        self._metrics = self._recorded_metrics()
        self._count()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_study": None}

    # ------------------------------------------------------------------ opening

    @property
    def study(self) -> optuna.Study:
        """The Optuna study, connected to at first use."""
        if self._study is None:
            self._study = load_optuna_study(self._location, self.name)
        return self._study

    def _create(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            study = optuna.create_study(
                study_name=self.name,
                storage=self._location.open(),
                directions=[objective.direction for objective in self.objectives],
            )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise taken(self.name) from error
        self._study = study
        self._describe()

    def _describe(self) -> None:
        with warnings.catch_warnings(), self.batch():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.set_metric_names([o.metric for o in self.objectives])
            self.study.set_user_attr("format", STUDY_FORMAT)

    def _finish_creation(self) -> None:
        storage = self._location.open()
        if self.name not in optuna.get_all_study_names(storage):
            self._create()
        elif "format" not in self.study.user_attrs and not self._frozen():
            self._describe()

    def _check(self) -> None:
        stored = tuple(direction.name.lower() for direction in self.study.directions)
        wanted = tuple(objective.direction for objective in self.objectives)
        if stored != wanted:
            raise InputError(
                f"study {self.name!r} optimises {len(stored)} objectives "
                f"({', '.join(stored)}), the configuration has {', '.join(wanted)}"
            )
        stored_format = self.study.user_attrs.get("format")
        if stored_format != STUDY_FORMAT:
            raise InputError(
                f"study {self.name!r} must be of format {STUDY_FORMAT!r}, "
                f"got {stored_format!r}"
            )

    def _count(self) -> None:
        for row in self._rows():
            if not row.is_trial:
                if row.state == TrialState.RUNNING.value:
                    self._open.add(row.number)
                continue
            self._note(row)

    def _note(self, row: Row) -> None:
        attrs = row.user_attrs
        if row.state == TrialState.RUNNING.value:
            self._open.add(row.number)
        self._num_waiting += row.state == TrialState.WAITING.value
        if "retried_as" in attrs:
            return
        self._num_counted += 1
        self._index[_key(attrs)] = row.number

    # ------------------------------------------------------------------ reading

    def _frozen(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _rows(self) -> Iterator[Row]:
        for frozen in self._frozen():
            yield row_of(frozen)

    def trials(self) -> list[Trial]:
        """Every training run so far, in order."""
        trials: list[Trial] = []
        for frozen in self._frozen():
            trial = self._finished.get(frozen.number)
            if trial is None:
                row = row_of(frozen)
                if not row.is_trial:
                    continue
                trial = row.trial(self._metrics)
                if frozen.state.is_finished():
                    self._finished[frozen.number] = trial
            trials.append(trial)
        return trials

    def trial(self, number: int) -> Trial:
        """One training run by its number."""
        return row_of(self._get(number)).trial(self._metrics)

    def _recorded_metrics(self) -> set[str] | None:
        """Names of the study's metrics; ``None`` if it has recorded none."""
        names = self.get_note(_METRICS)
        return None if names is None else set(names)

    def _record_metrics(self, names: Iterable[str]) -> None:
        """Note which attributes of trials are metrics."""
        known = self._metrics
        if known is None:  # a new study, or one that did not record them
            known = {name for trial in self.trials() for name in trial.metrics}
        elif known.issuperset(names):
            return
        self._metrics = known.union(names)
        self.set_note(_METRICS, sorted(self._metrics))

    def find(self, key: Key) -> int | None:
        """Number of the trial of this architecture, seed and budget, if any."""
        return self._index.get(key)

    @property
    def num_counted(self) -> int:
        """Trials that use up the search's number of trials: a lost one does not."""
        return self._num_counted

    @property
    def num_rows(self) -> int:
        """All rows, including proposals that were not trained."""
        return len(self._frozen())

    @property
    def num_waiting(self) -> int:
        """Trials in the queue."""
        return self._num_waiting

    @property
    def num_running(self) -> int:
        """Trials that were given out and have not ended."""
        return len(self._open)

    def get_note(self, name: str) -> Any:
        """Read a fact about the study, ``None`` if absent."""
        return self.study.user_attrs.get(name)

    def set_note(self, name: str, value: Any) -> None:
        """Write down a fact about the study."""
        self.study.set_user_attr(name, value)

    # ------------------------------------------------------------------ writing

    @contextmanager
    def batch(self, *, durable: bool = False) -> Iterator[None]:
        """Write what is told inside in one go, where the storage can.

        Args:
            durable: Whether it must survive a power failure.
        """
        backend = getattr(self.study._storage, "_backend", None)
        context: AbstractContextManager[None] = (
            backend.batch(durable=durable)
            if isinstance(backend, Journal)
            else nullcontext()
        )
        with context:
            yield

    def enqueue(
        self,
        architecture: Architecture,
        seeds: Sequence[int],
        epochs: int,
        *,
        params: Mapping[str, Any],
        attributes: Mapping[str, Any] | None = None,
        split_seeds: Sequence[int | None] | None = None,
    ) -> list[int]:
        """Queue training runs before everything that the sampler proposes.

        Args:
            architecture: What to train.
            seeds: Seed of each run; all runs are written down in one go.
            epochs: Budget of each run.
            params: The sampler's parameters for it; may be empty.
            attributes: Further attributes, e.g. ``baseline``.
            split_seeds: Split seed of each run; ``None`` for the study's split.

        Returns:
            The numbers of the trials.
        """
        splits = split_seeds or [None] * len(seeds)
        runs = list(zip(seeds, splits, strict=True))
        with warnings.catch_warnings(), self.batch():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            for seed, split in runs:
                attrs = self._specification(architecture, seed, epochs, split)
                attrs |= attributes or {}
                self.study.enqueue_trial(dict(params), user_attrs=attrs)
        rows = self._frozen()
        numbers = [row.number for row in rows[len(rows) - len(seeds) :]]
        for (seed, split), number in zip(runs, numbers, strict=True):
            self._index[(architecture.id, seed, epochs, split)] = number
        self._num_waiting += len(seeds)
        self._num_counted += len(seeds)
        return numbers

    def pop(self, space: Space) -> Proposal:
        """Start the first trial of the queue.

        Args:
            space: The search space. Its parameters and constraints are written down
                as if the sampler had proposed the architecture: it learns from it.
        """
        handle = self.study.ask()
        attrs = handle.user_attrs
        architecture = Architecture.from_dict(attrs["architecture"])
        with self.batch():
            if self._get(handle.number).system_attrs.get("fixed_params"):
                space.suggest(handle)
            self.constrain(handle, space.violations(architecture))
        self._num_waiting -= 1
        self._open.add(handle.number)
        return Proposal(
            handle.number,
            architecture,
            attrs["seed"],
            attrs["epochs"],
            attrs.get("retry_of"),
            attrs.get("split_seed"),
        )

    def ask(self) -> optuna.Trial:
        """Open a row for the sampler; it must be started, repeated or refused."""
        handle = self.study.ask()
        self._open.add(handle.number)
        return handle

    def start(
        self,
        handle: optuna.Trial,
        architecture: Architecture,
        seed: int,
        epochs: int,
        split_seed: int | None = None,
    ) -> Proposal:
        """Turn the sampler's row into a training run."""
        attrs = self._specification(architecture, seed, epochs, split_seed)
        for name, value in attrs.items():
            handle.set_user_attr(name, value)
        proposal = Proposal(
            handle.number, architecture, seed, epochs, split_seed=split_seed
        )
        self._index[proposal.key] = handle.number
        self._num_counted += 1
        return proposal

    def constrain(self, handle: optuna.Trial, amounts: Mapping[str, float]) -> None:
        """Show the sampler by how much a proposal breaks each constraint.

        Args:
            handle: The sampler's row.
            amounts: Above zero means broken, as in Optuna. Empty if the space has
                no constraints.
        """
        if not amounts:
            return
        for name, amount in amounts.items():
            handle.set_constraint(name, amount)
        # optuna-dashboard 0.21 reads only the key that Optuna 5 has replaced.
        self.study._storage.set_trial_system_attr(
            handle._trial_id, "constraints", list(amounts.values())
        )

    def refuse(
        self,
        handle: optuna.Trial,
        architecture: Architecture,
        reasons: Mapping[str, float],
    ) -> None:
        """Close the sampler's row: its proposal breaks a constraint."""
        handle.set_user_attr("architecture_id", architecture.id)
        handle.set_user_attr("placement", str(architecture.placement))
        handle.set_user_attr("infeasible", dict(reasons))
        self.study.tell(handle.number, state=TrialState.PRUNED)
        self._open.discard(handle.number)

    def repeat(
        self, handle: optuna.Trial, architecture: Architecture, twin: int
    ) -> None:
        """Close the sampler's row: the same run is there already.

        The sampler sees the twin's values. While the twin runs it sees a pruned
        trial; a failed one would make TPE propose the same point for ever (measured:
        12 distinct points in 300 asks).
        """
        known = self._get(twin)
        handle.set_user_attr("architecture_id", architecture.id)
        handle.set_user_attr("placement", str(architecture.placement))
        handle.set_user_attr("duplicate_of", twin)
        if known.state == TrialState.COMPLETE:
            self.study.tell(handle.number, known.values)
        else:
            self.study.tell(handle.number, state=TrialState.PRUNED)
        self._open.discard(handle.number)

    def measured_at_rungs(self) -> Iterator[tuple[Key, dict[int, dict[str, float]]]]:
        """What training runs have measured at rungs so far.

        Yields:
            Key of a run; metrics by rung.
        """
        for row in self._rows():
            attrs = row.user_attrs
            if row.is_trial and attrs.get("rungs"):
                yield _key(attrs), {int(r): m for r, m in attrs["rungs"].items()}

    def key_of(self, number: int) -> Key:
        """Architecture id, seed, epochs and split seed of a training run."""
        return _key(self._get(number).user_attrs)

    def report(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write down what a running trial has measured at a rung."""
        rungs = dict(self._get(number).user_attrs.get("rungs", {}))
        rungs[str(epoch)] = finite_only(metrics)[0]
        self._set(number, {"rungs": rungs})

    def complete(
        self,
        number: int,
        metrics: Mapping[str, Any],
        *,
        standard_errors: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Write down what a trial has measured; the gate for all results.

        Args:
            number: The trial.
            metrics: Value of each metric; every objective must be there and finite,
                or the trial is written down as failed.
            standard_errors: Standard errors by metric name.
            attributes: ``node``, ``duration_s``.

        Returns:
            Why the trial failed, or ``""`` if it is complete.
        """
        finite, others = finite_only(metrics)
        missing = [o.metric for o in self.objectives if o.metric not in metrics]
        broken = [o.metric for o in self.objectives if o.metric in others]
        reserved = sorted(filter(is_reserved, finite))
        error = ""
        if missing:
            error = f"the trial gave no value for the objective {', '.join(missing)}"
        elif broken:
            got = ", ".join(f"{name} = {metrics[name]}" for name in broken)
            error = f"objectives must be finite numbers, got {got}"
        elif reserved:
            error = (
                f"a metric cannot be named {', '.join(reserved)}: the trial table has "
                "such a column"
            )
            finite = {}
        attrs: dict[str, Any] = {**finite, **(attributes or {})}
        attrs["standard_errors"] = finite_only(standard_errors or {})[0]
        if others:
            attrs["not_finite"] = others
        if error:
            self.fail(number, error, attributes=attrs)
            return error
        values = [finite[objective.metric] for objective in self.objectives]
        with self.batch(durable=True):
            self._record_metrics(finite)
            self._set(number, attrs)
            self.study.tell(number, values)
        self._open.discard(number)
        return ""

    def prune(
        self,
        number: int,
        rung: int,
        metrics: Mapping[str, float],
        *,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down that a trial was stopped at a rung.

        Its metrics belong to a smaller budget, so it has no objective values in
        Optuna's eyes and cannot be on a Pareto front.
        """
        finite = finite_only(metrics)[0]
        with self.batch(durable=True):
            self._record_metrics(finite)
            self._set(number, {**finite, **(attributes or {}), "rung": rung})
            self.study.tell(number, state=TrialState.PRUNED)
        self._open.discard(number)

    def fail(
        self,
        number: int,
        error: str,
        *,
        cause: Cause = Cause.TRIAL,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down that a trial failed for good; it is not repeated.

        Args:
            number: The trial.
            error: Why, in words.
            cause: Why, as a fact.
            attributes: ``node``, ``duration_s``, ``signal``.
        """
        attrs = {**(attributes or {}), "error": one_line(error), "cause": str(cause)}
        with self.batch(durable=True):
            self._set(number, attrs)
            self.study.tell(number, state=TrialState.FAIL)
        self._open.discard(number)

    def lose(
        self,
        number: int,
        reason: str,
        cause: Cause,
        *,
        place: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> int | None:
        """Write down that a trial was lost with its worker, and queue it again.

        Args:
            number: The trial.
            reason: What happened to the worker, in words.
            cause: What happened, as a fact. After :data:`MAX_LOSSES` losses that the
                trial itself may have caused it is not queued again.
            place: Where in the program its process died, if that is known. After
                :data:`MAX_CRASHES` deaths in the same place it is not queued again.
            attributes: ``node``, ``signal``.

        Returns:
            Number of the trial that repeats it, or ``None``.
        """
        frozen = self._get(number)
        attrs = frozen.user_attrs
        if not row_of(frozen).is_trial:  # the driver died while the sampler thought
            self.fail(number, reason, cause=cause)
            return None
        losses = attrs.get("losses", 0) + int(cause.blames_trial)
        crashes = [*attrs.get("crashes", []), *([place] if place else [])]
        if place and crashes.count(place) >= MAX_CRASHES:
            reason = f"{reason}; given up after {crashes.count(place)} deaths there"
            self.fail(number, reason, cause=Cause.CRASH, attributes=attributes)
            return None
        if losses >= MAX_LOSSES:
            reason = f"{reason}; given up after {losses} lost workers"
            self.fail(number, reason, cause=cause, attributes=attributes)
            return None
        successor = next(
            (
                t.number
                for t in self._frozen()
                if t.user_attrs.get("retry_of") == number
            ),
            None,
        )
        if successor is None:
            inherited: dict[str, Any] = {
                name: attrs[name]
                for name in ("baseline", "sampled", "rungs")
                if name in attrs
            }
            inherited |= {"retry_of": number, "losses": losses}
            if crashes:
                inherited["crashes"] = crashes
            # What the sampler was told to take: of what it took, a killed driver may
            # have written down a part.
            params = frozen.system_attrs.get("fixed_params") or frozen.params
            (successor,) = self.enqueue(
                Architecture.from_dict(attrs["architecture"]),
                [attrs["seed"]],
                attrs["epochs"],
                params=params,
                attributes=inherited,
                split_seeds=[attrs.get("split_seed")],
            )
        if "retried_as" not in attrs:
            self._num_counted -= 1  # it takes the place of the lost one
        with self.batch():
            self._set(number, {"retried_as": successor})
            self.fail(number, reason, cause=cause, attributes=attributes)
        return successor

    def reclaim(self, reason: str, cause: Cause) -> list[int]:
        """Queue again every trial that nobody runs any more.

        Only for the one driver that holds the study's lease, before its trials
        start or after they have ended.

        Args:
            reason: Why they are lost, in words.
            cause: Why, as a fact.

        Returns:
            Numbers of the lost trials.
        """
        lost = [t.number for t in self._frozen() if t.state == TrialState.RUNNING]
        for number in lost:
            self._open.add(number)
            self.lose(number, reason, cause)
        return lost

    def _trial_id(self, number: int) -> int:
        study = self.study
        return study._storage.get_trial_id_from_study_id_trial_number(
            study._study_id, number
        )

    def _get(self, number: int) -> FrozenTrial:
        return self.study._storage.get_trial(self._trial_id(number))

    def _set(self, number: int, attributes: Mapping[str, Any]) -> None:
        storage = self.study._storage
        trial_id = self._trial_id(number)
        for name, value in attributes.items():
            storage.set_trial_user_attr(trial_id, name, value)

    def _specification(
        self,
        architecture: Architecture,
        seed: int,
        epochs: int,
        split_seed: int | None,
    ) -> dict[str, Any]:
        split = {} if split_seed is None else {"split_seed": split_seed}
        return {
            "architecture": architecture.to_dict(),
            "architecture_id": architecture.id,
            "placement": str(architecture.placement),
            "seed": seed,
            "epochs": epochs,
            "scorer": self.scorer,
            **split,
        }


def _key(attrs: Mapping[str, Any]) -> Key:
    """The key of a row by its attributes."""
    return (
        attrs["architecture_id"],
        attrs["seed"],
        attrs["epochs"],
        attrs.get("split_seed"),
    )
