"""How a candidate gets its metrics: trained, or found out in a cheaper way.

A search has one driver and any of several scorers. A scorer says over which space it
can speak, what a full budget is, and gives the function that turns a run into metrics.
What came from one scorer is never shown as coming from another: every trial keeps the
name of its scorer (column ``scorer``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.config import SearchConfig
    from nas.data.datasets import Dataset
    from nas.ledger.trial import Objective
    from nas.sampling.planned import Planned
    from nas.scoring.training import DataParallelWorker
    from nas.scoring.trial_run import TrialFunction
    from search_spaces.architecture import Architecture
    from search_spaces.spaces.space import SearchSpace


@dataclass(frozen=True)
class Step:
    """A search whose results another one needs: a study inside its study.

    Attributes:
        directory: The study of the step, inside that of the search.
        config: Of the step.
        what: What comes out of it, for progress.
    """

    directory: Path
    config: "SearchConfig"
    what: str


class Preparation(Protocol):
    """Something that is done once before the first trial; can be pickled.

    Done again it does nothing; interrupted and done again it goes on.
    """

    @property
    def name(self) -> str:
        """What a message calls it."""

    def __call__(
        self,
        data: Any,
        gpus: float,
        tell: Callable[[str], None],
        worker: "DataParallelWorker | None" = None,
    ) -> None:
        """Do it, with :attr:`Scorer.data` and so many GPUs; tell of every epoch.

        ``worker`` says which one this process is of several that do it together.
        """


class Scorer(ABC):
    """Gives candidates their metrics.

    Attributes:
        name: Value of ``scoring.kind``, and of the column ``scorer``.
        in_process: Whether a score takes so little that it is found out in the driver's
            own process, one after the other, without Ray.
        can_share: Whether several processes can score one candidate together
            (``resources.workers_per_trial``).
        can_resplit: Whether a run can have training and validation images of its own
            (``search.randomise: [split]``).
        has_rungs: Whether a candidate may be stopped early by its epochs
            (``search.fidelity``).
        scores_baselines: Whether architectures outside the space can be scored.
    """

    name: ClassVar[str]
    in_process: ClassVar[bool] = False
    can_share: ClassVar[bool] = False
    can_resplit: ClassVar[bool] = False
    has_rungs: ClassVar[bool] = False
    scores_baselines: ClassVar[bool] = True

    @property
    @abstractmethod
    def config(self) -> "SearchConfig":
        """The config of the search, adapted to what can be scored."""

    @property
    @abstractmethod
    def space(self) -> "SearchSpace":
        """What can be scored."""

    @property
    @abstractmethod
    def function(self) -> "TrialFunction":
        """Scores one run in a worker; can be pickled unless ``in_process``."""

    @property
    def dataset(self) -> "Dataset | None":
        """Images whose test split is looked at once at the end, if there are any."""
        return None

    @property
    def data(self) -> Any:
        """What every run is given as :attr:`TrialRun.data`."""
        return None

    @property
    def epochs(self) -> int:
        """Budget of one run."""
        return self.config.training.epochs

    @property
    def most_runs(self) -> "Callable[[Architecture], int] | None":
        """How many runs (seeds) of an architecture there can be; ``None``: any."""
        return None

    @property
    def objectives(self) -> "tuple[Objective, ...]":
        """What is improved."""
        return self.config.make_objectives()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the header of the study says about where metrics come from."""
        return {}

    def steps(self, study: Path) -> Iterator[Step]:
        """Searches that must be finished before :meth:`prepare`, in their order.

        Args:
            study: Directory of this search.
        """
        return iter(())

    def prepare(self, study: Path) -> None:  # noqa: B027 - most need nothing
        """Have everything ready that runs need, once, before the first of them.

        Args:
            study: Directory of the search.

        Raises:
            InputError: Something that is needed cannot be used; no run was started.
        """

    def preparations(self, study: Path) -> Sequence[Preparation]:
        """What is done in workers, side by side, before :meth:`prepare`.

        Args:
            study: The study's directory.
        """
        return ()

    def planned(self, study: Path) -> "Sequence[Planned]":
        """What is queued before the sampler is asked, after :meth:`prepare`.

        Args:
            study: Directory of the search.
        """
        return ()

    def check(self) -> None:
        """See that the search does not ask for what this scorer cannot do.

        Raises:
            InputError: It does.
        """
        self.check_config(self.config)

    @classmethod
    def check_config(cls, config: "SearchConfig") -> None:
        """The part of :meth:`check` that needs neither images nor a parent.

        Args:
            config: Of a search, before it is adapted.

        Raises:
            InputError: It asks for what such a scorer cannot do.
        """
        workers = config.resources.workers_per_trial
        if workers > 1 and not cls.can_share:
            raise InputError(
                "resources.workers_per_trial is for candidates that are trained from "
                f"scratch; with scoring.kind {cls.name} it must be 1, got {workers}"
            )
        if "split" in config.search.randomise and not cls.can_resplit:
            raise InputError(
                "search.randomise: split draws the training and validation images of "
                "each run anew, but with scoring.kind "
                f"{cls.name} runs share theirs; leave it out",
                hint="--set 'search.randomise=[seed]'",
            )
        if config.search.fidelity is not None and not cls.has_rungs:
            raise InputError(
                "search.fidelity stops trainings early, but scoring.kind "
                f"{cls.name} has results of one budget; leave it out",
                hint="--set search.fidelity=null",
            )
