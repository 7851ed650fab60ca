"""What the network sees: a few images as they are validated and as they are trained on.

Only the data sets that this package can load are opened: reading a study runs nobody's
code. The pictures are of the machine that writes the page, and are part of the page.
"""

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

from search_spaces.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from nas.config import SearchConfig

NUM_IMAGES = 12
"""Images of a row (our choice: all classes of ten are likely to be seen)."""

BUILT_IN = ("mnist5k", "digits", "cifar10", "cifar100", "imagefolder", "fake")


def contact_sheet(config: "SearchConfig") -> dict[str, Any]:
    """Draw images of a study's data set.

    Args:
        config: Data and recipe.

    Returns:
        ``src`` (a data URI of a PNG with two rows: validation images, then augmented
        training images), ``width`` and ``height`` in pixels, ``labels`` of the
        validation images and ``counts`` of the splits; or ``reason``, why there is no
        picture.
    """
    if config.data.name not in BUILT_IN:
        return {"reason": f"the data set {config.data.name!r} is a plugin's"}
    import torch

    from nas.data.augmentation import make_augmentation
    from nas.data.datasets import load_dataset

    try:
        dataset = load_dataset(config.data.model_copy(update={"download": False}))
    except (InputError, OSError) as error:
        return {"reason": f"the images cannot be read here: {error}"}
    generator = torch.Generator().manual_seed(0)
    seen, shown = dataset.train, dataset.validation
    rows = torch.randperm(len(shown.labels), generator=generator)[:NUM_IMAGES]
    validated = dataset.image_set(shown).pixels(rows, torch.device("cpu"))
    augment = make_augmentation(config.training, dataset.image_size)
    images = dataset.image_set(seen, stored=augment is not None)
    drawn = torch.randperm(len(seen.labels), generator=generator)[:NUM_IMAGES]
    trained = images.pixels(drawn, torch.device("cpu"))
    if augment is not None:
        trained = augment(trained, generator)
    strips = [_strip(one.numpy()) for one in (validated, trained)]
    picture, width, height = _png(strips)
    names = dataset.class_names
    return {
        "src": picture,
        "width": width,
        "height": height,
        "labels": [names[int(shown.labels[int(row)])] for row in rows],
        "augmented": augment is not None,
        "classes": list(names[:50]),
        "counts": {
            "train": len(dataset.train.labels),
            "validation": len(dataset.validation.labels),
            "test": len(dataset.test.labels),
        },
        "image_size": dataset.image_size,
        "channels": dataset.in_channels,
    }


def _strip(images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Images ``(batch, channels, height, width)`` in [0, 1] beside each other.

    Returns:
        ``(height + 4, NUM_IMAGES * (width + 4), 3)``, uint8.
    """
    import numpy as np

    _, channels, height, width = images.shape
    strip = np.full((height + 4, NUM_IMAGES * (width + 4), 3), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
        pixels = pixels.transpose(1, 2, 0)
        if channels != 3:
            pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
        left = index * (width + 4) + 2
        strip[2 : height + 2, left : left + width] = pixels
    return strip


def _png(strips: "list[np.ndarray[Any, Any]]") -> tuple[str, int, int]:
    import numpy as np
    from PIL import Image

    widest = max(strip.shape[1] for strip in strips)
    padded = [
        np.pad(
            strip,
            ((0, 0), (0, widest - strip.shape[1]), (0, 0)),
            constant_values=255,
        )
        for strip in strips
    ]
    image = Image.fromarray(np.concatenate(padded))
    if image.width > 1600:  # large images: as wide as a screen is enough
        image = image.resize((1600, round(image.height * 1600 / image.width)))
    elif image.width < 800:  # small ones: whole pixels, so that nothing is smoothed
        factor = -(-800 // image.width)
        size = (image.width * factor, image.height * factor)
        image = image.resize(size, Image.Resampling.NEAREST)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    text = b64encode(file.getvalue()).decode("ascii")
    return f"data:image/png;base64,{text}", image.width, image.height
