"""Names of networks: ``timm:NAME``, ``torchvision:NAME``, ``vit``, with options.

Needs no torch, so that a wrong name is told at once.
"""

import re
from typing import Any

from search_spaces.errors import InputError, shown
from search_spaces.yaml_text import parse_yaml

PUBLISHERS = ("timm", "torchvision")
"""Libraries that have weights for their networks."""

LIBRARIES = (*PUBLISHERS, "vit")

GRAMMAR = (
    "a network is timm:NAME, torchvision:NAME or vit, with options as ,key=value: "
    "timm:vit_tiny_patch16_224,depth=4 or vit,patch=3,width=64,reach=5"
)

_RESERVED = ("num_classes", "in_chans", "in_channels", "img_size", "image_size")
"""Options that the images decide."""


def is_network(source: str) -> bool:
    """Whether a text names a network rather than a file."""
    library = re.split("[:,]", source, maxsplit=1)[0]
    return source == "vit" or (library in LIBRARIES and library != source)


def parse_network(source: str) -> tuple[str, str, dict[str, Any]]:
    """Take the name of a network apart.

    Args:
        source: ``timm:NAME,key=value,...``, ``torchvision:NAME,...`` or ``vit,...``.
            Values are YAML; commas inside brackets belong to a value.

    Returns:
        Library, name within it (``""`` for ``vit``), options.

    Raises:
        InputError: It is not so written, or an option is one that the images decide.
    """
    head, *entries = re.split(r",(?![^\[]*\])", source)
    library, colon, name = head.partition(":")
    if library not in LIBRARIES or (library == "vit") != (not colon) or (colon > name):
        raise InputError(f"{GRAMMAR}; got {shown(source)}")
    options: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or not key.isidentifier() or key in options:
            raise InputError(f"{GRAMMAR}; got the option {shown(entry)}")
        if key in _RESERVED:
            raise InputError(
                f"{key} of a network follows from the images, not from an option; "
                f"got {shown(source)}"
            )
        options[key] = parse_yaml(text)
    return library, name, options
