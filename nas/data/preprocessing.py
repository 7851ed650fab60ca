"""What has to be done to an image before an exported network sees it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluators.data import ImageSet
from nas.data.datasets import Dataset
from nas.data.decoding import read_images
from search_spaces.errors import InputError
from search_spaces.yaml_text import read_text

FORMAT = "alternet-preprocessing/1"


@dataclass(frozen=True)
class Preprocessing:
    """The way from image files to the network's input, and from logits to names.

    Attributes:
        mean: Mean of each channel in [0, 1] units, subtracted.
        std: Standard deviation of each channel, divided by.
        image_size: Height (= width) of the network's input in pixels.
        class_names: One name a class; position is the index of the logit.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> "Preprocessing":
        """The preprocessing of a data set's images."""
        return cls(dataset.mean, dataset.std, dataset.image_size, dataset.class_names)

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return len(self.mean)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise images, in the very arithmetic of the search.

        Args:
            pixels: ``(batch, channels, height, width)``, uint8, or float in [0, 1].

        Returns:
            Network input of the same shape, float32.
        """
        labels = torch.zeros(len(pixels), dtype=torch.int64)
        images = ImageSet(pixels, labels, self.mean, self.std)
        return images.batch(slice(None), pixels.device)[0]

    def open_images(self, paths: Sequence[str | Path]) -> Tensor:
        """Read image files: short side resized (bicubic), centre cropped to a square.

        Args:
            paths: Files that Pillow can read.

        Returns:
            Pixels ``(batch, channels, image_size, image_size)``, uint8.

        Raises:
            InputError: A file is missing or not an image.
        """
        pixels = read_images(paths, self.image_size, self.in_channels)
        return torch.from_numpy(pixels)

    def to_json(self, path: Path) -> None:
        """Write the record as JSON; floats keep every digit."""
        record = {
            "format": FORMAT,
            **asdict(self),
            "steps": [
                "resize the short side to image_size (bicubic), crop the centre",
                "divide the pixels by 255",
                "subtract mean and divide by std, channel by channel",
            ],
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: Path) -> "Preprocessing":
        """Read what `to_json` wrote.

        Args:
            path: The file.

        Returns:
            The preprocessing.

        Raises:
            InputError: It is missing, of another format, or damaged.
        """
        try:
            record: dict[str, Any] = json.loads(read_text(path))
            if record["format"] != FORMAT:
                raise ValueError(f"its format is {record['format']!r}")
            return cls(
                tuple(float(value) for value in record["mean"]),
                tuple(float(value) for value in record["std"]),
                int(record["image_size"]),
                tuple(str(name) for name in record["class_names"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} must be a record of the format {FORMAT}: {error}"
            ) from error
