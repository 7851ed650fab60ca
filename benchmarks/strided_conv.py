"""Cost of the guard against oneDNN's fault in strided 1x1 convs, both passes.

    OMP_NUM_THREADS=1 python benchmarks/strided_conv.py

Ours slices every second pixel and convolves with stride 1; the opponent is the strided
``nn.Conv2d`` with the same weights. Process time of one thread. Both take turns within
every repeat, so that whatever else the machine does hits both. Widths below 8 are left
out: there the opponent may write past its workspace.
"""

import argparse
import time

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces.blocks.strided_conv import StridedConv1x1

SHAPES = ((8, 16, 32), (16, 32, 32), (32, 64, 16), (64, 128, 16), (64, 128, 32))
"""Channels in and out, height (= width) of the map."""

FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels-last": torch.channels_last,
}


def seconds(conv: nn.Conv2d, x: Tensor, num: int) -> float:
    """Process time of one forward and backward pass."""
    started = time.process_time()
    for _ in range(num):
        conv(x).sum().backward()
    return (time.process_time() - started) / num


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--passes", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| format | conv | map | strided, ms | ours / strided | range |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, memory_format in FORMATS.items():
        for inputs, outputs, size in SHAPES:
            torch.manual_seed(0)
            theirs = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
            ours = StridedConv1x1(inputs, outputs, 2)
            ours.load_state_dict(theirs.state_dict())
            x = torch.randn(asked.batch, inputs, size, size)
            x = x.to(memory_format=memory_format).requires_grad_()
            for conv in (theirs, ours):
                seconds(conv.to(memory_format=memory_format), x, 2)
            pairs = [
                [seconds(conv, x, asked.passes) for conv in (theirs, ours)]
                for _ in range(asked.repeats)
            ]
            times = np.array(pairs)
            ratios = times[:, 1] / times[:, 0]
            print(
                f"| {name} | {inputs} -> {outputs} | {size}x{size} "
                f"| {1000 * np.median(times[:, 0]):.2f} | {np.median(ratios):.2f} "
                f"| {ratios.min():.2f} to {ratios.max():.2f} |"
            )


if __name__ == "__main__":
    main()
