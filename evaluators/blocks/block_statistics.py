"""Per-image statistics of the tensors around every block, in one forward pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evaluators.blocks.listening import listening
from evaluators.data import EvaluationData
from evaluators.evaluator import EvaluationError
from evaluators.predictions import check_enough
from search_spaces.networks.block_chain import BlockChain, Tap

Statistic = Callable[[Tensor], Tensor]
"""Maps ``(batch, channels, height, width)`` to ``(batch, values)``."""


@dataclass(frozen=True)
class BlockStatistics:
    """One block's statistics, one row an image.

    Attributes:
        before: Of the skip tensor, ``(images, values)``, float64 on the CPU.
        after: Of the block's output.
        branch: Of the residual branch, ``None`` if the chain does not know it.
        size: Height (and width) of the output map.
    """

    before: Tensor
    after: Tensor
    branch: Tensor | None
    size: int


def measure_blocks(
    model: nn.Module,
    chain: BlockChain,
    data: EvaluationData,
    statistic: Statistic,
    *,
    device: torch.device,
    max_images: int | None,
    batch_size: int,
) -> list[BlockStatistics]:
    """Run the network once and reduce every block's tensors as they pass.

    Nothing but the statistics is stored. A tensor that two taps share (the output
    of a block and the identity skip of the next) is reduced once.

    Args:
        model: Network in eval mode.
        chain: Its blocks.
        data: The validation images are used, in a fixed random order.
        statistic: What is kept of a map.
        device: Where the model is.
        max_images: Number of images; all if ``None``.
        batch_size: Images in one forward pass.

    Returns:
        One entry a block, in the order of the chain.

    Raises:
        EvaluationError: A block is not reached, maps before and after a block
            differ in size, or a statistic is not finite.
    """
    taps: list[tuple[tuple[int, str], Tap]] = []
    for index, block in enumerate(chain.blocks):
        taps += [((index, "before"), block.before), ((index, "after"), block.after)]
        if block.branch is not None:
            taps.append(((index, "branch"), block.branch))
    rows: dict[tuple[int, str], list[Tensor]] = {key: [] for key, _ in taps}
    sizes: dict[tuple[int, str], tuple[int, int]] = {}
    last_after: tuple[Tensor, int, Tensor] | None = None

    def receive(key: tuple[int, str], feature_map: Tensor) -> None:
        nonlocal last_after
        sizes[key] = (feature_map.shape[-2], feature_map.shape[-1])
        values = None
        if key[1] == "before" and last_after is not None:
            seen, version, seen_values = last_after
            # The version tells whether someone wrote into it in the meantime;
            # holding the map keeps its memory from being given to another tensor.
            if (
                feature_map.data_ptr() == seen.data_ptr()
                and feature_map._version == version
                and feature_map.shape == seen.shape
                and feature_map.stride() == seen.stride()
            ):
                values = seen_values
        if values is None:
            values = statistic(feature_map)
        if key[1] == "after":
            last_after = (feature_map, feature_map._version, values)
        rows[key].append(values)

    images = data.validation
    check_enough(images, max_images)
    with torch.no_grad(), listening(taps, receive):
        for batch, _ in images.batches(batch_size, device, max_images):
            last_after = None
            model(batch)

    results = []
    for index, block in enumerate(chain.blocks):
        names: Sequence[str] = ("before", "after") + (("branch",) * bool(block.branch))
        for name in names:
            if not rows[index, name]:
                raise EvaluationError(
                    f"the forward pass does not reach {name} of block {block.name}"
                )
            if sizes[index, name] != sizes[index, "after"]:
                raise EvaluationError(
                    f"block {block.name} must keep the size of its map, got "
                    f"{sizes[index, name]} {name} and {sizes[index, 'after']} after it"
                )
        values = {name: torch.cat(rows[index, name]).cpu().double() for name in names}
        for name, value in values.items():
            if not value.isfinite().all():
                raise EvaluationError(
                    f"the feature map {name} block {block.name} is not finite"
                )
        results.append(
            BlockStatistics(
                before=values["before"],
                after=values["after"],
                branch=values.get("branch"),
                size=sizes[index, "after"][0],
            )
        )
    return results
