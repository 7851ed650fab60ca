"""One trial: build, train, evaluate, write down. Knows neither Ray nor Optuna."""

import csv
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from evaluators.evaluator import Evaluation
from evaluators.registry import make_evaluators
from nas.config import Recipe
from nas.data.augmentation import make_augmentation
from nas.data.datasets import Dataset
from nas.ledger.atomic_file import write_atomically
from nas.ledger.json_null import json_null
from nas.scoring.training import DataParallelWorker, Epoch, Watch, train
from nas.scoring.whitened_stem import whiten_stem
from nas.study.layout import TrialLayout
from nas.study.live_history import write_history
from search_spaces import Architecture, InputError
from search_spaces.parents.whole_network import network_of

_LIVE_S = 1.0
"""Seconds between two writes of an unfinished history.csv (our choice: who watches
looks every few seconds)."""

ReportRung = Callable[[int, dict[str, float]], bool]
"""Called after each epoch with its metrics; returns True to stop the trial there."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial measured.

    Attributes:
        metrics: Value of each metric.
        standard_errors: Standard error of each sampled metric.
        epochs: Epochs trained; fewer than asked for if the trial was stopped.
        duration_s: Seconds, evaluation included.
        details: What figures need, by evaluator.
    """

    metrics: dict[str, float]
    standard_errors: dict[str, float]
    epochs: int
    duration_s: float
    details: dict[str, dict[str, Any]] = field(default_factory=dict)


def train_and_evaluate(
    architecture: Architecture,
    config: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    epochs: int | None = None,
    split_seed: int | None = None,
    directory: Path | None = None,
    report: ReportRung | None = None,
    watch: Watch | None = None,
    device: torch.device | None = None,
    checkpoint: Path | None = None,
    worker: DataParallelWorker | None = None,
    start: torch.nn.Module | None = None,
) -> TrialResult:
    """Train one architecture and score it with the configured evaluators.

    Args:
        architecture: What to train.
        config: Recipe and evaluators.
        dataset: Images.
        seed: Seed of initialisation, data order and augmentation.
        epochs: Budget; ``config.training.epochs`` if ``None``.
        split_seed: Draw anew with it which of the training and validation images are
            held out; ``None`` leaves them as they are.
        directory: Where architecture.yaml, history.csv, metrics.json, details.json
            and weights.safetensors are written; nothing is if ``None``.
        report: Called after each epoch with ``accuracy``, ``nll``, ``params`` and
            ``macs``; returns True to stop. A stopped trial is not evaluated further.
        watch: Told each line that history.csv will have, as soon as it is known; of a
            continued trial, also those before.
        device: Where to train; CUDA if there is one.
        checkpoint: File that keeps the state between epochs and is continued from;
            removed when the trial is done.
        worker: Which part of each batch this process takes, if several train the
            network together. Only the first evaluates and writes.
        start: The network of this architecture to start from, which is changed;
            freshly drawn weights if ``None``.

    Returns:
        The metrics; none in the other workers.

    Raises:
        DivergedError: The loss is not finite.
        EvaluationError: An evaluator's assumption does not hold.
    """
    started = time.perf_counter()
    device = device or default_device()
    dataset = dataset.resplit(split_seed)
    model: torch.nn.Module
    if start is None:
        model = drawn = build(architecture, config, seed)
        if config.training.stem_init == "whitened":
            whiten_stem(drawn, dataset.image_set(dataset.train), seed)
    else:
        model = start
    sizes = {"params": float(architecture.params), "macs": float(architecture.macs)}
    stopped = False

    def after_epoch(epoch: Epoch) -> bool:
        nonlocal stopped
        if report is not None and epoch.epoch < budget:
            known = {"accuracy": epoch.val_accuracy, "nll": epoch.val_loss, **sizes}
            stopped = report(epoch.epoch, known)
        return stopped

    curve: list[dict[str, Any]] = []
    written = 0.0

    def live(epoch: Epoch) -> None:
        nonlocal written
        curve.append(asdict(epoch))
        if directory is not None and time.monotonic() - written > _LIVE_S:
            write_history(TrialLayout(directory), curve)
            written = time.monotonic()
        if watch is not None:
            watch(epoch)

    budget = config.training.epochs if epochs is None else epochs
    history = train(
        model,
        dataset,
        config.training,
        seed=seed,
        device=device,
        epochs=budget,
        report=after_epoch,
        watch=live,
        checkpoint=checkpoint,
        worker=worker,
    )
    last = history[-1]
    if worker is not None and worker.rank > 0:
        return TrialResult({}, {}, last.epoch, time.perf_counter() - started)
    metrics = {"accuracy": last.val_accuracy, "nll": last.val_loss, **sizes}
    errors: dict[str, float] = {}
    details: dict[str, dict[str, Any]] = {}
    if not stopped:
        metrics = {}
        for name, evaluation in evaluate(model, config, dataset).items():
            metrics.update(evaluation.metrics)
            errors.update(evaluation.standard_errors)
            if evaluation.details:
                details[name] = evaluation.details
    result = TrialResult(
        metrics, errors, last.epoch, time.perf_counter() - started, details
    )
    if directory is not None:
        write_artifacts(
            directory, architecture, model, history, result, seed, split_seed
        )
    if checkpoint is not None and not stopped:
        with suppress(FileNotFoundError):
            checkpoint.unlink()
    return result


def build(architecture: Architecture, config: Recipe, seed: int) -> torch.nn.Module:
    """Build a network whose initial weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network_of(architecture, config.training.drop_path)


def evaluate(
    model: torch.nn.Module, config: Recipe, dataset: Dataset
) -> dict[str, Evaluation]:
    """Run the configured evaluators on a trained network.

    Args:
        model: The network.
        config: Evaluators and recipe.
        dataset: Images; the test split is not looked at.

    Returns:
        What each evaluator found, by its name.

    Raises:
        EvaluationError: An evaluator's assumption does not hold.
    """
    data = dataset.evaluation_data(
        make_augmentation(config.training, dataset.image_size),
        config.training.weight_decay,
    )
    return {
        evaluator.name: evaluator.evaluate(model, data)
        for evaluator in make_evaluators(config.evaluators)
    }


def find_device(name: str) -> torch.device:
    """The device of a name, if it is there.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, …

    Raises:
        InputError: It is no device, or this machine has none of them.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"a device is cpu, cuda or cuda:N of this machine, got {name!r}: {reason}"
        ) from error
    return device


def default_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def write_artifacts(
    directory: Path,
    architecture: Architecture,
    model: torch.nn.Module,
    history: list[Epoch],
    result: TrialResult,
    seed: int,
    split_seed: int | None = None,
) -> None:
    """Write what a trial leaves behind; metrics.json is last and marks it complete.

    Args:
        directory: ``<study>/trials/<number>``.
        architecture: What was trained.
        model: The trained network.
        history: One record per epoch.
        result: The metrics.
        seed: Seed of the run.
        split_seed: Seed of its split, if it has one of its own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = TrialLayout(directory)
    architecture.to_yaml(files.architecture)
    with files.history.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Epoch)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in history)
    # Copies, because a parent may use one tensor under two names.
    tensors = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, files.weights)
    write_atomically(files.details, json.dumps(json_null(result.details)))
    record = {
        "metrics": result.metrics,
        "standard_errors": result.standard_errors,
        "seed": seed,
        "epochs": result.epochs,
        "duration_s": result.duration_s,
    }
    if split_seed is not None:
        record["split_seed"] = split_seed
    write_atomically(files.metrics, json.dumps(json_null(record), indent=1))
