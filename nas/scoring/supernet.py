"""Scorer ``supernet``: placements read off a few networks that all of them share.

The supernets are trained first, side by side; then every placement is scored by each
of them. Rows of one supernet share its luck: the column ``supernet`` says which it was,
and ``nas rule`` takes them as one cluster.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from nas.config import SearchConfig
from nas.config.completion import completed, metric_facts
from nas.config.supernet import SupernetConfig
from nas.ledger.atomic_file import write_atomically
from nas.plugins import import_plugins
from nas.scoring.scorer import Preparation, Scorer
from nas.scoring.supernet_file import SupernetFile
from nas.scoring.supernet_training import supernet_recipe
from nas.scoring.trial_run import TrialFunction, TrialOutcome, TrialRun
from nas.study.layout import StudyLayout, TrialLayout
from nas.terminal import say
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError, shown
from search_spaces.spaces.space import SearchSpace
from search_spaces.spaces.space_supernet import build_supernet

if TYPE_CHECKING:
    import torch

    from nas.data.datasets import Dataset
    from nas.scoring.supernet_scores import SupernetScores
    from nas.scoring.training import DataParallelWorker

MAX_WALKED = 1_024
"""Largest space that is scored as a whole, whatever the sampler (our choice: the walk
shares prefixes, and takes less than training the supernet did); of larger ones the
sampler chooses."""

_FROM_THE_WALK = ("accuracy", "cost")
"""Evaluators whose metrics need no network of their own."""


def supernet_settings(config: SearchConfig) -> SupernetConfig:
    """The options of the section ``scoring``, checked.

    Args:
        config: Of a search with ``scoring.kind`` supernet.

    Raises:
        InputError: One is unknown or has a value that is not allowed.
    """
    options = config.scoring.options
    for key in options:
        if key not in SupernetConfig.model_fields:
            known = ", ".join(("kind", *SupernetConfig.model_fields))
            raise InputError(
                f"unknown key 'scoring.{key}'; allowed for kind supernet: {known}"
            )
    try:
        return SupernetConfig.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"])
        raise InputError(
            f"scoring.{key}: {message[0].lower() + message[1:]}, "
            f"got {shown(first['input'])}"
        ) from error


def _by_score(config: SearchConfig, score: str, quiet: bool) -> SearchConfig:
    """The config with the objective ``accuracy`` replaced by what ranks better."""
    names = [one["metric"] for one in config.objectives]
    if score == "accuracy" or "accuracy" not in names or "nll" in names:
        return config
    objectives = [
        {"metric": "nll", "direction": "minimize"}
        if one["metric"] == "accuracy"
        else one
        for one in config.objectives
    ]
    if not quiet:
        say(
            "supernet scores rank by nll, which replaces the objective accuracy "
            "(scoring.score: accuracy keeps it)",
            err=True,
        )
    return completed(config.model_copy(update={"objectives": objectives}))


class FromSupernet(Scorer):
    """Scores placements with supernets that it trains first.

    Args:
        config: Its section ``scoring`` is that of
            :class:`nas.config.supernet.SupernetConfig`.
        quiet: Show no progress.

    Raises:
        InputError: An option is wrong, the images cannot be read, or the space has no
            supernet.
    """

    name: ClassVar[str] = "supernet"
    can_share: ClassVar[bool] = True
    scores_baselines: ClassVar[bool] = False

    def __init__(self, config: SearchConfig, quiet: bool = False) -> None:
        from nas.data.datasets import load_dataset

        self._settings = supernet_settings(config)
        if config.parent is not None:
            raise InputError(
                "scoring.kind supernet trains from scratch and has no section parent; "
                "a trained CNN is scored by scoring.kind distilled"
            )
        config = _by_score(config, self._settings.score, quiet)
        self._quiet = quiet
        self._dataset = load_dataset(config.data, quiet=quiet)
        self._space = config.space.make(*self._dataset.shape)
        build_supernet(self._space)  # a space without one is told before the search
        changes: dict[str, Any] = {"replicates": self._settings.supernets}
        changes["replicate_first"] = None
        changes["randomise"] = ["seed"]  # which says which supernet
        if self.is_walked:
            changes["sampler"], changes["options"] = "exhaustive", {}
            changes["trials"] = self._space.size * self._settings.supernets
        search = config.search.model_copy(update=changes)
        self._config = config.model_copy(update={"search": search})
        if self._settings.path is not None:
            for one in self.files(Path(self._settings.path)):
                if not one.is_trained:
                    raise InputError(
                        f"scoring.path must hold the supernets of seeds {config.seed} "
                        f"to {config.seed + self._settings.supernets - 1}; "
                        f"{one.weights} is not there",
                        hint="nas supernet makes them",
                    )

    @property
    def is_walked(self) -> bool:
        """Whether the whole space is scored."""
        return self._space.size <= MAX_WALKED

    @property
    def config(self) -> SearchConfig:
        """The config with as many replicates as there are supernets."""
        return self._config

    @property
    def space(self) -> SearchSpace:
        """The whole space."""
        return self._space

    @cached_property
    def data(self) -> "Dataset":
        """The images as trials may see them, on the machines where they run."""
        return self._dataset.for_trials(self._config.resources.address)

    @property
    def epochs(self) -> int:
        """Passes over the images that a supernet is trained for."""
        return supernet_recipe(self._config.training, self._settings).epochs

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The images, and what the metrics mean."""
        return {
            "data_fingerprint": self._dataset.fingerprint,
            "metrics": metric_facts(self._config),
        }

    @property
    def function(self) -> TrialFunction:
        """Scores one placement with one supernet, in a worker."""
        return ScorePlacement(self.files(Path()))

    def files(self, directory: Path) -> tuple[SupernetFile, ...]:
        """The supernets of the search.

        Args:
            directory: Where they are.
        """
        first = SupernetFile(
            self._config,
            self._settings,
            self._space,
            self._dataset.fingerprint,
            self._config.seed,
            directory,
        )
        return tuple(
            replace(first, seed=first.seed + index)
            for index in range(self._settings.supernets)
        )

    def preparations(self, study: Path) -> Sequence[Preparation]:
        """Train the supernets and walk the space, one task each."""
        placements: tuple[str, ...] = ()
        if self.is_walked:
            found = (one.placement.letters for one in self._space.enumerate())
            placements = tuple(sorted(found))
        directory = supernet_directory(self._settings, study)
        return [PrepareSupernet(one, placements) for one in self.files(directory)]


def supernet_directory(settings: SupernetConfig, study: Path) -> Path:
    """Where the supernets of a study are."""
    given = settings.path
    return StudyLayout(study).supernets if given is None else Path(given).absolute()


@dataclass(frozen=True)
class PrepareSupernet:
    """Trains one supernet and scores the space with it; can be interrupted.

    Attributes:
        file: The supernet.
        placements: What is scored at once; none of a space that is too large.
    """

    file: SupernetFile
    placements: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"supernet {self.file.seed}"

    def __call__(
        self,
        data: "Dataset",
        gpus: float,
        tell: Callable[[str], None],
        worker: "DataParallelWorker | None" = None,
    ) -> None:
        """Do it.

        Args:
            data: The images.
            gpus: GPUs reserved for it.
            tell: Is told of every epoch.
            worker: Which one this process is of several that train it together; the
                first scores the space.
        """
        import_plugins(self.file.config.plugins)
        device = _device(gpus)
        from nas.scoring.training import is_first

        self.file.train(data, device, tell, worker)
        if self.placements and is_first(worker):
            tell(
                f"{self.name}: scoring all {len(self.placements)} placements of the "
                "space"
            )
            self.file.walk(self.placements, data, device)


@dataclass(frozen=True)
class ScorePlacement:
    """The trial function: one placement, scored by the supernet of the run's seed.

    Attributes:
        files: The supernets; their directory is that of the run's study.
    """

    files: tuple[SupernetFile, ...]

    def __call__(self, run: TrialRun) -> TrialOutcome:
        """Score a run; see :class:`nas.scoring.trial_run.TrialRun`."""
        import_plugins(run.settings.plugins)
        file = next(one for one in self.files if one.seed == run.seed)
        study = run.directory.parents[1]
        file = replace(file, directory=supernet_directory(file.settings, study))
        architecture = Architecture.from_dict(dict(run.architecture))
        letters = architecture.placement.letters
        found = _scores(file).get(letters)
        if found is None:
            found = _reader(file, run).scores([letters])[letters]
        metrics, errors = dict(found.metrics), dict(found.standard_errors)
        metrics.update(params=float(architecture.params), macs=float(architecture.macs))
        others = {
            name: options
            for name, options in run.settings.evaluators.items()
            if name not in _FROM_THE_WALK
        }
        if others:
            from nas.scoring.from_scratch import evaluate

            network = _reader(file, run).network(letters)
            recipe = run.settings.model_copy(update={"evaluators": others})
            for one in evaluate(network, recipe, run.data).values():
                metrics.update(one.metrics)
                errors.update(one.standard_errors)
        layout = TrialLayout(run.directory)
        architecture.to_yaml(layout.architecture)
        record = {
            "metrics": metrics,
            "standard_errors": errors,
            "seed": run.seed,
            "epochs": run.epochs,
        }
        write_atomically(layout.metrics, json.dumps(record, indent=1))
        return TrialOutcome(metrics, errors)


def _device(gpus: float) -> "torch.device | None":
    if gpus <= 0:
        return None
    from nas.scoring.from_scratch import default_device

    return default_device()


_MOST_OPEN = 8
"""Supernets that a worker keeps in memory (our choice)."""

_OPEN: "dict[Path, SupernetScores]" = {}
_SCORES: "dict[Path, tuple[int, Mapping[str, TrialOutcome]]]" = {}
"""What this worker has read, by file, with the time when that was written."""


def _reader(file: SupernetFile, run: TrialRun) -> "SupernetScores":
    if file.weights not in _OPEN:
        if len(_OPEN) >= _MOST_OPEN:
            _OPEN.clear()
        _OPEN[file.weights] = file.reader(run.data, _device(run.gpus))
    return _OPEN[file.weights]


def _scores(file: SupernetFile) -> Mapping[str, TrialOutcome]:
    path = file.scores_file
    written = path.stat().st_mtime_ns if path.is_file() else 0
    if path not in _SCORES or _SCORES[path][0] != written:
        _SCORES[path] = written, file.scores()
    return _SCORES[path][1]
