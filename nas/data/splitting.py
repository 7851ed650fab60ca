"""Which images are held out, and which are kept where only some are wanted."""

import numpy as np
from numpy.typing import NDArray

from nas.data.raw_dataset import Split


def hold_out(
    split: Split, fraction: float, rng: np.random.Generator
) -> tuple[Split, Split]:
    """Split off a share of every class, at least one image of each that has two.

    Args:
        split: All images.
        fraction: Share to hold out.
        rng: Draws them.

    Returns:
        The rest, and what is held out, both in their old order.
    """
    held: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for label in np.unique(split.labels):
        members = np.flatnonzero(split.labels == label)
        num = min(max(1, round(len(members) * fraction)), len(members) - 1)
        held.append(rng.permutation(members)[: max(num, 0)])
    chosen = np.sort(np.concatenate(held))
    rest = np.setdiff1d(np.arange(len(split)), chosen)
    return split.take(rest), split.take(chosen)


def split_again(
    train: Split, validation: Split, rng: np.random.Generator
) -> tuple[Split, Split]:
    """Draw anew which of the images of two splits are held out.

    Both keep their size, and their number of images of each class.

    Args:
        train: Images to train on.
        validation: Held-out images, of the same size in pixels.
        rng: Draws them.

    Returns:
        The new splits, in memory.
    """
    labels = np.concatenate([train.labels, validation.labels])
    held = [
        rng.permutation(np.flatnonzero(labels == label))[:num]
        for label, num in zip(
            *np.unique(validation.labels, return_counts=True), strict=True
        )
    ]
    chosen = np.sort(np.concatenate(held))
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    return _gather(train, validation, rest), _gather(train, validation, chosen)


def _gather(first: Split, second: Split, indices: NDArray[np.int64]) -> Split:
    """The images at positions of two splits one behind the other, copied once."""
    in_first = indices < len(first)
    images = np.empty((len(indices), *first.images.shape[1:]), first.images.dtype)
    labels = np.empty(len(indices), np.int64)
    for part, at, offset in ((first, in_first, 0), (second, ~in_first, len(first))):
        images[at] = part.images[indices[at] - offset]
        labels[at] = part.labels[indices[at] - offset]
    return Split(images, labels)


def at_most(split: Split, maximum: int | None, rng: np.random.Generator) -> Split:
    """Keep at most so many images, as evenly from the classes as they come.

    Args:
        split: All images.
        maximum: How many are kept; ``None`` for all.
        rng: Draws them.

    Returns:
        The kept images in their old order.
    """
    if maximum is None or maximum >= len(split):
        return split
    # Rank of each image within its class, in random order: low ranks first.
    order = rng.permutation(len(split))
    ranks = np.empty(len(split), np.int64)
    for label in np.unique(split.labels):
        members = order[split.labels[order] == label]
        ranks[members] = np.arange(len(members))
    position = np.empty(len(split), np.int64)
    position[order] = np.arange(len(split))
    chosen = np.lexsort((position, ranks))[:maximum]
    return split.take(np.sort(chosen))
