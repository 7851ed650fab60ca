"""Training-time augmentation: a pure function of images and a random generator."""

import random
from collections.abc import Callable
from typing import Literal

import numpy
import torch
from torch import Tensor
from torch.nn import functional

from evaluators.data import Augmentation
from nas.config import TrainingConfig
from nas.data.random_resized_crop import random_resized_crop
from search_spaces.errors import InputError


def make_augmentation(
    config: TrainingConfig, image_size: int | None = None, *, flip: bool = True
) -> Augmentation | None:
    """The image augmentation of a recipe (mixup and CutMix mix labels: see below).

    Evaluators get random mirror images also where training alternates them: an image
    is as often mirrored, and an evaluator knows no epochs.

    Args:
        config: The recipe.
        image_size: Height (= width) of the images that come out, where larger ones
            are stored; ``None`` for that of the images that go in.
        flip: Mirror images at random; ``False`` if :class:`AlternatingFlip` does.

    Returns:
        A function of images in [0, 1] ``(batch, channels, height, width)`` and a CPU
        generator, or ``None`` if the recipe augments nothing.
    """
    steps: list[Augmentation] = []
    if config.random_resized_crop:
        steps.append(random_resized_crop(config.random_resized_crop, image_size))
    elif image_size is not None:
        steps.append(_resize(image_size))
    num_before = len(steps) - bool(config.random_resized_crop)
    if config.crop_padding:
        steps.append(_random_crop(config.crop_padding, config.crop_border))
    if config.horizontal_flip and flip:
        steps.append(_random_flip(config.horizontal_flip))
    if config.randaugment and config.randaugment_library == "timm":
        steps.append(_timm_rand_augment(config.randaugment, config.randaugment_std))
    elif config.randaugment:
        steps.append(_rand_augment(config.randaugment))
    if len(steps) == num_before:
        return None

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        for step in steps:
            images = step(images, generator)
        return images

    return augment


class AlternatingFlip:
    """Mirror images drawn for the first epoch, and the others in every next one.

    Two epochs show each image once from either side; random flips show a quarter of
    the images twice from the same and leave them out from the other (Jordan, 2024,
    arXiv 2404.00498). The state is the seed and the epoch alone, so a
    continued training needs nothing kept.

    Args:
        num_images: Size of the training set.
        probability: That an image is mirrored in the first epoch.
        seed: Of the draw.
    """

    def __init__(self, num_images: int, probability: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._first = torch.rand(num_images, generator=generator) < probability

    def __call__(self, images: Tensor, rows: Tensor, epoch: int) -> Tensor:
        """Mirror those whose turn it is.

        Args:
            images: ``(batch, channels, height, width)``.
            rows: Position of each in the training set, ``(batch,)``.
            epoch: From 0.

        Returns:
            Images of the same shape.
        """
        return _mirror(images, self._first[rows] ^ bool(epoch % 2))


def _resize(size: int) -> Augmentation:
    """Whole images at the size of a network, where larger ones are stored."""

    def resize(images: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        if images.shape[-1] == size:
            return images
        return functional.interpolate(
            images, (size, size), mode="bilinear", antialias=True
        )

    return resize


def _random_crop(padding: int, border: Literal["black", "reflect"]) -> Augmentation:
    """Pad and cut each image out at a place of its own."""
    mode = "reflect" if border == "reflect" else "constant"

    def crop(images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        if border == "reflect" and padding >= min(height, width):
            raise InputError(
                "training.crop_padding must be below the image size with "
                f"training.crop_border: reflect, got {padding} and {height}x{width}"
            )
        padded = functional.pad(images, (padding,) * 4, mode=mode)
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
        return _mirror(
            images, torch.rand(len(images), generator=generator) < probability
        )

    return flip


def _mirror(images: Tensor, chosen: Tensor) -> Tensor:
    chosen = chosen.to(images.device)[:, None, None, None]
    return torch.where(chosen, images.flip(-1), images)


def _rand_augment(magnitude: int) -> Augmentation:
    """RandAugment with two operations (Cubuk et al., 2020), torchvision's version.

    Its magnitudes go from 0 to 30, timm's from 0 to 10, and it applies every operation
    that it draws.
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


def _timm_rand_augment(magnitude: int, std: float) -> Augmentation:
    """RandAugment of timm: ``rand-m9-n2-mstd1.0`` in the paper's configs.

    Grey images are shown to it as RGB: its fill colour is grey, and all its operations
    treat the channels alike there.
    """
    try:
        from timm.data.auto_augment import rand_augment_transform
    except ImportError as error:
        raise InputError(
            "training.randaugment_library: timm needs timm; pip install timm, or set "
            "it to torchvision"
        ) from error
    from PIL import Image

    policy = rand_augment_transform(f"rand-m{magnitude}-n2-mstd{std}", {})

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(0, 2**31, (1,), generator=generator))
        as_bytes = (images * 255).round().to(torch.uint8).cpu()
        channels = as_bytes.shape[1]
        if channels not in (1, 3):
            raise ValueError(f"RandAugment needs 1 or 3 channels, got {channels}")
        colour = as_bytes.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()
        # timm draws from the global generators of Python and NumPy.
        before = random.getstate(), numpy.random.get_state()  # noqa: NPY002
        random.seed(seed)
        numpy.random.seed(seed)  # noqa: NPY002
        try:
            done = [
                torch.from_numpy(numpy.array(policy(Image.fromarray(one))))
                for one in colour.numpy()
            ]
        finally:
            random.setstate(before[0])
            numpy.random.set_state(before[1])  # noqa: NPY002
        batch = torch.stack(done).permute(0, 3, 1, 2)[:, :channels]
        return batch.to(images.device).float() / 255

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
