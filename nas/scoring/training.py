"""Train one network for one budget with one recipe."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.data import ImageSet
from nas.config import TrainingConfig
from nas.data.augmentation import (
    AlternatingFlip,
    make_augmentation,
    make_label_mixing,
)
from nas.data.datasets import Dataset
from nas.ledger.atomic_file import atomic_file
from nas.scoring.optimizer import RecipeOptimizer, make_optimizer
from nas.scoring.schedule import Schedule
from nas.scoring.weight_average import WeightAverage
from search_spaces.blocks.strided_conv import safe_conv_gradients


class DivergedError(RuntimeError):
    """The loss is not finite; the message names the step."""


@dataclass(frozen=True)
class Epoch:
    """One row of history.csv.

    Attributes:
        epoch: From 1.
        learning_rate: At the end of the epoch.
        train_loss: Mean loss over the epoch's steps, with smoothing and mixing, nats.
        val_loss: NLL on the validation images, nats; before the last epoch on
            ``training.watched_images`` of them.
        val_accuracy: Top-1 on the same images, fraction.
        seconds: Wall time of the epoch, validation included.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


Report = Callable[[Epoch], bool]
"""Called after each epoch; returns True to stop there."""

Paths = Callable[[int], Sequence[str]]
"""The letters of the paths of a supernet that are trained at a step, from 0."""

Watch = Callable[[Epoch], None]
"""Called with each epoch, those before a continued checkpoint included."""


@dataclass(frozen=True)
class DataParallelWorker:
    """The place of one process among those that train a network together.

    ``torch.distributed`` is initialised. All processes draw the same random numbers;
    each takes every ``num_workers``-th image of a batch. BatchNorm statistics are
    those of a worker's own share, and the first worker's are kept.

    Attributes:
        rank: From 0.
        num_workers: Divides the batch size.
    """

    rank: int
    num_workers: int

    def wait(self) -> None:
        """Until all of them have come here."""
        torch.distributed.barrier()


def is_first(worker: DataParallelWorker | None) -> bool:
    """Whether a process writes and tells what all that train a network together have.

    Args:
        worker: Its place; ``None`` if it trains alone.
    """
    return worker is None or worker.rank == 0


def train(
    model: nn.Module,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    epochs: int | None = None,
    report: Report | None = None,
    watch: Watch | None = None,
    checkpoint: Path | None = None,
    worker: DataParallelWorker | None = None,
    paths: Paths | None = None,
) -> list[Epoch]:
    """Train a network in place.

    The data order, augmentation and drop-path depend on the seed alone. With a
    checkpoint path, the state is written there after each epoch and an existing
    file is continued from: the result is the same as without the interruption. One
    that is cut short is not continued from, which costs time alone.
    With ``averaging``, it is the averaged weights that are validated and that the
    network ends with.

    Args:
        model: Network that maps ``(batch, channels, height, width)`` to logits.
        dataset: Its training split is trained on, its validation split watched.
        config: The recipe.
        seed: Seed of data order, augmentation and drop-path.
        device: Where to train; the model is moved there.
        epochs: Instead of ``config.epochs``; the schedule is stretched to it.
        report: Called after each epoch; may stop the run.
        watch: Called with each record that is returned, as soon as it is known.
        checkpoint: File that keeps the state between epochs.
        worker: Which part of each batch this process takes, if several train one
            network together. Only the first validates, reports and saves.
        paths: Of a supernet: each step runs all of its paths on the same images and
            takes the mean of their gradients.

    Returns:
        One record per epoch, those before a continued checkpoint included; without
        validation values in the other workers, and of a supernet: what its paths are
        worth is known when their BatchNorm statistics are their own.

    Raises:
        DivergedError: The loss is not finite.
    """
    num_epochs = config.epochs if epochs is None else epochs
    alternating = config.flip == "alternating"
    augment = make_augmentation(config, dataset.image_size, flip=not alternating)
    images = dataset.image_set(dataset.train, stored=augment is not None)
    steps = num_steps(len(images), config)
    warmup = min(config.warmup_epochs, num_epochs)
    schedule = Schedule(
        config.learning_rate,
        round(warmup * steps),
        num_epochs * steps,
        config.decay,
        config.warmup_start,
    )
    memory_format = memory_format_of(config)
    model.to(device).to(memory_format=memory_format)
    optimizer = make_optimizer(model, config)
    forward = model
    if worker is not None:
        # A path of a supernet leaves the blocks of other letters without gradients.
        forward = nn.parallel.DistributedDataParallel(
            model, find_unused_parameters=paths is not None
        )
    speaks = is_first(worker)
    average = WeightAverage(model, config.averaging) if config.averaging else None
    flip = AlternatingFlip(len(images), config.horizontal_flip, seed)
    mix = make_label_mixing(config, dataset.num_classes)
    history: list[Epoch] = []
    with _seeded(seed, device), _deterministic(), safe_conv_gradients(device):
        generator = torch.Generator().manual_seed(seed)
        if checkpoint is not None and checkpoint.exists():
            history = _load(checkpoint, model, optimizer, average, generator, device)
            if watch is not None and speaks:
                for record in history:
                    watch(record)
        for epoch in range(len(history), num_epochs):
            started = time.perf_counter()
            model.train()
            order = torch.randperm(len(images), generator=generator)
            total = torch.zeros((), device=device)
            for index in range(steps):
                step = epoch * steps + index
                rows = order[index * config.batch_size :][: config.batch_size]
                if worker is not None:
                    rows = rows[worker.rank :: worker.num_workers]
                pixels = images.pixels(rows, device)
                labels = images.labels[rows].to(device)
                if augment is not None:
                    pixels = augment(pixels, generator)
                if alternating:
                    pixels = flip(pixels, rows, epoch)
                batch = images.normalise(pixels)
                targets: Tensor = labels
                if mix is not None:
                    batch, targets = mix(batch, labels, generator)
                optimizer.set_learning_rate(schedule(step))
                batch = batch.contiguous(memory_format=memory_format)
                chosen = ((),) if paths is None else [(one,) for one in paths(step)]
                optimizer.zero_grad()
                for path in chosen:
                    with autocast(config, device):
                        logits = forward(batch, *path)
                    loss = functional.cross_entropy(
                        logits.float(), targets, label_smoothing=config.label_smoothing
                    ) / len(chosen)
                    loss.backward()  # type: ignore[no-untyped-call]
                    total += loss.detach()
                if config.clip_norm:
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
                optimizer.step()
                if average is not None:
                    average.update()
                # On CUDA a look at the value would stall the queue at every step.
                if device.type == "cpu" or index == steps - 1:
                    _check_finite(total, step, num_epochs * steps)
            val_loss, val_accuracy = math.nan, math.nan
            if speaks and paths is None:
                is_last = epoch + 1 == num_epochs
                with average.in_place() if average is not None else nullcontext():
                    val_loss, val_accuracy = validate(
                        model,
                        dataset.image_set(dataset.validation),
                        config,
                        device,
                        None if is_last else config.watched_images,
                    )
            record = Epoch(
                epoch + 1,
                schedule(epoch * steps + steps - 1),
                float(total) / steps,
                val_loss,
                val_accuracy,
                time.perf_counter() - started,
            )
            history.append(record)
            if checkpoint is not None and speaks:
                _save(checkpoint, model, optimizer, average, generator, history)
            if watch is not None and speaks:
                watch(record)
            if report is not None and speaks and report(record):
                break
    if average is not None:
        average.copy_to_model()
    model.eval()
    return history


def num_steps(num_images: int, config: TrainingConfig) -> int:
    """Steps of one epoch; at least 1, also with fewer images than a batch."""
    if config.last_batch == "keep":
        return math.ceil(num_images / config.batch_size)
    return max(1, num_images // config.batch_size)


def validate(
    model: nn.Module,
    images: ImageSet,
    config: TrainingConfig,
    device: torch.device,
    max_images: int | None = None,
) -> tuple[float, float]:
    """NLL (nats) and top-1 accuracy (fraction) of a network in eval mode.

    Args:
        model: The network; left in eval mode.
        images: Images to classify.
        config: The recipe (precision and memory format).
        device: Where the network is.
        max_images: Look at so many of them, the same ones every time; all if ``None``.

    Returns:
        Mean NLL and accuracy.
    """
    model.eval()
    memory_format = memory_format_of(config)
    loss = torch.zeros((), device=device, dtype=torch.float64)
    correct = torch.zeros((), device=device, dtype=torch.int64)
    with torch.inference_mode(), autocast(config, device):
        for batch, labels in images.batches(250, device, max_images):
            logits = model(batch.contiguous(memory_format=memory_format)).float()
            loss += functional.cross_entropy(logits, labels, reduction="sum").double()
            correct += (logits.argmax(1) == labels).sum()
    num = len(images) if max_images is None else min(max_images, len(images))
    return float(loss) / num, int(correct) / num


def autocast(
    config: TrainingConfig, device: torch.device
) -> AbstractContextManager[Any]:
    """Mixed precision as the recipe asks for it."""
    on = config.amp == "bf16" or (config.amp == "auto" and device.type == "cuda")
    if on:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def memory_format_of(config: TrainingConfig) -> torch.memory_format:
    """How images and weights lie in memory, as the recipe asks for it."""
    if config.channels_last == "off":
        return torch.contiguous_format
    return torch.channels_last


def _check_finite(total: Tensor, step: int, num_steps: int) -> None:
    if not math.isfinite(float(total)):
        raise DivergedError(
            f"training diverged: the loss is {float(total)} at step {step + 1} of "
            f"{num_steps}; a smaller training.learning_rate may help"
        )


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators (drop-path uses them) and restore them after."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


@contextmanager
def _deterministic() -> Iterator[None]:
    """Ask cuDNN for deterministic kernels; those of the CPU are."""
    before = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def _save(
    path: Path,
    model: nn.Module,
    optimizer: RecipeOptimizer,
    average: WeightAverage | None,
    generator: torch.Generator,
    history: list[Epoch],
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": None if average is None else average.state_dict(),
        "generator": generator.get_state(),
        "global": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "history": [asdict(record) for record in history],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:  # a kill leaves the old checkpoint or the new one
        torch.save(state, file)


def _load(
    path: Path,
    model: nn.Module,
    optimizer: RecipeOptimizer,
    average: WeightAverage | None,
    generator: torch.Generator,
    device: torch.device,
) -> list[Epoch]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, OSError, RuntimeError, UnpicklingError):  # cut, foreign
        return []
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.load_state_dict(state["average"])
    generator.set_state(state["generator"])
    torch.set_rng_state(state["global"])
    if device.type == "cuda" and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    return [Epoch(**record) for record in state["history"]]
