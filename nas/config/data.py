"""Section ``data``: which images, and how they are split."""

from pydantic import Field

from nas.config.section import Section


class DataConfig(Section):
    """Which images, and how they are split.

    Attributes:
        name: ``mnist5k`` (5,000 real images that a package ships; the default),
            ``digits`` (scikit-learn), ``cifar10``, ``cifar100``, ``imagefolder``, or
            ``fake`` (noise, for smoke tests); more by ``register_dataset``.
        root: Directory of ``cifar10``, ``cifar100`` or ``imagefolder``.
        image_size: Resize to this height (= width) in pixels; ``None`` keeps the data
            set's own size (and is required for ``imagefolder``).
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
        split_seed: Seed of these draws; not that of the search, so that searches with
            other seeds see the same images.
    """

    name: str = "mnist5k"
    root: str | None = None
    image_size: int | None = Field(default=None, ge=4, le=1024)
    download: bool = False
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    max_train: int | None = Field(default=None, ge=1)
    max_validation: int | None = Field(default=None, ge=1)
    max_test: int | None = Field(default=None, ge=1)
    split_seed: int = Field(default=0, ge=0)
