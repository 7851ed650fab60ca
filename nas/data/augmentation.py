"""Training-time augmentation: a pure function of images and a random generator."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.data import Augmentation
from nas.config import TrainingConfig


def make_augmentation(config: TrainingConfig) -> Augmentation | None:
    """The image augmentation of a recipe (mixup and CutMix mix labels: see below).

    Args:
        config: The recipe.

    Returns:
        A function of images in [0, 1] ``(batch, channels, height, width)`` and a CPU
        generator, or ``None`` if the recipe augments nothing.
    """
    steps: list[Augmentation] = []
    if config.crop_padding:
        steps.append(_random_crop(config.crop_padding))
    if config.horizontal_flip:
        steps.append(_random_flip(config.horizontal_flip))
    if config.randaugment:
        steps.append(_rand_augment(config.randaugment))
    if not steps:
        return None

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        for step in steps:
            images = step(images, generator)
        return images

    return augment


def _random_crop(padding: int) -> Augmentation:
    """Pad with black and cut each image out at a place of its own."""

    def crop(images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        padded = functional.pad(images, (padding,) * 4)
        offsets = torch.randint(0, 2 * padding + 1, (2, batch), generator=generator)
        top, left = offsets.to(images.device)
        rows = top[:, None] + torch.arange(height, device=images.device)
        columns = left[:, None] + torch.arange(width, device=images.device)
        index = torch.arange(batch, device=images.device)[:, None, None]
        # advanced indexing puts the channels last: (batch, height, width, channels)
        cut = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
        return cut.permute(0, 3, 1, 2)

    return crop


def _random_flip(probability: float) -> Augmentation:
    def flip(images: Tensor, generator: torch.Generator) -> Tensor:
        chosen = torch.rand(len(images), generator=generator) < probability
        chosen = chosen.to(images.device)[:, None, None, None]
        return torch.where(chosen, images.flip(-1), images)

    return flip


def _rand_augment(magnitude: int) -> Augmentation:
    """RandAugment with two operations (Cubuk et al., 2020), torchvision's version.

    The paper's recipe is timm's ``rand-m9-n2-mstd1.0``; torchvision has no noise on
    the magnitude (mstd), so that part is not reproduced.
    """
    from torchvision.transforms import v2

    policy = v2.RandAugment(num_ops=2, magnitude=magnitude)

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(0, 2**31, (1,), generator=generator))
        as_bytes = (images * 255).round().to(torch.uint8).cpu()
        if as_bytes.shape[1] not in (1, 3):
            raise ValueError(
                f"RandAugment needs 1 or 3 channels, got {as_bytes.shape[1]}"
            )
        # torchvision draws from the global generator; each image gets its own policy.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            done = torch.stack([policy(image) for image in as_bytes])
        return done.to(images.device).float() / 255

    return augment


LabelMixing = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def make_label_mixing(config: TrainingConfig, num_classes: int) -> LabelMixing | None:
    """Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019), by torchvision.

    Args:
        config: The recipe.
        num_classes: Number of classes.

    Returns:
        A function of normalised images, labels ``(batch,)`` and a CPU generator that
        gives mixed images and class probabilities ``(batch, num_classes)``; ``None``
        if the recipe mixes nothing.
    """
    from torchvision.transforms import v2

    mixers = []
    if config.mixup:
        mixers.append(v2.MixUp(alpha=config.mixup, num_classes=num_classes))
    if config.cutmix:
        mixers.append(v2.CutMix(alpha=config.cutmix, num_classes=num_classes))
    if not mixers:
        return None

    def mix(
        images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        draw = torch.randint(0, 2**31, (2,), generator=generator)
        mixer = mixers[int(draw[0]) % len(mixers)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(draw[1]))
            mixed, probabilities = mixer(images, labels)
        return mixed, probabilities

    return mix
