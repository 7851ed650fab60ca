"""Images as evaluators see them: in memory, normalised when a batch is drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.errors import InputError

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Images in [0, 1] ``(batch, channels, height, width)`` to images of that shape."""


_ORDER_SEED = 0
"""Our choice: the images are part of what a metric is, not of its noise."""


@dataclass(frozen=True)
class ImageSet:
    """One split of a data set.

    Attributes:
        images: ``(num, channels, height, width)``, uint8 in 0..255, or float in [0, 1].
        labels: ``(num,)``, int64 class indices.
        mean: Mean of each channel in [0, 1] units, subtracted from a batch.
        std: Standard deviation of each channel; a batch is divided by it.
        size: Resize to this height (= width) when a batch is drawn (bilinear,
            antialiased); ``None`` for images that are stored as a network takes them.
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise InputError(
                "an ImageSet needs images (num, channels, height, width) and as many "
                f"labels, got {tuple(self.images.shape)} and {len(self.labels)} labels"
            )
        channels = self.images.shape[1]
        if not len(self.mean) == len(self.std) == channels:
            raise InputError(
                f"mean and std need one value a channel ({channels}), "
                f"got {len(self.mean)} and {len(self.std)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, indices: Tensor | slice, device: torch.device) -> Tensor:
        """Images in [0, 1] before normalisation.

        Args:
            indices: Which images.
            device: Where the batch is put.

        Returns:
            float32 ``(batch, channels, height, width)`` in [0, 1].
        """
        images = self.images[indices].to(device)
        if images.dtype == torch.uint8:
            pixels = images.float().div_(255)
        else:
            pixels = images.float()
        if self.size is None:
            return pixels
        return functional.interpolate(
            pixels, (self.size, self.size), mode="bilinear", antialias=True
        )

    def normalise(self, pixels: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation of each channel.

        Args:
            pixels: ``(batch, channels, height, width)`` in [0, 1].

        Returns:
            Network input of the same shape.
        """
        mean = pixels.new_tensor(self.mean).view(-1, 1, 1)
        std = pixels.new_tensor(self.std).view(-1, 1, 1)
        return (pixels - mean) / std

    def batch(
        self, indices: Tensor | slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Normalised images and labels at the given positions.

        Args:
            indices: Which images.
            device: Where the batch is put.

        Returns:
            Images ``(batch, channels, height, width)`` and labels ``(batch,)``.
        """
        images = self.normalise(self.pixels(indices, device))
        return images, self.labels[indices].to(device)

    def order(self, max_images: int | None = None) -> Tensor:
        """Positions of the images, or of a random part of them, in random order.

        Data sets often come sorted by class: the first images would then be of one
        class, and so would the batches. The order depends on the number of images
        alone, so that all networks are compared on the same ones.

        Args:
            max_images: How many; all if ``None``.

        Returns:
            ``(images,)``, each position at most once.
        """
        num = len(self) if max_images is None else min(max_images, len(self))
        generator = torch.Generator().manual_seed(_ORDER_SEED)
        return torch.randperm(len(self), generator=generator)[:num]

    def batches(
        self, batch_size: int, device: torch.device, max_images: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Walk through the set, or through a random part of it, in :meth:`order`.

        Args:
            batch_size: Images in a batch; the last one may be smaller.
            device: Where the batches are put.
            max_images: Stop after this many images; all if ``None``.

        Yields:
            Images ``(batch, channels, height, width)`` and labels ``(batch,)``.
        """
        order = self.order(max_images).to(self.images.device)
        for chosen in torch.split(order, batch_size):
            yield self.batch(chosen, device)


@dataclass(frozen=True)
class EvaluationData:
    """What evaluators may look at: never the test split during a search.

    Attributes:
        train: Training images (not augmented).
        validation: Held-out images.
        augment: The training augmentation, for metrics that are defined on
            augmented training data (flatness, paper section 3); ``None`` for none.
        weight_decay: L2 coefficient of the training run.
    """

    train: ImageSet
    validation: ImageSet
    augment: Augmentation | None = None
    weight_decay: float = 0.0
