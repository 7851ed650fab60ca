"""Image folders for the tests, and a naive twin of what a search makes of them."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image


def noise_folder(root: Path, counts: dict[str, int], size=(9, 7), seed=0) -> Path:
    """PNG files of random pixels; ``counts`` says how many by directory."""
    rng = np.random.default_rng(seed)
    for directory, count in counts.items():
        place = root / directory
        place.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{index:03}.png")
    return root


def at_rest(root: Path, monkeypatch) -> None:
    """Let a listing believe that nothing was changed shortly before it."""
    from nas.data import decode_request

    monkeypatch.setattr(decode_request, "_RESTING_NS", -(10**12))


def old_decode(path, size: int) -> np.ndarray:
    """One file as releases without a cache have read it: plainly by Pillow."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if image.size != (size, size):
        scale = size / min(image.size)
        width, height = (max(size, round(n * scale)) for n in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image).transpose(2, 0, 1)


def naive_splits(config) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Splits and pixels of an image folder by torchvision, Pillow and plain loops."""
    from torchvision.datasets import ImageFolder

    root = Path(config.root)
    rng = np.random.default_rng(config.split_seed)

    def listed(folder):
        found = ImageFolder(str(folder))
        return [(path, label) for path, label in found.samples]

    def held_out(samples, fraction):
        chosen = set()
        for label in sorted({label for _, label in samples}):
            members = [i for i, (_, one) in enumerate(samples) if one == label]
            num = max(min(max(1, round(len(members) * fraction)), len(members) - 1), 0)
            chosen |= set(rng.permutation(members)[:num].tolist())
        rest = [s for i, s in enumerate(samples) if i not in chosen]
        return rest, [s for i, s in enumerate(samples) if i in chosen]

    def at_most(samples, maximum):
        if maximum is None or maximum >= len(samples):
            return samples
        seen = Counter()
        ranked = []
        for place, index in enumerate(rng.permutation(len(samples)).tolist()):
            label = samples[index][1]
            ranked.append((seen[label], place, index))
            seen[label] += 1
        chosen = sorted(index for _, _, index in sorted(ranked)[:maximum])
        return [samples[index] for index in chosen]

    if (root / "train").is_dir():
        train, test = listed(root / "train"), listed(root / "test")
    else:
        train, test = held_out(listed(root), config.test_fraction)
    train, validation = held_out(train, config.validation_fraction)
    found = {
        "train": at_most(train, config.max_train),
        "validation": at_most(validation, config.max_validation),
        "test": at_most(test, config.max_test),
    }
    return {
        name: (
            np.stack([old_decode(path, config.image_size) for path, _ in samples]),
            np.array([label for _, label in samples]),
        )
        for name, samples in found.items()
    }


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A directory of somebody who may not read everything, as root may; and be them.

    Root is nobody for so long. Children of the process are too.
    """
    is_root, nobody = os.geteuid() == 0, 65534
    with TemporaryDirectory() as made:
        if is_root:
            os.chown(made, nobody, nobody)
            os.seteuid(nobody)
        try:
            yield Path(made)
        finally:
            if is_root:
                os.seteuid(0)
