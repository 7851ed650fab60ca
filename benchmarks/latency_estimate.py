"""How well do summed block times agree with whole networks?

    python benchmarks/latency_estimate.py [--networks 24] [--batch-size 64]

Random placements of two spaces: the latency of each whole network, measured by the
evaluator `latency`, beside the estimate of a table measured in the same run. Networks
take turns in several rounds, as the blocks do: on a shared machine one and the same
network differs by a third from one minute to the next.
"""

import argparse
import os
import random
from statistics import median

import torch
from scipy.stats import spearmanr

from evaluators.cost.block_latency import measure_latencies
from evaluators.cost.latency import Latency
from evaluators.data import EvaluationData, ImageSet
from search_spaces import Attention, Backbone, FreeSpace

SPACES = {
    "small net, 32 px": FreeSpace(
        Backbone("basic", "patch2", (3, 3, 3), (16, 32, 64)),
        Attention(heads=(1, 2, 4), head_dim=16),
        strided_msas=True,
        image_size=32,
    ),
    "ResNet-18, 32 px": FreeSpace(
        Backbone.preset("resnet18", "cifar"), strided_msas=True, image_size=32
    ),
}


def noise(image_size: int, num: int) -> EvaluationData:
    pixels = torch.randint(0, 256, (num, 3, image_size, image_size), dtype=torch.uint8)
    half = (0.5, 0.5, 0.5)
    images = ImageSet(pixels, torch.zeros(num, dtype=torch.int64), half, half)
    return EvaluationData(train=images, validation=images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    print(f"load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, {device}\n")
    print(
        "| space | Spearman, estimate and measured | two rounds of measuring "
        "| estimate / measured, median (range) |"
    )
    print("| --- | --- | --- | --- |")
    for name, space in SPACES.items():
        table = measure_latencies(space, device, batch_size=options.batch_size)
        evaluator = Latency(batch_size=options.batch_size, num_warmups=1, num_repeats=5)
        data = noise(space.image_size, options.batch_size)
        rng = random.Random(0)
        drawn = [space.sample(rng) for _ in range(options.networks)]
        nets = [
            one.build().to(device, memory_format=torch.channels_last) for one in drawn
        ]
        rounds = [
            [evaluator(net, data)["latency"] for net in nets]
            for _ in range(options.rounds)
        ]
        measured = [median(times) for times in zip(*rounds, strict=True)]
        estimated = [space_latency(table, one) for one in drawn]
        again = spearmanr(rounds[0], rounds[-1]).statistic
        ratios = sorted(e / m for e, m in zip(estimated, measured, strict=True))
        rank = spearmanr(estimated, measured).statistic
        print(
            f"| {name} | {rank:.3f} | {again:.3f} | {median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
            flush=True,
        )


def space_latency(table, one) -> float:
    """The estimate for one architecture."""
    bottleneck = one.backbone.block == "bottleneck"
    return table.seconds(one.block_specs, bottleneck=bottleneck)


if __name__ == "__main__":
    main()
