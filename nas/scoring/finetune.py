"""Scorer ``finetune``: a trained parent with blocks of its library, trained on.

Every candidate starts from the same weights (the parent's, and those of one library)
and sees the same images in the same order, so candidates differ by their blocks alone
and their differences are paired. The parent itself, the all-Conv baseline, is
fine-tuned for the same budget: whoever is better than the parent must be better than
that. It answers what the CNN that one has can become, not which network would be best
from scratch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from nas.config import SearchConfig, TrainingConfig
from nas.plugins import import_plugins
from nas.scoring.finetune_data import FineTuneData
from nas.scoring.parent_search import ParentSearch, network_of
from nas.scoring.replacement import Replacement, replacement_option
from nas.scoring.scorer import Preparation, Scorer, Step
from nas.scoring.scorers import check_no_options
from nas.scoring.scratch import train_run
from nas.scoring.trial_run import TrialFunction, TrialOutcome, TrialRun
from nas.terminal import say
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError, shown
from search_spaces.spaces.space import SearchSpace

if TYPE_CHECKING:
    from pathlib import Path

    from nas.data.datasets import Dataset

DEFAULT_FACTOR = 1 / 6
"""Peak learning rate of a fine-tuning over that of a training from scratch: 1e-3 after
6e-3, as in the first trial on CIFAR-10."""

OPTIONS = ("epochs", "learning_rate_factor", "replacement")
"""What the section ``scoring`` may say."""


@dataclass(frozen=True)
class FineTuneOptions:
    """The section ``scoring`` of a fine-tuning.

    Attributes:
        epochs: Budget of a candidate.
        learning_rate_factor: Multiplies the learning rates of the recipe.
        replacement: Where the blocks of other kinds come from.
    """

    epochs: int
    learning_rate_factor: float
    replacement: Replacement

    @classmethod
    def of(cls, config: SearchConfig) -> "FineTuneOptions":
        """Read and check the section.

        Args:
            config: Of a search; the recipe's epochs are the default.

        Raises:
            InputError: A value is not allowed.
        """
        given = config.scoring.options
        epochs = given.get("epochs", config.training.epochs)
        if type(epochs) is not int or epochs < 1:
            raise InputError(
                f"scoring.epochs is a whole number of at least 1, got {shown(epochs)}"
            )
        factor = given.get("learning_rate_factor", DEFAULT_FACTOR)
        if type(factor) not in (int, float) or not 0 < factor <= 10:
            raise InputError(
                "scoring.learning_rate_factor is a number above 0 and at most 10, got "
                f"{shown(factor)}"
            )
        replacement = replacement_option(given.get("replacement", "library"))
        return cls(epochs, float(factor), replacement)

    def recipe(self, training: TrainingConfig) -> TrainingConfig:
        """The recipe of a fine-tuning.

        Learning rates are scaled, the warm-up keeps its share of the epochs, and
        nothing is drawn or whitened anew.

        Args:
            training: The recipe of a training from scratch.
        """
        share = training.warmup_epochs / training.epochs
        return training.model_copy(
            update={
                "epochs": self.epochs,
                "warmup_epochs": share * self.epochs,
                "learning_rate": training.learning_rate * self.learning_rate_factor,
                "muon_learning_rate": (
                    training.muon_learning_rate * self.learning_rate_factor
                ),
                "stem_init": "random",
                "drop_path": 0.0,
            }
        )


class FineTune(Scorer):
    """Trains candidates that start from a trained parent.

    Args:
        config: Has a section ``parent``; ``scoring`` may have ``epochs`` (those of the
            recipe), ``learning_rate_factor`` (1/6) and ``replacement`` (``library``,
            or as a control ``random``: the same blocks, drawn and not taught).
        quiet: Show no progress.
        other_options: Further keys of ``scoring`` that are somebody else's.

    Raises:
        InputError: The parent, its library or an option cannot be used.
    """

    name: ClassVar[str] = "finetune"
    has_rungs: ClassVar[bool] = True

    def __init__(
        self,
        config: SearchConfig,
        quiet: bool = False,
        other_options: tuple[str, ...] = (),
    ) -> None:
        check_no_options(config, (*OPTIONS, *other_options))
        self._options = FineTuneOptions.of(config)
        self._quiet = quiet
        self._search = ParentSearch(config, quiet, self._options.replacement)

    @property
    def config(self) -> SearchConfig:
        """The config with the parent's slots as its space."""
        return self._search.config

    @property
    def space(self) -> SearchSpace:
        """Placements of the parent."""
        return self._search.space

    @property
    def dataset(self) -> "Dataset":
        """The images."""
        return self._search.images

    @cached_property
    def data(self) -> FineTuneData:
        """Images and the parent's fingerprint, on the machines where trials run."""
        return self._search.data()

    @property
    def function(self) -> TrialFunction:
        """Fine-tuning and evaluation in a worker."""
        return fine_tune

    @property
    def epochs(self) -> int:
        """Budget of a fine-tuning."""
        return self._options.epochs

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The parent's fingerprint."""
        return self._search.provenance

    def steps(self, study: "Path") -> Iterator[Step]:
        """The training of the parent, if that is asked for."""
        return self._search.steps(study)

    def preparations(self, study: "Path") -> Sequence[Preparation]:
        """On a cluster, the blocks that the library lacks.

        Args:
            study: Directory of the search.

        Raises:
            InputError: The library is of another parent, or cannot be read.
        """
        return self._search.tasks(study)

    def prepare(self, study: "Path") -> None:
        """Fit the blocks that the library lacks.

        Args:
            study: Directory of the search.

        Raises:
            InputError: The library is of another parent, or cannot be read.
        """
        self._search.prepare(
            study, lambda line: None if self._quiet else say(line, err=True)
        )


def fine_tune(run: TrialRun) -> TrialOutcome:
    """Fine-tune and measure one candidate in a worker.

    Args:
        run: What to do; its settings are the ``SearchConfig`` of a :class:`FineTune`,
            its data a :class:`FineTuneData`.

    Returns:
        The metrics.

    Raises:
        InputError: Parent or library are not those of the search any more.
    """
    config, data = run.settings, run.data
    import_plugins(config.plugins)
    options = FineTuneOptions.of(config)
    start = network_of(
        Architecture.from_dict(dict(run.architecture)),
        config,
        data.images,
        # <study>/trials/<number> is the run's own directory.
        run.directory.parents[1],
        data.parent,
        options.replacement,
        seed=run.seed,
    )
    recipe = config.model_copy(update={"training": options.recipe(config.training)})
    return train_run(replace(run, settings=recipe, data=data.images), start)
