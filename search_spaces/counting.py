"""Parameters and multiply-accumulates (MACs) of any built module."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


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
