"""Scorer ``scratch``: every candidate is trained from freshly drawn weights."""

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from nas.config import SearchConfig
from nas.plugins import import_plugins
from nas.scoring.scorer import Scorer
from nas.scoring.scorers import check_no_options
from nas.scoring.trial_run import TrialFunction, TrialOutcome, TrialRun, TrialStopped
from search_spaces.architecture import Architecture
from search_spaces.spaces.space import SearchSpace

if TYPE_CHECKING:
    from torch import nn

    from nas.data.datasets import Dataset
    from nas.scoring.training import Epoch


class FromScratch(Scorer):
    """Trains each candidate with the recipe of the config.

    Args:
        config: Of the search.
        quiet: Show no progress while the images are read.

    Raises:
        InputError: The data cannot be read or the space does not fit them.
    """

    name = "scratch"
    can_share = True
    can_resplit = True
    has_rungs = True

    def __init__(self, config: SearchConfig, quiet: bool = False) -> None:
        from nas.data.datasets import load_dataset

        check_no_options(config)
        self._config = config
        self._dataset = load_dataset(config.data, quiet=quiet)
        self._space = config.space.make(*self._dataset.shape)

    @property
    def config(self) -> SearchConfig:
        """The config."""
        return self._config

    @property
    def space(self) -> SearchSpace:
        """The whole space."""
        return self._space

    @property
    def dataset(self) -> "Dataset":
        """The images."""
        return self._dataset

    def check(self) -> None:
        """See that a split that is to be drawn anew can be.

        Raises:
            InputError: It cannot.
        """
        super().check()
        if "split" in self._config.search.randomise:
            self._dataset.check_resplit()

    @cached_property
    def data(self) -> "Dataset":
        """The images as trials may see them, on the machines where they run."""
        return self._dataset.for_trials(self._config.resources.address)

    @property
    def function(self) -> TrialFunction:
        """Training and evaluation in a worker."""
        return train_trial


def train_trial(run: TrialRun) -> TrialOutcome:
    """Train and measure one network in a worker.

    Args:
        run: What to do; its settings are a ``SearchConfig``, its data a ``Dataset``.

    Returns:
        The metrics.
    """
    import_plugins(run.settings.plugins)
    return train_run(run)


def train_run(run: TrialRun, start: "nn.Module | None" = None) -> TrialOutcome:
    """Train and measure the network of a run, and tell how it goes on.

    Args:
        run: As for :func:`train_trial`.
        start: The network to start from; drawn weights if ``None``.

    Returns:
        The metrics.
    """
    import torch

    from nas.scoring.from_scratch import train_and_evaluate

    def report(epoch: int, metrics: dict[str, float]) -> bool:
        if epoch not in run.rungs:
            return False
        try:
            run.report(epoch, metrics)
        except TrialStopped:
            return True
        return False

    def watch(epoch: "Epoch") -> None:
        run.watch(asdict(epoch))

    run.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    result = train_and_evaluate(
        Architecture.from_dict(dict(run.architecture)),
        run.settings,
        run.data,
        seed=run.seed,
        epochs=run.epochs,
        split_seed=run.split_seed,
        directory=run.directory,
        report=report,
        watch=watch,
        # A GPU that was not reserved is not used: all workers would meet on it.
        device=None if run.gpus > 0 else torch.device("cpu"),
        checkpoint=run.checkpoint,
        start=start,
    )
    run.checkpoint.unlink(missing_ok=True)
    return TrialOutcome(result.metrics, result.standard_errors)
