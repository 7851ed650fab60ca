"""What the placements of a trained supernet are worth on held-out images.

The BatchNorm statistics that training leaves are averages over all paths and fit none
of them. So each placement gets its own: those of its own forward pass over augmented
training images, as training saw them, averaged over batches (``augmented``; ``plain``
leaves the augmentation out, ``kept`` leaves the statistics as training left them).
benchmarks/README.md has what each gives.

In train mode a block's statistics depend on the batch and on the slots before it alone.
Placements that agree in their first slots therefore share everything up to there, and a
depth-first walk computes it once: exactly, not nearly.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.predictions import check_logits
from evaluators.sampling import mean_and_error
from nas.config import TrainingConfig
from nas.data.augmentation import make_augmentation
from nas.data.datasets import Dataset
from nas.scoring.images_at_once import images_at_once
from nas.scoring.training import autocast, memory_format_of
from nas.scoring.trial_run import TrialOutcome
from search_spaces.networks.alternet import AlterNet, Head
from search_spaces.networks.supernet import Supernet

BatchNorms = Literal["augmented", "plain", "kept"]

Moments = tuple[Tensor, Tensor]
"""Mean and variance of each channel."""

Node = tuple[str, bool, int]
"""Letters of the slots so far, whether the module behind them is the head, and which of
its BatchNorms."""


class SupernetScores:
    """Scores placements of one supernet.

    Args:
        supernet: Trained; is moved to the device, and its BatchNorm statistics are
            working memory from now on.
        dataset: Its training images give statistics, its validation images scores.
        training: The recipe: augmentation, precision and memory format.
        batchnorm: Which statistics a placement gets.
        calibration_images: Training images behind them.
        num_images: Validation images of a score, the same ones for all placements; all
            of them if ``None``.
        seed: Which training images, and how they are augmented.
        device: Where to compute.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        training: TrainingConfig,
        *,
        batchnorm: BatchNorms = "augmented",
        calibration_images: int = 2000,
        num_images: int | None = None,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self._device = device or torch.device("cpu")
        self._training = training
        self._format = memory_format_of(training)
        self._supernet = supernet.to(self._device).to(memory_format=self._format)
        self._supernet.eval()
        self._dataset = dataset
        self._batchnorm = batchnorm
        self._calibration_images = calibration_images
        self._num_images = num_images
        self._seed = seed

    def scores(self, placements: Sequence[str]) -> dict[str, TrialOutcome]:
        """Score placements, prefixes shared.

        Args:
            placements: Letters of all slots, without dashes.

        Returns:
            ``accuracy`` and ``nll`` with their standard errors over images, by
            placement.

        Raises:
            InputError: A slot has no block of a letter.
        """
        distinct = sorted({self._supernet.checked(one) for one in placements})
        moments = self._moments(distinct)
        losses: dict[str, list[Tensor]] = {one: [] for one in distinct}
        hits: dict[str, list[Tensor]] = {one: [] for one in distinct}
        held_out = self._dataset.image_set(self._dataset.validation)
        size = images_at_once(self._dataset.image_size)

        def step(prefix: str, module: nn.Module, x: Tensor) -> Tensor:
            _install(module, prefix, moments)
            out: Tensor = module(x)
            return out

        with torch.inference_mode(), autocast(self._training, self._device):
            for batch, labels in held_out.batches(size, self._device, self._num_images):
                inputs = batch.contiguous(memory_format=self._format)
                for letters, logits in self._supernet.walk(distinct, inputs, step):
                    check_logits(logits, labels)
                    values = functional.cross_entropy(
                        logits.double(), labels, reduction="none"
                    )
                    losses[letters].append(values.cpu())
                    right = logits.argmax(1) == labels
                    hits[letters].append(right.double().cpu())
        return {
            letters: _outcome(torch.cat(hits[letters]), torch.cat(losses[letters]))
            for letters in distinct
        }

    def network(self, letters: str) -> AlterNet:
        """The network of a placement with its own statistics.

        Args:
            letters: Letters of all slots, without dashes.

        Returns:
            A network in eval mode that shares nothing with the supernet.
        """
        moments = self._moments([letters])
        path = self._supernet.path(letters)
        modules = [path.stem, *(ref.module for ref in path.blocks()), path.head]
        prefixes = ["", *(letters[: i + 1] for i in range(len(letters))), letters]
        for prefix, module in zip(prefixes, modules, strict=True):
            _install(module, prefix, moments)
        return self._supernet.network(letters)

    def _moments(self, placements: Sequence[str]) -> dict[Node, Moments]:
        """The statistics of every BatchNorm of every placement; none if kept."""
        found: dict[Node, Moments] = {}
        if self._batchnorm == "kept":
            return found
        num_batches = 0
        # Statistics of a pass are then those of its batch; all else stays in eval mode.
        norms = _norms(self._supernet)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
            norm.train()

        def step(prefix: str, module: nn.Module, x: Tensor) -> Tensor:
            out: Tensor = module(x)
            for index, norm in enumerate(_norms(module)):
                assert norm.running_mean is not None and norm.running_var is not None
                mean, variance = norm.running_mean.double(), norm.running_var.double()
                key = _node(prefix, module, index)
                if key in found:
                    found[key][0].add_(mean)
                    found[key][1].add_(variance)
                else:
                    found[key] = mean.clone(), variance.clone()
            return out

        try:
            # not inference_mode: the statistics that it made could not be trained on
            with torch.no_grad(), autocast(self._training, self._device):
                for batch in self._calibration_batches():
                    for _ in self._supernet.walk(placements, batch, step):
                        pass
                    num_batches += 1
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                norm.eval()
        return {
            key: (mean / num_batches, variance / num_batches)
            for key, (mean, variance) in found.items()
        }

    def _calibration_batches(self) -> Iterator[Tensor]:
        augment = None
        if self._batchnorm == "augmented":
            augment = make_augmentation(self._training, self._dataset.image_size)
        images = self._dataset.image_set(
            self._dataset.train, stored=augment is not None
        )
        generator = torch.Generator().manual_seed(self._seed)
        order = torch.randperm(len(images), generator=generator)
        size = images_at_once(self._dataset.image_size)
        for rows in torch.split(order[: self._calibration_images], size):
            if len(rows) < 2:
                continue  # one image has no variance
            pixels = images.pixels(rows, self._device)
            if augment is not None:
                pixels = augment(pixels, generator)
            yield images.normalise(pixels).contiguous(memory_format=self._format)


def _norms(module: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [
        one
        for one in module.modules()
        if isinstance(one, nn.modules.batchnorm._BatchNorm)
        and one.running_mean is not None
    ]


def _node(prefix: str, module: nn.Module, index: int) -> Node:
    return prefix, isinstance(module, Head), index


def _install(module: nn.Module, prefix: str, moments: dict[Node, Moments]) -> None:
    if not moments:
        return
    for index, norm in enumerate(_norms(module)):
        mean, variance = moments[_node(prefix, module, index)]
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _outcome(hits: Tensor, losses: Tensor) -> TrialOutcome:
    accuracy, accuracy_error = mean_and_error(hits)
    nll, nll_error = mean_and_error(losses)
    return TrialOutcome(
        {"accuracy": accuracy, "nll": nll},
        {"accuracy": accuracy_error, "nll": nll_error},
    )
