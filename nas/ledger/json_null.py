"""JSON has neither NaN nor infinity: they become ``null``."""

import math
from collections.abc import Mapping
from typing import Any


def json_null(value: Any) -> Any:
    """Replace numbers that JSON cannot hold, at any depth.

    Args:
        value: Mappings, lists, tuples, numbers, texts.

    Returns:
        The same with ``None`` for NaN and infinity, mappings as dicts and tuples as
        lists.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: json_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_null(item) for item in value]
    return value
