"""Memory and time of a block library against the size of its parent, at 224 px.

    python benchmarks/library_memory.py [--images 64] [--batch-size 16]

One pass over random images in a process for each parent (weights are drawn: neither
figure depends on them): MSA blocks in all slots that keep their shape. Printed are

    parent       peak memory of a process that only runs the parent on such batches
    library      the same of fitting the library, its measurement included
    features     what a library that keeps the maps would hold (inputs and outputs of
                 all slots in float32), for 20,000 images: computed, not measured
    CPU s        of the library, for 1,000 images, and the parent's own share of it:
                 what keeping the maps could save in every pass after the first
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
import torch
from PIL import Image

SIZE = 224
PARENTS = ("timm:resnet18", "timm:resnet50")


def make_images(root: Path, number: int) -> None:
    """A directory of two classes, of noise."""
    rng = np.random.default_rng(0)
    for split, count in (("train", number), ("test", 4)):
        for label in ("a", "b"):
            place = root / split / label
            place.mkdir(parents=True)
            for index in range(count // 2):
                pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{index}.png")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(source: str, root: Path, images: int, batch: int) -> dict[str, float]:
    """The figures of one parent, in this process."""
    from nas.config import config_from_dict
    from nas.scoring.library_fitting import fit_library
    from nas.scoring.parent_search import ParentSearch

    library = {"epochs": 1, "images": images, "batch_size": batch}
    config = config_from_dict(
        {
            "data": {
                "name": "imagefolder",
                "root": str(root),
                "image_size": SIZE,
                "cache": False,
                "validation_fraction": 0.2,
            },
            "parent": {"model": source, "library": library},
            "space": {"kinds": "CM"},
            "scoring": {"kind": "distilled"},
        }
    )
    search = ParentSearch(config, quiet=True, replacement="library")
    maps = [0]

    def count(_: torch.nn.Module, args: tuple, output: torch.Tensor) -> None:
        maps[0] += 4 * (args[0].numel() + output.numel())

    hooks = [b.register_forward_hook(count) for b in search.parent.own_blocks()]
    with torch.no_grad():
        search.parent.model(torch.zeros(1, 3, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    used = len(search.images.train.labels)
    started = process_time()
    with torch.no_grad():
        for _ in range(used // batch):
            search.parent.model(torch.zeros(batch, 3, SIZE, SIZE))
    parent_s = (process_time() - started) / (used // batch * batch)
    parent_mb = peak_mb()
    started = process_time()
    with tempfile.TemporaryDirectory() as directory:
        fit_library(
            search.parent, search.wanted, search.images, search.config, Path(directory)
        )
    return {
        "slots": len(search.wanted),
        "parent_mb": parent_mb,
        "library_mb": peak_mb(),
        "features_gb": maps[0] * 20_000 / 1e9,
        "library_s": 1e3 * (process_time() - started) / used,
        "parent_s": 1e3 * parent_s,
    }


def main() -> None:
    """Measure every parent in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        source, root = options.one
        found = measure(source, Path(root), options.images, options.batch_size)
        print(json.dumps(found))
        return
    print("| parent | slots | parent MB | library MB | features GB | CPU s | parent |")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        make_images(root, options.images * 5 // 4 + 2)
        for source in PARENTS:
            words = [sys.executable, __file__, "--one", source, directory]
            words += ["--images", str(options.images)]
            words += ["--batch-size", str(options.batch_size)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            one = json.loads(done.stdout.splitlines()[-1])
            print(
                f"| {source} | {one['slots']} | {one['parent_mb']:.0f} | "
                f"{one['library_mb']:.0f} | {one['features_gb']:.0f} | "
                f"{one['library_s']:.0f} | {one['parent_s']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
