"""A config for a directory of images that nobody has searched yet."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from nas.study_path import study_name
from search_spaces.errors import InputError, shown

SAMPLED = 200
"""Images whose size is looked at (our choice: enough for a median)."""

SIZES = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
"""Heights that are proposed; multiples of the strides of the presets."""

LARGEST = {"small": 64, "resnet18": 224}
"""Height up to which a backbone is proposed (our choice: `small` halves the map three
times, so that larger images cost it much and gain it little)."""


@dataclass(frozen=True)
class ImagesSeen:
    """What is in the directory.

    Attributes:
        root: The directory.
        num_train: Training images, before any are held out.
        num_classes: Classes.
        least: Images of the rarest class.
        height: Median of the shorter side of the images that were looked at, pixels.
        has_validation: Whether there is a directory ``val``.
        has_test: Whether there is a directory ``test``.
        notes: What was passed over.
    """

    root: Path
    num_train: int
    num_classes: int
    least: int
    height: int
    has_validation: bool
    has_test: bool
    notes: tuple[str, ...]

    @property
    def num_kept(self) -> int:
        """Images that are left to train on, about: each class is split on its own."""
        held_out = (self.has_test, self.has_validation)
        return round(self.num_train * 0.8 ** held_out.count(False))

    def text(self) -> str:
        """How many images there are, and how many of them train."""
        text = f"{self.num_train} images of {self.num_classes} classes"
        few = self.num_kept < self.num_train
        return f"{text}, about {self.num_kept} of them to train on" if few else text


def look_at(root: Path) -> ImagesSeen:
    """Count the images of a directory and look at the size of some of them.

    Args:
        root: One directory per class, or ``train``, ``val`` and ``test`` of such.

    Raises:
        InputError: There are no such directories, only one, or no image can be read.
    """
    import numpy as np
    from PIL import Image

    from nas.data.image_files import scan_image_folder

    folder = scan_image_folder(root)
    train = folder.splits["train"]
    if len(folder.class_names) < 2:
        raise InputError(
            "a data set needs images of two classes or more, "
            f"{root} has 1: {shown(folder.class_names[0])}"
        )
    _, counts = np.unique(train.labels, return_counts=True)
    steps = np.unique(np.linspace(0, len(train) - 1, SAMPLED).astype(int))
    sides = []
    for position in steps:
        try:
            with Image.open(train.path(int(position))) as image:
                sides.append(min(image.size))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
    if not sides:
        raise InputError(f"none of the images below {root} that were tried can be read")
    return ImagesSeen(
        root,
        len(train),
        len(folder.class_names),
        int(counts.min()),
        int(median(sides)),
        "validation" in folder.splits,
        "test" in folder.splits,
        folder.notes,
    )


@dataclass(frozen=True)
class FirstConfig:
    """Settings for such images; :meth:`yaml` has the reasons beside them."""

    seen: ImagesSeen
    image_size: int
    backbone: str
    batch_size: int
    epochs: int
    trials: int

    @classmethod
    def of(cls, seen: ImagesSeen) -> "FirstConfig":
        """Choose settings (all our choice; the comments of the YAML say why).

        Args:
            seen: What is in the directory.
        """
        size = max((one for one in SIZES if one <= seen.height), default=SIZES[0])
        backbone = "small" if size <= LARGEST["small"] else "resnet18"
        batch = 32 if seen.num_train < 2_000 else 64 if seen.num_train < 10_000 else 128
        # A trial sees about 200,000 images, each of them 10 to 60 times.
        epochs = min(60, max(10, round(200_000 / seen.num_train)))
        return cls(seen, size, backbone, batch, epochs, 50)

    def yaml(self, time_text: str = "") -> str:
        """The config, commented.

        Args:
            time_text: How long it will take, as far as that is known.
        """
        seen = self.seen
        name = study_name(seen.root) or "images"
        held_out = [
            f"  validation_fraction: 0.2   # held out to compare candidates: "
            f"{round(0.2 * seen.num_train * (1 if seen.has_test else 0.8))} images"
            if not seen.has_validation
            else "  # val/ is what candidates are compared on",
            "  test_fraction: 0.2         # looked at once, at the end"
            if not seen.has_test
            else "  # test/ is looked at once, at the end",
        ]
        heads = "[1, 2, 4]" if self.backbone == "small" else "[2, 4, 8, 16]"
        few = (
            [
                f"# The rarest class has {seen.least} images: differences between "
                "networks will hardly be seen.",
            ]
            if seen.least < 20
            else []
        )
        when = [f"# {time_text}"] if time_text else []
        return "\n".join(
            [
                f"# Written by nas init for {seen.text()}.",
                *few,
                *when,
                f"name: {json.dumps(name)}",
                "data:",
                "  name: imagefolder",
                f"  root: {json.dumps(str(seen.root.absolute()))}",
                f"  image_size: {self.image_size}             # their median side is "
                f"{seen.height} px",
                *held_out,
                "space:",
                "  kind: free                 # any block may become self-attention",
                f"  backbone: {{preset: {self.backbone}}}",
                f"  attention: {{heads: {heads}, window: auto, size: matched}}",
                "training:",
                "  recipe: fast",
                f"  epochs: {self.epochs}                 # of one trial",
                f"  batch_size: {self.batch_size}",
                "evaluators:",
                "  accuracy: {}",
                "  cost: {}",
                "  low_pass: {}",
                "objectives: [accuracy, macs]",
                f"search: {{sampler: tpe, trials: {self.trials}}}",
                "# To test where in a stage MSAs belong instead of finding the best:",
                "# search: {sampler: factorial, trials: 160, replicates: 2, "
                "replicate_first: 24}",
                "",
            ]
        )
