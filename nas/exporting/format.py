"""What an export can be written in, and the packages that it takes; without torch."""

import importlib.util
import sys
from collections.abc import Sequence
from enum import StrEnum

from search_spaces.errors import InputError

RECIPE = "recipe.yaml"
"""How the network of an export was trained, and on which images."""


class Format(StrEnum):
    """What can be written; weights and architecture always are."""

    YAML = "yaml"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    PT2 = "pt2"
    TIMM = "timm"


def require_packages(formats: Sequence[Format]) -> None:
    """Check that what the formats need is installed, before anything is written.

    Args:
        formats: The formats asked for.

    Raises:
        InputError: A package is missing.
    """
    needed = {
        Format.ONNX: ("onnx", "onnxscript", "onnxruntime"),
        Format.TIMM: ("timm",),
    }
    missing = {
        chosen: [p for p in needed.get(chosen, ()) if not importlib.util.find_spec(p)]
        for chosen in formats
    }
    lacking = [str(chosen) for chosen, packages in missing.items() if packages]
    if lacking:
        packages = ", ".join(p for found in missing.values() for p in found)
        raise InputError(
            f"the formats {', '.join(lacking)} need the packages {packages}; "
            f"{sys.executable} -m pip install {packages.replace(',', '')}"
        )
