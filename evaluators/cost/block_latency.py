"""Measures the times of a space's blocks on this device, for ``max_latency``.

Every block runs alone on random maps of its own shape. All blocks take turns in every
round, so that a load from elsewhere falls on all of them.
"""

from functools import partial
from statistics import median
from typing import Literal

import torch
from torch import nn

from evaluators.cost.latency import device_name, one_cpu_thread, timer
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.latency_table import LatencyTable, block_key
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace


def measure_latencies(
    space: SearchSpace,
    device: torch.device,
    *,
    batch_size: int = 64,
    num_repeats: int = 25,
    num_warmups: int = 5,
    memory_format: Literal["channels_last", "contiguous"] = "channels_last",
) -> LatencyTable:
    """Time stem and head, and every block that an architecture of a space can have.

    Args:
        space: The space.
        device: Where to measure: the device that the bound is about. Process time
            with one thread on a CPU, CUDA events on a GPU, as the evaluator
            ``latency``, so that estimate and metric can be compared.
        batch_size: Images of the forward pass; as the evaluator's by default.
        num_repeats: Rounds; the table holds medians.
        num_warmups: Rounds before the clock counts.
        memory_format: Of weights and maps; ``channels_last`` is what training uses.

    Returns:
        The table.
    """
    layout = {
        "channels_last": torch.channels_last,
        "contiguous": torch.contiguous_format,
    }[memory_format]
    specs = space.distinct_blocks()
    pieces: list[tuple[nn.Module, tuple[int, ...]]] = [
        (
            block_kind(spec.letter).build(spec),
            (batch_size, spec.in_channels, spec.in_map_size, spec.in_map_size),
        )
        for spec in specs
    ]
    parent = space.architecture(Placement.all_conv(space.backbone.depths))
    network, last = parent.build(), parent.block_specs[-1]
    image = (batch_size, space.in_channels, space.image_size, space.image_size)
    maps = (batch_size, last.out_channels, last.map_size, last.map_size)
    pieces += [(network.stem, image), (network.head, maps)]
    times = _rounds(pieces, device, layout, num_warmups, num_repeats)
    *blocks, stem, head = [max(1, round(median(one) * 1e9)) for one in times]
    return LatencyTable(
        device=device_name(device),
        batch_size=batch_size,
        fixed=stem + head,
        blocks={
            block_key(spec): time for spec, time in zip(specs, blocks, strict=True)
        },
    )


def _rounds(
    pieces: list[tuple[nn.Module, tuple[int, ...]]],
    device: torch.device,
    layout: torch.memory_format,
    num_warmups: int,
    num_repeats: int,
) -> list[list[float]]:
    """Seconds of every piece in every round that counts."""
    generator = torch.Generator().manual_seed(0)
    ready = []
    for module, shape in pieces:
        maps = torch.randn(shape, generator=generator)
        ready.append(
            (
                module.eval().to(device).to(memory_format=layout),
                maps.to(device, memory_format=layout),
            )
        )
    timed = timer(device)
    times: list[list[float]] = [[] for _ in pieces]
    with torch.no_grad(), one_cpu_thread(device):
        for number in range(num_warmups + num_repeats):
            for (module, maps), found in zip(ready, times, strict=True):
                seconds = timed(partial(module, maps))
                if number >= num_warmups:
                    found.append(seconds)
    return times
