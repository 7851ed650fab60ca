"""Accuracy against CPU seconds: our recipe, a plain PyTorch loop, timm's recipe.

All train the same network on the same images in one process with one thread. CPU
seconds are those of the process, from the network to the last validation. Each finished
run is a line of the --log file, and a run that is there is not repeated.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from nas.config import DataConfig, TrainingConfig, config_from_dict
from nas.data.datasets import Dataset, Split, load_dataset
from nas.scoring.from_scratch import build
from nas.scoring.training import train, validate
from nas.scoring.whitened_stem import whiten_stem
from search_spaces import Architecture, Attention, Backbone, Placement

CPU = torch.device("cpu")

VARIANTS: dict[str, dict[str, Any]] = {
    "fast": {},
    "fast, Nesterov SGD for Muon": {"optimizer": "sgd", "learning_rate": 0.2},
    "fast, AdamW for Muon": {
        "optimizer": "adamw",
        "learning_rate": 0.004,
        "weight_decay": 0.05,
    },
    "fast, random stem": {"stem_init": "random"},
    "fast, random flips": {"flip": "random"},
    "fast, cosine": {"decay": "cosine"},
    "fast, black border": {"crop_border": "black"},
    "fast, no crop": {"crop_padding": 0},
    "fast, no label smoothing": {"label_smoothing": 0.0},
    "fast, averaging 0.999": {"averaging": 0.999},
    "fast, batches of 256": {
        "batch_size": 256,
        "learning_rate": 0.15,
        "muon_learning_rate": 0.03,
    },
}


def architecture(placement: str, size: int, num_classes: int) -> Architecture:
    parsed = Placement.parse(placement)
    return Architecture(
        Backbone("basic", "patch2", parsed.depths, (16, 32, 64)),
        parsed,
        Attention(heads=(1, 2, 4), window="auto", size="matched"),
        num_classes,
        3,
        size,
    )


def ours(
    net: Architecture, dataset: Dataset, epochs: int, seed: int, changes: dict[str, Any]
) -> nn.Module:
    recipe = {"recipe": "fast", **changes, "epochs": epochs}
    recipe.setdefault("warmup_epochs", max(1.0, 0.2 * epochs))
    config = config_from_dict({"training": recipe})
    model = build(net, config, seed)
    if config.training.stem_init == "whitened":
        whiten_stem(model, dataset.image_set(dataset.train), seed)
    train(model, dataset, config.training, seed=seed, device=CPU)
    return model


class Pictures(torch.utils.data.Dataset[Any]):
    """Images as PIL pictures under a transform, as most training scripts have them."""

    def __init__(self, split: Split, transform: Any) -> None:
        self.images = split.images.transpose(0, 2, 3, 1)
        self.labels = split.labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        picture = Image.fromarray(numpy.ascontiguousarray(self.images[index]))
        return self.transform(picture), int(self.labels[index])


def plain(net: Architecture, dataset: Dataset, epochs: int, seed: int) -> nn.Module:
    """The loop of a tutorial: DataLoader, AdamW, cosine with warm-up, `.item()`."""
    from torchvision import transforms

    torch.manual_seed(seed)
    model = net.build()
    transform = transforms.Compose(
        [
            transforms.RandomCrop(net.image_size, padding=2),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(dataset.mean, dataset.std),
        ]
    )
    loader = DataLoader(
        Pictures(dataset.train, transform), 128, shuffle=True, drop_last=True
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-3, total_steps=epochs * len(loader), pct_start=0.1
    )
    for _ in range(epochs):
        model.train()
        running = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), labels, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            schedule.step()
            running += loss.item()
        accuracy_of(model, dataset, dataset.validation)
    return model


def timm_a3(net: Architecture, dataset: Dataset, epochs: int, seed: int) -> nn.Module:
    """Recipe A3 of "ResNet strikes back" (Wightman et al., 2021), timm's cheapest.

    LAMB, binary cross-entropy, RandAugment m6, mixup 0.1, CutMix 1.0, cosine. The rate
    8e-3 is for batches of 2048; here the root rule gives 2e-3 for 128.
    """
    from timm.data import Mixup, create_transform
    from timm.loss import BinaryCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler

    torch.manual_seed(seed)
    numpy.random.seed(seed)  # noqa: NPY002  (timm's augmentation draws from it)
    model = net.build()
    transform = create_transform(
        net.image_size,
        is_training=True,
        auto_augment="rand-m6-mstd0.5-inc1",
        color_jitter=None,
        mean=dataset.mean,
        std=dataset.std,
    )
    loader = DataLoader(
        Pictures(dataset.train, transform), 128, shuffle=True, drop_last=True
    )
    mixup = Mixup(0.1, 1.0, num_classes=dataset.num_classes, label_smoothing=0.0)
    loss_of = BinaryCrossEntropy(smoothing=0.0, target_threshold=0.2)
    optimizer = create_optimizer_v2(model, "lamb", lr=2e-3, weight_decay=0.02)
    steps = len(loader)
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=epochs * steps,
        warmup_t=epochs * steps // 20,
        warmup_lr_init=1e-4,
        t_in_epochs=False,
    )
    step = 0
    for _ in range(epochs):
        model.train()
        for images, labels in loader:
            images, targets = mixup(images, labels)
            schedule.step_update(step)
            optimizer.zero_grad()
            loss_of(model(images), targets).backward()
            optimizer.step()
            step += 1
        accuracy_of(model, dataset, dataset.validation)
    return model


def accuracy_of(model: nn.Module, dataset: Dataset, split: Split) -> float:
    return validate(model, dataset.image_set(split), TrainingConfig(), CPU)[1]


def flipped_accuracy(model: nn.Module, dataset: Dataset, split: Split) -> float:
    """Mean logits of each image and its mirror image: twice the MACs."""
    images = dataset.image_set(split)
    correct = 0
    with torch.inference_mode():
        for batch, labels in images.batches(250, CPU):
            logits = model(batch) + model(batch.flip(-1))
            correct += int((logits.argmax(1) == labels).sum())
    return correct / len(images)


def machine_speed() -> float:
    """GFLOP per CPU second of a matrix product: how busy the neighbours are."""
    a = torch.randn(768, 768)
    a @ a
    started = time.process_time()
    for _ in range(20):
        a @ a
    return 20 * 2 * 768**3 / (time.process_time() - started) / 1e9


def run(options: argparse.Namespace, dataset: Dataset, name: str, seed: int) -> dict:
    net = architecture(options.placement, dataset.image_size, dataset.num_classes)
    speed = machine_speed()
    started = time.process_time()
    if name == "plain":
        model = plain(net, dataset, options.epochs, seed)
    elif name == "timm A3":
        model = timm_a3(net, dataset, options.epochs, seed)
    else:
        model = ours(net, dataset, options.epochs, seed, VARIANTS[name])
    seconds = time.process_time() - started
    return {
        "recipe": name,
        "placement": options.placement,
        "train_images": len(dataset.train),
        "epochs": options.epochs,
        "seed": seed,
        "macs": net.macs,
        "cpu_s": round(seconds, 1),
        "gflop_per_cpu_s": [round(speed, 1), round(machine_speed(), 1)],
        "validation": accuracy_of(model, dataset, dataset.validation),
        "test": accuracy_of(model, dataset, dataset.test),
        "test_flip": flipped_accuracy(model, dataset, dataset.test),
    }


def table(rows: list[dict[str, Any]]) -> str:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        key = ("recipe", "placement", "train_images", "epochs")
        groups[tuple(row[name] for name in key)].append(row)
    lines = [
        "| recipe | placement | images | epochs | n | CPU s | validation | test | "
        "test, flip |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, group in groups.items():
        cells = [str(one) for one in (*key, len(group))]
        cells.append(f"{statistics.mean(row['cpu_s'] for row in group):.0f}")
        for name in ("validation", "test", "test_flip"):
            values = [100 * row[name] for row in group]
            spread = f" ({min(values):.1f} to {max(values):.1f})"
            cells.append(
                f"{statistics.mean(values):.1f}{spread if len(group) > 1 else ''}"
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="directory of CIFAR-10")
    parser.add_argument("--data", default="imagefolder", help="or cifar10")
    parser.add_argument("--image-size", type=int, default=24)
    parser.add_argument("--max-train", type=int)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--placement", default="CCC-CCC-CCC")
    parser.add_argument(
        "--recipes",
        nargs="+",
        default=["fast", "plain", "timm A3"],
        help=f"plain, 'timm A3', or ablations: {', '.join(VARIANTS)}; all for these",
    )
    parser.add_argument("--log", type=Path, default=Path("training.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(
        DataConfig(
            name=options.data,
            root=options.root,
            image_size=options.image_size,
            max_train=options.max_train,
        )
    )
    names = list(VARIANTS) if options.recipes == ["all"] else options.recipes
    rows = []
    if options.log.exists():
        rows = [json.loads(line) for line in options.log.read_text().splitlines()]
    wanted = ("recipe", "placement", "train_images", "epochs", "seed")
    done = {tuple(row[key] for key in wanted) for row in rows}
    images = len(dataset.train)
    for seed in options.seeds:  # contestants take turns
        for name in names:
            key = (name, options.placement, images, options.epochs, seed)
            if key in done:
                continue
            rows.append(run(options, dataset, name, seed))
            with options.log.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
