"""The low-pass evaluator against the full FFT of saved maps, and a plain forward pass.

    OMP_NUM_THREADS=1 python benchmarks/low_pass.py

Process time of one thread. The contestants take turns within every repeat, so that
whatever else the machine does hits all of them. The opponent is what the paper's
fourier_analysis.ipynb does: keep the maps, take ``fft2`` of each, log, shift, mean,
diagonal. In the second table both get the same tensors of the same networks: every
block's output, its skip tensor where that is another tensor, and its branch.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from evaluators.blocks.listening import listening
from evaluators.blocks.low_pass import LowPass, log_amplitudes
from evaluators.data import EvaluationData, ImageSet
from search_spaces import Architecture, Attention, Backbone, Placement
from search_spaces.networks.chain_of import chain_of

PLACEMENTS = {"all-Conv": "CCC-CCC-CCC", "end": "CCM-CCM-CCM", "all-MSA": "MMM-MMM-MMM"}


def notebook(feature_map: Tensor) -> Tensor:
    """Relative log amplitudes as in fourier_analysis.ipynb."""
    height, width = feature_map.shape[-2:]
    spectrum = torch.log(torch.fft.fft2(feature_map).abs() + 1e-6)
    spectrum = torch.roll(spectrum, (height // 2, width // 2), dims=(2, 3))
    diagonal = spectrum.mean(dim=(0, 1)).diag()[height // 2 :]
    return diagonal - diagonal[0]


def ours(feature_map: Tensor) -> Tensor:
    """The same with the evaluator's transform."""
    logs = log_amplitudes(feature_map)
    return (logs - logs[:, :1]).mean(0)


def race(
    contestants: dict[str, Callable[[], object]], repeats: int, calls: int = 1
) -> dict[str, list[float]]:
    """Seconds of process time of a call of each contestant, taking turns.

    Of several calls in a row the first is not counted: it would pay for what the
    contestant before has put into the caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, run in contestants.items():
            if calls > 1:
                run()
            start = time.process_time()
            for _ in range(max(1, calls - 1)):
                run()
            if repeat:  # the first round warms up
                spent = time.process_time() - start
                seconds[name].append(spent / max(1, calls - 1))
    return seconds


def describe(seconds: list[float]) -> str:
    """Median and the 10th to 90th percentile in milliseconds."""
    low, median, high = quantiles(seconds)
    return f"{1e3 * median:.1f} ({1e3 * low:.1f}-{1e3 * high:.1f})"


def quantiles(values: list[float]) -> list[float]:
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    return torch.tensor(values, dtype=torch.float64).quantile(levels).tolist()


def ratio(slow: list[float], fast: list[float]) -> str:
    """Median of the ratios of each round, with their 10th and 90th percentile."""
    low, median, high = quantiles([s / f for s, f in zip(slow, fast, strict=True)])
    return f"{median:.2f} ({low:.2f}-{high:.2f})"


def transforms(repeats: int) -> None:
    print(
        "| map | full FFT, ms | ours, ms | full FFT / ours | of the fastest runs "
        "| largest difference |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    generator = torch.Generator().manual_seed(0)
    shapes = ((128, 16, 32, 32), (128, 16, 16, 16), (128, 32, 8, 8), (128, 64, 4, 4))
    for shape in shapes:
        maps = torch.randn(shape, generator=generator) + 0.5
        contestants = {"fft": partial(notebook, maps), "ours": partial(ours, maps)}
        times = race(contestants, repeats, calls=6)
        expected = notebook(maps.double())
        gap = float((ours(maps)[: len(expected)] - expected).abs().max())
        print(
            f"| {shape} | {describe(times['fft'])} | {describe(times['ours'])} "
            f"| {ratio(times['fft'], times['ours'])} "
            f"| {min(times['fft']) / min(times['ours']):.1f} | {gap:.1e} |"
        )


def networks(repeats: int, num_images: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = ImageSet(
        torch.randint(
            256, (num_images, 3, 32, 32), generator=generator, dtype=torch.uint8
        ),
        torch.randint(10, (num_images,), generator=generator),
        (0.5,) * 3,
        (0.25,) * 3,
    )
    data = EvaluationData(images, images)
    print(
        "| net | forward, ms | evaluator / forward | saved maps + FFT / forward "
        "| FFT / ours, forward pass taken off |"
    )
    print("| --- | --- | --- | --- | --- |")
    for name, placement in PLACEMENTS.items():
        torch.manual_seed(0)
        net = Architecture(
            backbone=Backbone.preset("small"),
            placement=Placement.parse(placement),
            attention=Attention(heads=(1, 2, 4), head_dim=16),
            num_classes=10,
            image_size=32,
        ).build()
        net.eval()
        evaluator = LowPass(max_images=num_images)
        times = race(
            {
                "forward": partial(forward, net, images),
                "evaluator": partial(evaluator.evaluate, net, data),
                "saved": partial(saved, net, images),
            },
            repeats,
        )
        print(
            f"| {name} | {describe(times['forward'])} "
            f"| {ratio(times['evaluator'], times['forward'])} "
            f"| {ratio(times['saved'], times['forward'])} "
            f"| {extra(times, 'saved') / extra(times, 'evaluator'):.1f} |"
        )


def extra(times: dict[str, list[float]], name: str) -> float:
    """Seconds beyond a plain forward pass, of medians."""
    return quantiles(times[name])[1] - quantiles(times["forward"])[1]


def forward(net: nn.Module, images: ImageSet) -> None:
    with torch.no_grad():
        for batch, _ in images.batches(128, torch.device("cpu")):
            net(batch)


def saved(net: nn.Module, images: ImageSet) -> list[Tensor]:
    """Keep the maps around every block, then transform all of them."""
    chain = chain_of(net)
    maps: dict[tuple[int, str], list[Tensor]] = {}
    taps = []
    for index, block in enumerate(chain.blocks):
        taps += [((index, "before"), block.before), ((index, "after"), block.after)]
        if block.branch is not None:
            taps.append(((index, "branch"), block.branch))
    kept: set[int] = set()

    def keep(key: tuple[int, str], feature_map: Tensor) -> None:
        if feature_map.data_ptr() not in kept:  # an identity skip is an output
            kept.add(feature_map.data_ptr())
            maps.setdefault(key, []).append(feature_map)

    with listening(taps, keep):
        forward(net, images)
    return [notebook(torch.cat(parts)) for parts in maps.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--images", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    transforms(4 * options.repeats)
    print()
    networks(options.repeats, options.images)


if __name__ == "__main__":
    main()
