"""Start a network's first conv with filters that whiten the training images."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.data import ImageSet

MAX_IMAGES = 5000
"""Images whose patches are looked at. As in hlb-CIFAR10 and airbench."""

MAX_PATCHES = 200_000
"""Our choice: 27 by 27 moments of 3x3 RGB patches are then known to about 0.3%."""

EPSILON = 5e-4
"""Added to each variance: keeps faint directions from being blown up (airbench)."""


def whiten_stem(model: nn.Module, images: ImageSet, seed: int) -> None:
    """Set the filters of the first conv to whitening directions and their negatives.

    Each filter is an eigenvector of the second moments of the images' patches, divided
    by the root of its eigenvalue: its outputs have mean square 1 and are uncorrelated.
    The strongest directions come first; each comes with both signs, because the ReLU
    that follows keeps one (Page, 2018, "How to train your ResNet"; hlb-CIFAR10;
    airbench). There they are frozen; here they are a start, trained like all weights,
    which costs nothing and lets evaluators see every weight of the network.
    Filters beyond twice the number of directions keep their random start.

    Args:
        model: The network; it stays as it is if it has no conv, or if its first conv is
            grouped, larger than the images or does not take their channels.
        images: Training images.
        seed: Which patches are looked at.
    """
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels, height, width = images.images.shape[1:]
    if conv is None or conv.groups != 1 or conv.in_channels != channels:
        return
    if conv.kernel_size[0] > height or conv.kernel_size[1] > width:
        return
    moments = patch_moments(images, conv.kernel_size, seed)
    values, vectors = torch.linalg.eigh(moments)
    scaled = (vectors / (values + EPSILON).sqrt()).flip(1).T  # strongest first
    num_pairs = min(len(scaled), (conv.out_channels + 1) // 2)
    filters = torch.cat([scaled[:num_pairs], -scaled[:num_pairs]])[: conv.out_channels]
    with torch.no_grad():
        conv.weight[: len(filters)] = filters.to(conv.weight).view_as(
            conv.weight[: len(filters)]
        )


def patch_moments(images: ImageSet, kernel_size: tuple[int, ...], seed: int) -> Tensor:
    """Second moments of random patches of normalised images.

    Args:
        images: Where the patches are cut.
        kernel_size: Height and width of a patch.
        seed: Which images and patches.

    Returns:
        ``(features, features)`` with features = channels * height * width, float64 on
        the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(images), generator=generator)[:MAX_IMAGES]
    total = torch.zeros(())
    num_patches = 0
    for rows in torch.split(chosen, 500):
        batch, _ = images.batch(rows, torch.device("cpu"))
        # (batch, features, places)
        patches = functional.unfold(batch, kernel_size).double()
        places = patches.shape[2]
        keep = max(1, min(places, MAX_PATCHES // len(chosen)))
        some = torch.randperm(places, generator=generator)[:keep]
        flat = patches[:, :, some].permute(0, 2, 1).flatten(0, 1)
        total = total + flat.T @ flat
        num_patches += len(flat)
    return total / num_patches
