"""The same seeded, augmented training mini-batches for every candidate.

The paper measures the Hessian of each *mini-batch* of *augmented* training images
(section 3 and the authors' issue 12; clean images or no L2 are "common mistakes" of
their README). Comparing networks on the same mini-batches removes most of the noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from evaluators.data import EvaluationData
from evaluators.evaluator import EvaluationError


@dataclass(frozen=True)
class MiniBatch:
    """One mini-batch of augmented training images.

    Attributes:
        index: Position in the sequence of mini-batches.
        images: Network input ``(batch, channels, height, width)``.
        labels: Class indices ``(batch,)``.
    """

    index: int
    images: Tensor
    labels: Tensor


def generator_for(*key: int) -> torch.Generator:
    """A CPU generator that depends on every number of the key and on nothing else.

    Args:
        *key: Non-negative integers, e.g. the evaluator's seed and the batch index.

    Returns:
        A freshly seeded generator.
    """
    # The length comes first: SeedSequence ignores zeros at the end.
    sequence = numpy.random.SeedSequence((len(key), *key))
    state = sequence.generate_state(1, numpy.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)


def draw_minibatches(
    data: EvaluationData,
    batch_size: int,
    max_batches: int,
    seed: int,
    device: torch.device,
) -> Iterator[MiniBatch]:
    """Draw disjoint mini-batches of the training set and augment them.

    Mini-batch ``i`` depends on the seed, the batch size and ``i`` alone: not on the
    network, the device or the number of mini-batches. Incomplete mini-batches are
    left out, unless the whole set is smaller than one.

    Args:
        data: Its ``train`` images are drawn, its ``augment`` applied to pixels in
            [0, 1] on the CPU, then normalised.
        batch_size: Images in a mini-batch.
        max_batches: Stop after this many.
        seed: Decides which images and which augmentation.
        device: Where the mini-batches are put.

    Yields:
        The mini-batches.

    Raises:
        EvaluationError: There are no training images.
    """
    num_images = len(data.train)
    if num_images == 0:
        raise EvaluationError("flatness needs training images, got none")
    order = torch.randperm(num_images, generator=generator_for(seed))
    cpu = torch.device("cpu")
    for index in range(min(max_batches, max(1, num_images // batch_size))):
        chosen = order[index * batch_size : (index + 1) * batch_size]
        chosen = chosen.to(data.train.images.device)
        pixels = data.train.pixels(chosen, cpu)
        if data.augment is not None:
            pixels = data.augment(pixels, generator_for(seed, 1, index))
        yield MiniBatch(
            index=index,
            images=data.train.normalise(pixels).to(device),
            labels=data.train.labels[chosen].to(device),
        )
