"""Random parts of photographs, resized: the crop of ImageNet recipes.

Szegedy et al., 2015 (arXiv 1409.4842), section 6. The same law as torchvision's
RandomResizedCrop; but the random numbers are a generator's of ours, and every image
of a batch has a place of its own.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.data import Augmentation

_ASPECT = (3 / 4, 4 / 3)
"""Ratios of width to height (Szegedy et al., 2015, section 6)."""

_ATTEMPTS = 10
"""Draws of a crop before the largest central one is taken, as torchvision does."""


def draw_crops(
    num: int,
    height: int,
    width: int,
    smallest: float,
    generator: torch.Generator,
) -> Tensor:
    """Draw places for random resized crops.

    Args:
        num: How many.
        height: Height of the images.
        width: Width of the images.
        smallest: Smallest share of the area; the largest is 1.
        generator: Decides.

    Returns:
        ``(num, 4)`` int64: top, left, height and width of each crop.
    """
    draws = torch.rand(_ATTEMPTS, num, 4, generator=generator, dtype=torch.float64)
    area = height * width * (smallest + (1 - smallest) * draws[..., 0])
    low, high = math.log(_ASPECT[0]), math.log(_ASPECT[1])
    aspect = (low + (high - low) * draws[..., 1]).exp()
    widths = (area * aspect).sqrt().round()
    heights = (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.to(torch.uint8).argmax(0)  # the first attempt that fits
    each = torch.arange(num)
    chosen_width, chosen_height = widths[first, each], heights[first, each]
    none_fits = ~fits.any(0)
    ratio = min(max(width / height, _ASPECT[0]), _ASPECT[1])
    chosen_width[none_fits] = min(width, round(height * ratio))
    chosen_height[none_fits] = min(height, round(width / ratio))
    top = (draws[first, each, 2] * (height - chosen_height + 1)).floor()
    left = (draws[first, each, 3] * (width - chosen_width + 1)).floor()
    top[none_fits] = ((height - chosen_height) / 2).floor()[none_fits]
    left[none_fits] = ((width - chosen_width) / 2).floor()[none_fits]
    return torch.stack([top, left, chosen_height, chosen_width], 1).long()


def random_resized_crop(smallest: float, image_size: int | None) -> Augmentation:
    """Cut a random part out of each image and resize it.

    Args:
        smallest: Smallest share of the area.
        image_size: Height (= width) of what comes out; ``None``: as what goes in.

    Returns:
        A function of images in [0, 1] ``(batch, channels, height, width)`` and a CPU
        generator.
    """

    def crop(images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        size = image_size or height
        places = draw_crops(batch, height, width, smallest, generator).tolist()
        return torch.cat(
            [
                functional.interpolate(
                    image[None, :, top : top + tall, left : left + wide],
                    (size, size),
                    mode="bilinear",
                    antialias=True,
                )
                for image, (top, left, tall, wide) in zip(images, places, strict=True)
            ]
        )

    return crop
