"""``parent: {train: true}``: the all-Conv network of the space, trained by the search.

It is the one trial of a study inside the study (``<study>/parent``): a ledger, curves
and weights of its own, resumable, and readable by every command.
"""

from pathlib import Path

from nas.config import SearchConfig
from nas.config.parent import ParentConfig
from nas.config.running import SamplingConfig
from nas.config.scoring import ScoringConfig
from nas.data.datasets import Dataset
from nas.ledger.trial import TrialState
from nas.scoring.parent_space import load_for_images, space_of
from nas.scoring.scorer import Step
from nas.study.study import Study
from search_spaces.errors import InputError
from search_spaces.parents.alternet_parent import AlterNetParent
from search_spaces.parents.parent import Parent
from search_spaces.placement import Placement

DIRECTORY = "parent"
"""Of the study in which the parent is trained, inside that of the search."""


def untrained_parent(config: SearchConfig, images: Dataset) -> AlterNetParent:
    """The network that is going to be the parent, with drawn weights.

    Args:
        config: Of the search; its space has the backbone.
        images: Give classes, channels and size.

    Raises:
        InputError: The space is that of another network already, or does not fit.
    """
    if "parent" in config.space.backbone:
        raise InputError(
            "parent.train trains the all-Conv network of space.backbone, which here is "
            "that of another parent"
        )
    space = space_of(config, images.shape)
    placement = Placement.all_conv(space.backbone.depths)
    return AlterNetParent(
        space.architecture(placement), source="the parent that is trained first"
    )


def parent_step(config: SearchConfig, study: Path) -> Step:
    """The search that trains the parent.

    Args:
        config: Of the whole search, its space that of the parent.
        study: Its directory.
    """
    changes = {
        "name": f"{config.name}-{DIRECTORY}"[:100],
        "parent": None,
        "scoring": ScoringConfig(),
        # The all-Conv network is the first baseline of every search.
        "search": SamplingConfig(
            sampler="random",
            trials=1,
            trial_time_limit_s=config.search.trial_time_limit_s,
        ),
        "rule": None,
    }
    return Step(study / DIRECTORY, config.model_copy(update=changes), "the parent")


def trained_directory(study: Path) -> Path:
    """Directory of the trial that trained the parent of a study.

    Args:
        study: The study that the parent is for.

    Raises:
        InputError: It is not trained.
    """
    trained = Study.open(study / DIRECTORY)
    problem = "it is not trained yet"
    for trial in trained.trials():
        if trial.state == TrialState.COMPLETE:
            return trained.trial_directory(trial.number)
        problem = trial.error or problem
    raise InputError(
        f"a search with parent.train goes on from its trained parent; {trained.path} "
        f"has none: {problem}"
    )


def read_trained(images: Dataset, study: Path) -> Parent:
    """The trained parent of a study.

    Args:
        images: Give classes, channels and size.
        study: Its directory.

    Raises:
        InputError: It is not trained, or its weights are gone.
    """
    wanted = ParentConfig(model=str(trained_directory(study)))
    return load_for_images(wanted, images)
