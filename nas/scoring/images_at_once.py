"""How many images go through a network at once where nothing is learned from them."""

_MOST = 250
_PIXELS = _MOST * 64 * 64
"""Our choice: with 250 images of 224 px a ResNet-50 holds 0.8 GB in each of its first
maps, and a walk over placements keeps one for every depth."""


def images_at_once(image_size: int) -> int:
    """Images in a batch that is only looked at: 250 up to 64 px, fewer of larger ones.

    Args:
        image_size: Height (= width) of the image in pixels.
    """
    return max(1, min(_MOST, _PIXELS // image_size**2))
