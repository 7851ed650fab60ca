"""The trained network of a trial, as an export takes it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from nas.config import TrainingConfig
from nas.exporting.formats import load_weights
from nas.ledger.trial import Trial
from nas.study.layout import TrialLayout

if TYPE_CHECKING:
    from nas.data.datasets import Dataset
    from nas.study.study import Study


@dataclass(frozen=True)
class TrialNetwork:
    """A network, and what its trial's metrics are about.

    Attributes:
        model: In eval mode, on the CPU.
        num_images: Validation images behind the recorded accuracy, the first ones of
            their fixed random order; ``None``: what the accuracy evaluator says.
        made: How it came about, for the model card; ``""``: it was trained from
            scratch.
        training: The recipe that it was trained with, if not that of the study.
    """

    model: nn.Module
    num_images: int | None = None
    made: str = ""
    training: TrainingConfig | None = None


NetworkOf = Callable[["Study", Trial, "Dataset", Collection[str]], TrialNetwork]
"""Finds the network of a trial; the collection names modules of the user."""


def network_of_weights(
    study: "Study", trial: Trial, dataset: "Dataset", plugins: Collection[str] = ()
) -> TrialNetwork:
    """The network of a trial that was trained and kept its weights.

    Args:
        study: The study.
        trial: A complete trial of it.
        dataset: Its images; not looked at.
        plugins: Modules of the user whose functions may build a parent.

    Raises:
        InputError: The weights are missing or do not fit.
    """
    weights = TrialLayout(study.trial_directory(trial.number)).weights
    return TrialNetwork(
        load_weights(study.architecture(trial.number), weights, plugins)
    )
