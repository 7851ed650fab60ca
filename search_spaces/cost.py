"""Parameters and multiply-accumulates (MACs), before and after a net is built.

A search rejects placements by cost before anything is trained, so an
Architecture's cost is computed in closed form from its shapes. ``count_params``
and ``count_macs`` count those of any built module instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.blocks.block_spec import BlockSpec
from search_spaces.blocks.residual_blocks import conv_block_params, msa_block_params
from search_spaces.networks.backbone import EXPANSION, Backbone


class Cost(NamedTuple):
    """Size of a network.

    Attributes:
        params: Trainable parameters.
        macs: Multiply-accumulates of one image in convolutions, matrix products
            and attention; norms, activations and pools are not counted.
    """

    params: int
    macs: int


def block_cost(spec: BlockSpec, *, bottleneck: bool) -> Cost:
    """Cost of one block.

    Args:
        spec: Shapes of the block.
        bottleneck: Kind of the block.

    Returns:
        Parameters, and MACs of one image.
    """
    fan_in, out, stride = spec.in_channels, spec.out_channels, spec.stride
    pixels = spec.map_size**2
    before = spec.in_map_size**2  # the first 1x1 conv runs before the stride
    macs = 0 if stride == 1 and fan_in == out else pixels * fan_in * out
    if spec.letter == "C":
        params = conv_block_params(fan_in, out, bottleneck=bottleneck, stride=stride)
        if bottleneck:
            width = out // EXPANSION["bottleneck"]
            macs += before * fan_in * width
            macs += pixels * (9 * width * width + width * out)
        else:
            macs += pixels * 9 * (fan_in * out + out * out)
        return Cost(params, macs)
    params = msa_block_params(
        fan_in,
        out,
        bottleneck=bottleneck,
        stride=stride,
        heads=spec.heads,
        head_dim=spec.head_dim,
        window=spec.window,
    )
    width = fan_in // (EXPANSION["bottleneck"] if bottleneck else 1)
    inner = spec.heads * spec.head_dim
    macs += before * fan_in * width
    macs += pixels * (3 * width * inner + inner * out)
    macs += pixels * 2 * spec.window**2 * inner  # query-key and weight-value products
    return Cost(params, macs)


def network_cost(
    backbone: Backbone,
    block_specs: Sequence[BlockSpec],
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
) -> Cost:
    """Exact cost of a whole network, without building it.

    Args:
        backbone: Its stem and block kind.
        block_specs: Shapes of its blocks.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.

    Returns:
        Parameters, and MACs of one image.
    """
    bottleneck = backbone.block == "bottleneck"
    kernel = 7 if backbone.stem == "imagenet" else 3
    stem = kernel * kernel * in_channels * backbone.stem_width
    size = image_size
    if backbone.stem != "cifar":
        size = (size + 1) // 2  # the conv's own map, before any pool
    features = block_specs[-1].out_channels
    params = stem + 2 * features + (features + 1) * num_classes
    macs = stem * size * size + features * num_classes
    for spec in block_specs:
        cost = block_cost(spec, bottleneck=bottleneck)
        params += cost.params
        macs += cost.macs
    return Cost(params, macs)


def count_params(module: nn.Module) -> int:
    """Trainable parameters of any module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def count_macs(module: nn.Module, input_shape: Sequence[int]) -> int:
    """Multiply-accumulates of one forward pass of any module.

    Uses PyTorch's flop counter with the math attention kernel and without the
    fast path of ``nn.MultiheadAttention``: the counter misses both fused kernels
    (pytorch issue 195460).

    Args:
        module: The network; it is run in eval mode on zeros.
        input_shape: Shape of the input, ``(batch, channels, height, width)``.

    Returns:
        Half of the counted floating-point operations.
    """
    parameter = next(module.parameters(), torch.zeros(()))
    modes = [(child, child.training) for child in module.modules()]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        zeros = torch.zeros(
            tuple(input_shape), device=parameter.device, dtype=parameter.dtype
        )
        with (
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            module(zeros)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for child, training in modes:
            child.training = training
    return int(counter.get_total_flops()) // 2
