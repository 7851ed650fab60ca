"""Start-up of the data part of a search: an image folder without, into, from the cache.

``python benchmarks/data_start.py`` makes 60,000 PNG files of 32 x 32 pixels (or takes
``--root``, a folder with ``train`` and ``test``) and starts, each in a process of its
own, imports left out:

- ``plain``: every file decoded by Pillow in one process, into memory, as at every start
  before there was a cache;
- ``first``: with an empty cache, on all CPUs;
- ``second``: from the cache.

CPU seconds hold those of the decoding processes; ``peak`` is the largest resident set.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def make_folder(root: Path, num: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(num):
        split = "test" if index % 6 == 0 else "train"
        place = root / split / f"class{index // 6 % 10}"
        place.mkdir(parents=True, exist_ok=True)
        # smooth pictures, about as compressible as photographs of this size
        small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC)
        image.save(place / f"{index:06}.png")


def plain(root: str, size: int) -> str:
    """What every start did before there was a cache; returns the fingerprint."""
    from torchvision.datasets import ImageFolder

    from nas.data.fingerprint import channel_moments, pixel_digest
    from nas.data.raw_dataset import Split
    from nas.data.splitting import hold_out

    splits = {}
    for name in ("train", "test"):
        samples = ImageFolder(f"{root}/{name}").samples
        paths = np.array([path for path, _ in samples])
        splits[name] = Split(paths, np.array([label for _, label in samples]))
    rng = np.random.default_rng(0)
    train, validation = hold_out(splits["train"], 0.2, rng)
    decoded = []
    for split in (train, validation, splits["test"]):
        pixels = np.empty((len(split), 3, size, size), np.uint8)
        for index, path in enumerate(split.images.tolist()):
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            if image.size != (size, size):
                image = image.resize((size, size), Image.Resampling.BICUBIC)
            pixels[index] = np.asarray(image).transpose(2, 0, 1)
        decoded.append((pixels, split.labels))
    channel_moments(decoded[0][0])
    return pixel_digest(decoded)[:12]


def cached(root: str, size: int) -> str:
    from nas.config import DataConfig
    from nas.data.datasets import load_dataset

    config = DataConfig(name="imagefolder", root=root, image_size=size)
    return load_dataset(config).fingerprint


def measure(how: str, root: str, size: int) -> None:
    """One start in this process; prints its numbers."""
    import torchvision.datasets  # noqa: F401 - imports are not what is measured

    import nas.data.datasets  # noqa: F401

    def cpu_seconds() -> float:
        return sum(os.times()[:4])

    before, started = cpu_seconds(), time.perf_counter()
    fingerprint = plain(root, size) if how == "plain" else cached(root, size)
    wall = time.perf_counter() - started
    if how == "first":
        time.sleep(4)  # the decoding processes end themselves; then their time counts
    status = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text().split("\n")[:-1]
    )
    found = {
        "how": how,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu_seconds() - before, 2),
        "peak_mb": int(status["VmHWM"].split()[0]) // 1024,
        "fingerprint": fingerprint,
    }
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("--num", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--start", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        measure(options.start, str(options.root), options.size)
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = options.root or Path(scratch) / "images"
        if options.root is None:
            make_folder(root, options.num)
        fingerprints = set()
        for repeat in range(options.repeats):
            cache = Path(scratch) / f"cache{repeat}"
            environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
            for how in ("plain", "first", "second"):
                time.sleep(2.5)  # files at rest, as they are in use
                command = [sys.executable, __file__, "--start", how]
                command += ["--root", str(root), "--size", str(options.size)]
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, check=True
                )
                found = json.loads(done.stdout.splitlines()[-1])
                fingerprints.add(found["fingerprint"])
                print(json.dumps(found), flush=True)
        if len(fingerprints) != 1:
            raise SystemExit(f"the starts do not agree: {fingerprints}")


if __name__ == "__main__":
    main()
