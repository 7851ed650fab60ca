"""How long one training of a placement takes, from a part of an epoch of it."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from evaluators.evaluator import EvaluationError
from evaluators.registry import make_evaluators
from nas.config import SearchConfig
from nas.data.augmentation import make_augmentation
from nas.data.datasets import Dataset
from nas.data.raw_dataset import Split
from nas.scoring.from_scratch import TrialResult, build, write_artifacts
from nas.scoring.training import Epoch, num_steps, train, validate
from nas.study.launch_cost import MeasuredPlacement
from search_spaces.architecture import Architecture

PARTS = 3
"""Parts of an epoch that are timed on their own: their spread is in the range."""

PART_S = 1.0
"""Seconds that each is meant to take (our choice: a step of a large network may take
longer)."""

_WARM_UP = 2
"""Steps before them, in which memory is reserved and kernels are chosen."""

_WATCHED = 500
"""Validation images that are timed."""


def measure_placement(
    architecture: Architecture,
    config: SearchConfig,
    dataset: Dataset,
    device: torch.device,
) -> tuple[MeasuredPlacement, tuple[str, ...]]:
    """Train a placement for a part of an epoch, evaluate it, and time both.

    Args:
        architecture: What to train.
        config: Recipe and evaluators.
        dataset: Its images.
        device: Where.

    Returns:
        The times, and the evaluators that gave nothing on a network that was hardly
        trained, with the reason: their times are missing.
    """
    recipe = config.training
    started = time.perf_counter()
    model = build(architecture, config, config.seed)
    started = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        checkpoint = directory / "checkpoint.pt"

        def part(num: int, epochs: int, file: Path | None = None) -> list[Epoch]:
            few = replace(
                dataset,
                train=_first(dataset.train, num * recipe.batch_size),
                validation=_first(dataset.validation, 1),
            )
            return train(
                model,
                few,
                recipe,
                seed=config.seed,
                device=device,
                epochs=epochs,
                checkpoint=file,
            )

        steps = num_steps(len(dataset.train), recipe)
        start = time.perf_counter()
        part(min(_WARM_UP, steps), 1, checkpoint)
        started += time.perf_counter() - start
        a_step = part(1, 1)[0].seconds
        num = int(np.clip(PART_S / max(a_step, 1e-6), 1, steps))
        history = part(num, PARTS)
        seconds = [one.seconds * steps / num for one in history]
        result = TrialResult({}, {}, recipe.epochs, 0.0)
        record = replace(history[0], epoch=1)
        trial = directory / "trial"
        write_artifacts(
            trial, architecture, model, [record] * recipe.epochs, result, config.seed
        )
        disk = sum(file.stat().st_size for file in trial.iterdir())
        validation = _validation_seconds(model, config, dataset, device)
        evaluators, missing = _evaluator_seconds(model, config, dataset)
        found = MeasuredPlacement(
            str(architecture.placement),
            architecture.macs,
            (min(seconds), median(seconds), max(seconds)),
            validation,
            evaluators,
            started,
            disk,
            checkpoint.stat().st_size,
        )
    return found, missing


def _first(split: Split, num: int) -> Split:
    return split.take(np.arange(min(num, len(split))))


def _validation_seconds(
    model: torch.nn.Module, config: SearchConfig, dataset: Dataset, device: torch.device
) -> float:
    recipe = config.training
    few = _first(dataset.validation, _WATCHED)
    start = time.perf_counter()
    validate(model, dataset.image_set(few), recipe, device)
    each = (time.perf_counter() - start) / len(few)
    total = len(dataset.validation)
    watched = min(recipe.watched_images or total, total)
    return each * (watched * (recipe.epochs - 1) + total)


def _evaluator_seconds(
    model: torch.nn.Module, config: SearchConfig, dataset: Dataset
) -> tuple[dict[str, float], tuple[str, ...]]:
    augment = make_augmentation(config.training, dataset.image_size)
    data = dataset.evaluation_data(augment, config.training.weight_decay)
    found: dict[str, float] = {}
    missing = []
    for evaluator in make_evaluators(config.evaluators):
        start = time.perf_counter()
        try:
            evaluator.evaluate(model, data)
        except EvaluationError as error:
            missing.append(f"{evaluator.name} could not be timed: {error}")
        else:
            found[evaluator.name] = time.perf_counter() - start
    return found, tuple(missing)
