"""Which images are held out, and which are kept where only some are wanted."""

import numpy as np

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
