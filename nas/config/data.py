"""Section ``data``: which images, and how they are split."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nas.config.section import Section
from search_spaces import InputError

CIFAR_DIRECTORIES = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
"""Below ``root``; ``base_folder`` of torchvision's readers."""


MOMENTS = ("mean", "std")
"""The settings of the normalisation."""


class DataConfig(Section):
    """Which images, and how they are split.

    Attributes:
        name: ``mnist5k`` (5,000 real images that a package ships; the default),
            ``digits`` (scikit-learn), ``cifar10``, ``cifar100``, ``imagefolder``, or
            ``fake`` (noise, for smoke tests); more by ``register_dataset``.
        root: Directory of ``cifar10``, ``cifar100`` or ``imagefolder``.
        image_size: Resize to this height (= width) in pixels; ``None`` keeps the data
            set's own size (and is required for ``imagefolder``).
        store_size: Keep the training images of ``imagefolder`` at this height
            (= width), larger than ``image_size``, so that
            ``training.random_resized_crop`` has something to cut from; ``None`` keeps
            them at ``image_size``.
        on_error: What to do about files of ``imagefolder`` that cannot be read:
            ``stop`` and list them all, or ``skip`` them and say so.
        cache: Keep the decoded images of ``imagefolder`` in the user's cache
            directory, so that the next start does not decode them again.
        download: Let torchvision download ``cifar10`` and ``cifar100``.
        validation_fraction: Share of the training images that is held out for the
            search, the same for every trial; ignored where the data has a ``val``
            directory.
        test_fraction: Share held out for the final test where the data set has no
            test split of its own.
        max_train: Use at most this many training images, drawn evenly from the
            classes; ``None`` for all.
        max_validation: The same for validation images.
        max_test: The same for test images.
        mean: What is subtracted from the pixels (0 to 1), one number or one for each
            channel, and
        std: what they are then divided by: those that a trained network knows. ``None``
            for mean and standard deviation of the training images.
        split_seed: Seed of these draws; not that of the search, so that searches with
            other seeds see the same images.
        resplit_seed: Draw once more which of the training and validation images are
            held out; what a trial with this ``split_seed`` in its table was trained
            on. ``None`` leaves them as they are.
    """

    name: str = "mnist5k"
    root: str | None = None
    image_size: int | None = Field(default=None, ge=4, le=1024)
    store_size: int | None = Field(default=None, ge=4, le=2048)
    on_error: Literal["stop", "skip"] = "stop"
    cache: bool = True
    download: bool = False
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    max_train: int | None = Field(default=None, ge=1)
    max_validation: int | None = Field(default=None, ge=1)
    max_test: int | None = Field(default=None, ge=1)
    mean: list[float] | None = Field(default=None, min_length=1)
    std: list[Annotated[float, Field(gt=0)]] | None = Field(default=None, min_length=1)
    split_seed: int = Field(default=0, ge=0)
    resplit_seed: int | None = Field(default=None, ge=0)

    def find_root(self) -> Path:
        """The directory of an ``imagefolder``.

        Returns:
            ``root``.

        Raises:
            InputError: It is not named or not there.
        """
        if self.root is None:
            raise InputError(
                "data.root must name a directory with one directory a class, or with "
                "train/, val/ and test/ of that form; got none",
                hint="--set data.root=DIR",
            )
        root = Path(self.root).expanduser()
        if not root.is_dir():
            # A study is resumed from anywhere, and has the path as it was given.
            place = "" if root.is_absolute() else f" in {str(Path.cwd())!r}"
            raise InputError(
                f"data.root must be a directory, {str(root)!r} is a file"
                if root.exists()
                else f"data.root must be a directory, there is no {str(root)!r}{place}"
            )
        return root

    def check_there(self) -> None:
        """Refuse images that are not where they should be, without reading any.

        Raises:
            InputError: Their directory is not named or not there.
        """
        if self.name == "imagefolder":
            self.find_root()
        if (folder := CIFAR_DIRECTORIES.get(self.name)) is None:
            return
        if self.root is None:
            raise InputError(
                f"data.root must name the directory of {self.name}, got none",
                hint="--set data.root=DIR",
            )
        if not self.download and not (Path(self.root) / folder).is_dir():
            raise self.not_there()

    def not_there(self) -> InputError:
        """The error of a downloadable data set that is not below ``root``."""
        return InputError(
            f"{self.name} must lie under data.root, but it is not in "
            f"{self.root!r}; data.download: true fetches it",
            hint="--set data.download=true",
        )

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_for_all(cls, value: Any) -> Any:
        return [value] if type(value) in (int, float) else value

    @model_validator(mode="after")
    def _whole_normalisation(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise InputError(
                "data.mean and data.std are given together or not at all, "
                f"got {self.mean} and {self.std}"
            )
        return self

    def normalisation(
        self, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation by which images are normalised.

        Args:
            mean: Of each channel of the training images.
            std: The same.

        Returns:
            One value a channel: those of the config, else the given ones.

        Raises:
            InputError: The config has another number of them.
        """
        if self.mean is None or self.std is None:
            return mean, std
        found = []
        for name, values in zip(MOMENTS, (self.mean, self.std), strict=True):
            if len(values) not in (1, len(mean)):
                raise InputError(
                    f"data.{name} is one number, or one for each of {len(mean)} "
                    f"channels; got {len(values)}"
                )
            found.append(tuple(values) * (len(mean) // len(values)))
        return found[0], found[1]

    @model_validator(mode="after")
    def _store_size_fits(self) -> Self:
        if self.store_size is None:
            return self
        if self.name != "imagefolder":
            raise InputError(
                "data.store_size is for data.name imagefolder, whose files are "
                f"decoded to a size; got {self.name!r}"
            )
        if self.image_size is None or self.store_size < self.image_size:
            raise InputError(
                "data.store_size >= data.image_size must hold, "
                f"got {self.store_size} and {self.image_size}"
            )
        return self
