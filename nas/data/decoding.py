"""From one image file to a square of uint8 pixels."""

import io
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from search_spaces.errors import InputError, one_line

Pixels = NDArray[np.uint8]

_VERSION = 2
"""Of the steps below; 2 turns photographs upright and scales 16 bits to 8."""

_LONGEST = 32
"""Sides in a ratio above this are cut before they are resized: resized whole, a strip
of 1x50000 pixels would take gigabytes. Our choice, beyond any photograph."""


def decoder_version() -> str:
    """What decides the pixels besides the file: a cache is only read under the same."""
    libraries = [
        f"{name} {features.version(name)}"
        for name in ("jpg", "libjpeg_turbo", "zlib", "zlib_ng", "webp", "libtiff")
        if features.check(name)
    ]
    return f"alternet-decoder/{_VERSION} Pillow {PIL.__version__} " + " ".join(
        libraries
    )


def decode_image(content: bytes, size: int, channels: int = 3) -> Pixels:
    """Decode an image: upright, short side resized (bicubic), cut to the centre square.

    The first frame is taken. Transparency is dropped, as torchvision's loader does.

    Args:
        content: Bytes of a file that Pillow can read.
        size: Height (= width) in pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        ``(channels, size, size)`` uint8.

    Raises:
        ValueError: It is no image, or a damaged one.
    """
    if not content:
        raise ValueError("the file is empty")
    try:
        with warnings.catch_warnings():
            # what a decoder remarks about odd files says nothing that helps a user
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as opened:
                opened.load()
                _turn_upright(opened)
                image = _eight_bits(opened).convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise ValueError("it is no image that Pillow knows") from None
    except MemoryError:
        raise
    except Exception as error:  # damaged files make decoders raise anything
        reason = one_line(error) or type(error).__name__
        raise ValueError(reason) from error
    return _square(image, size, channels)


def _turn_upright(image: Image.Image) -> None:
    """Turn a photograph as its EXIF orientation says; viewers show it so."""
    # damaged EXIF data, which may raise anything, can stand beside good pixels
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16 bits to 8: Pillow's convert would clip them to white."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no range of their own")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels have no range of their own")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _square(image: Image.Image, size: int, channels: int) -> Pixels:
    square = (size, size)
    if image.size != square:
        if max(image.size) > _LONGEST * min(image.size):
            width, height = (min(n, _LONGEST * min(image.size)) for n in image.size)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        scale = size / min(image.size)
        width, height = (max(size, round(n * scale)) for n in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    pixels: Pixels = np.asarray(image).reshape(*square, channels).transpose(2, 0, 1)
    return pixels


def read_images(paths: Sequence[str | Path], size: int, channels: int = 3) -> Pixels:
    """Read image files as a search does: see :func:`decode_image`.

    Args:
        paths: Files that Pillow can read.
        size: Height (= width) in pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        ``(num, channels, size, size)`` uint8.

    Raises:
        InputError: A file is missing or not an image.
    """
    pixels = np.empty((len(paths), channels, size, size), np.uint8)
    for index, path in enumerate(paths):
        try:
            pixels[index] = decode_image(Path(path).read_bytes(), size, channels)
        except (OSError, ValueError) as error:
            raise InputError(f"an image cannot be read: {path}: {error}") from error
    return pixels
