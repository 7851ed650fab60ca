"""Strided 1x1 convs whose gradients are safe on every processor.

oneDNN (3.13 in PyTorch 2.15; uxlfoundation/oneDNN issue 6035) computes the weight
gradient of a strided 1x1 conv on a channels-last map in a workspace that it sizes
wrongly where the input has fewer channels than one of its blocks: it writes past the
end, which corrupts the heap or gives wrong gradients without a word. Processors with
AVX2 and no AVX-512 are hit. The code for AVX-512 is not: on an Intel Xeon with AVX-512
and AMX, without the guards below, the gradients of 1 to 30 channels (to 8, 16, 24 and
32; four shapes, both memory formats) equalled those of float64, and with
``ONEDNN_MAX_CPU_ISA=AVX2`` the same process died at each of 1 to 7 channels and was
right from 8 on. A 1x1 conv never sees the pixels between its steps, so
taking every stride-th pixel first and convolving with stride 1 is the same function
with the same parameters and gradients, and does not go through that code.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class StridedConv1x1(nn.Conv2d):
    """A 1x1 conv without padding or bias that is safe to train on a CPU.

    It slices only where a gradient may be asked for on a CPU. Inference, exports and
    other devices run the strided conv that it is.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Step between the pixels that are looked at.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every ``stride``-th pixel.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            ``(batch, out_channels, ceil(height / stride), ceil(width / stride))``.
        """
        if x.device.type == "cpu" and torch.is_grad_enabled():
            down, right = self.stride
            return functional.conv2d(x[:, :, ::down, ::right], self.weight)
        return super().forward(x)


def safe_conv_gradients(device: torch.device) -> AbstractContextManager[Any]:
    """Guard the strided 1x1 convs of any network while gradients are computed.

    Inside, every ``conv2d`` and ``conv1d`` on the CPU whose kernel is one pixel and
    whose stride is not 1 runs as a slice and a conv of stride 1: those of timm and
    torchvision models and of users' modules too, whatever class they are of and even
    if they are called as functions. The network itself is not changed. Enter it
    around the forward *and* the backward pass, because activation checkpointing runs
    the forward again.

    Args:
        device: Where the network is; other devices than the CPU need no guard.

    Returns:
        A context manager, of this thread alone.
    """
    return _SafeConvs() if device.type == "cpu" else nullcontext()


class _SafeConvs(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.conv2d or func is torch.conv1d:
            return _safe_conv(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _safe_conv(
    conv: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """``torch.conv2d`` or ``torch.conv1d``; named as their arguments are."""
    num_axes = weight.ndim - 2
    steps = _each_axis(stride, num_axes)
    is_pixel = all(side == 1 for side in weight.shape[2:])
    if not is_pixel or max(steps) == 1 or input.device.type != "cpu":
        return conv(input, weight, bias, stride, padding, dilation, groups)
    if not isinstance(padding, str):  # "valid" pads nothing; "same" refuses strides
        pads = _each_axis(padding, num_axes)
        if any(pads):
            around = [side for pad in reversed(pads) for side in (pad, pad)]
            input = functional.pad(input, around)
    pixels: Any = (..., *(slice(None, None, step) for step in steps))
    input = input[pixels]
    return conv(input, weight, bias, 1, 0, 1, groups)


def _each_axis(value: int | tuple[int, ...], num_axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * num_axes if len(values) == 1 else values
