"""Train a supernet with the recipe of a search."""

from pathlib import Path

import torch

from nas.config import TrainingConfig
from nas.config.supernet import SupernetConfig
from nas.data.datasets import Dataset
from nas.scoring.path_sampling import PathSampling
from nas.scoring.training import DataParallelWorker, Watch, train
from nas.scoring.whitened_stem import whiten_stem
from search_spaces.networks.supernet import Supernet
from search_spaces.spaces.space import SearchSpace
from search_spaces.spaces.space_supernet import build_supernet

EPOCHS_OF_A_TRAINING = 3
"""Passes over the images as a multiple of a training's (with two letters the price of
six trainings). As in the trial that the defaults come from."""


def supernet_recipe(
    training: TrainingConfig, settings: SupernetConfig
) -> TrainingConfig:
    """The recipe of a supernet: that of the candidates, longer.

    Args:
        training: Recipe of a candidate.
        settings: How it differs for the supernet.
    """
    changes: dict[str, object] = {
        "epochs": settings.epochs or EPOCHS_OF_A_TRAINING * training.epochs,
        # A block that is dropped at random learns less often than its siblings.
        "drop_path": 0.0,
    }
    if settings.averaging is not None:
        changes["averaging"] = settings.averaging
    if settings.weight_decay is not None:
        changes["weight_decay"] = settings.weight_decay
    return training.model_copy(update=changes)


def drawn_supernet(space: SearchSpace, seed: int) -> Supernet:
    """A supernet whose weights depend on the seed alone.

    Args:
        space: Placements of an AlterNet.
        seed: Of the draw.

    Raises:
        InputError: The space has no supernet.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_supernet(space)


def train_supernet(
    space: SearchSpace,
    dataset: Dataset,
    training: TrainingConfig,
    settings: SupernetConfig,
    *,
    seed: int,
    device: torch.device | None = None,
    checkpoint: Path | None = None,
    worker: DataParallelWorker | None = None,
    watch: Watch | None = None,
) -> Supernet:
    """Train one supernet.

    Args:
        space: Placements of an AlterNet; its constraints are not looked at, because the
            complement of a placement that keeps to them may break them.
        dataset: Its training images.
        training: Recipe of a candidate.
        settings: How the supernet is trained.
        seed: Of weights, paths, data order and augmentation.
        device: Where to train; the CPU if ``None``.
        checkpoint: File that keeps the state between epochs and is continued from,
            with the same result as without the interruption.
        worker: Which part of each batch this process takes, if several train it.
        watch: Is told every epoch.

    Returns:
        The supernet in eval mode. The statistics of its BatchNorms are a mixture of all
        paths.

    Raises:
        InputError: The space has no supernet.
        DivergedError: The loss is not finite.
    """
    recipe = supernet_recipe(training, settings)
    supernet = drawn_supernet(space, seed)
    if recipe.stem_init == "whitened":
        whiten_stem(supernet, dataset.image_set(dataset.train), seed)
    train(
        supernet,
        dataset,
        recipe,
        seed=seed,
        device=device or torch.device("cpu"),
        checkpoint=checkpoint,
        worker=worker,
        watch=watch,
        paths=PathSampling(supernet.letters, settings.arrangement, seed),
    )
    return supernet.eval()
