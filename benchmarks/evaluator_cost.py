"""What each evaluator costs, as a share of one training epoch.

    OMP_NUM_THREADS=1 python benchmarks/evaluator_cost.py

Process time of one thread: one epoch of the `tiny` backbone (placement CM-CM-CM) on
random images of 32x32 pixels with the default recipe, scaled to 8,000 images, then
every registered evaluator with its default options and 2,000 validation images. The
numbers go into `cost_in_epochs` of the evaluators and from there into docs/metrics.md.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace

import torch

from evaluators.registry import EVALUATORS
from nas.config import TrainingConfig
from nas.data.augmentation import make_augmentation
from nas.data.datasets import Dataset, Split
from nas.scoring.training import train
from search_spaces import Architecture, Attention, Backbone, Placement

NUM_IMAGES = 8000
"""Images of the epoch that costs are compared with."""


def random_dataset(num_train: int, num_validation: int) -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(num: int) -> Split:
        images = torch.randint(
            256, (num, 3, 32, 32), generator=generator, dtype=torch.uint8
        )
        labels = torch.randint(10, (num,), generator=generator)
        return Split(images.numpy(), labels.numpy())

    return Dataset(
        name="random",
        train=split(num_train),
        validation=split(num_validation),
        test=split(1),
        class_names=tuple("0123456789"),
        mean=(0.5,) * 3,
        std=(0.29,) * 3,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--train-images", type=int, default=NUM_IMAGES, help="for the timing"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = random_dataset(options.train_images, 2000)
    config = TrainingConfig(epochs=1)
    architecture = Architecture(
        backbone=Backbone.preset("tiny"),
        placement=Placement.parse("CM-CM-CM"),
        attention=Attention(heads=(1, 2, 4), head_dim=16),
        num_classes=10,
        image_size=32,
    )
    data = dataset.evaluation_data(make_augmentation(config), config.weight_decay)
    epochs: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in EVALUATORS}
    for _ in range(options.repeats):
        torch.manual_seed(0)
        net = architecture.build()
        # One image for each validation pass: the epoch is that of training alone.
        to_train = replace(dataset, validation=dataset.test)
        start = time.process_time()
        train(net, to_train, config, seed=0, device=torch.device("cpu"))
        scale = NUM_IMAGES / options.train_images  # steps all cost the same
        epochs.append(scale * (time.process_time() - start))
        for name, evaluator in EVALUATORS.items():
            start = time.process_time()
            evaluator().evaluate(net, data)
            seconds[name].append(time.process_time() - start)
            print(f"{name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    epoch = statistics.median(epochs)
    print(f"one epoch: {epoch:.1f} s ({min(epochs):.1f}-{max(epochs):.1f})\n")
    print("| evaluator | seconds | share of an epoch |")
    print("| --- | --- | --- |")
    for name, values in seconds.items():
        middle = statistics.median(values)
        spread = f"{min(values):.2f}-{max(values):.2f}"
        print(f"| {name} | {middle:.2f} ({spread}) | {middle / epoch:.2f} |")


if __name__ == "__main__":
    main()
