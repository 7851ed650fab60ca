"""torchvision's models by name, with an error of one line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import nn


def torchvision_model(
    name: str,
    num_classes: int,
    pretrained: bool,
    options: Mapping[str, Any] | None = None,
) -> "nn.Module":
    """Build a model of torchvision.

    Args:
        name: Of the model.
        num_classes: Number of logits; published weights keep their own.
        pretrained: Let torchvision find the published weights.
        options: Keyword arguments of the model.

    Raises:
        InputError: There is no such model, or it cannot be built so.
    """
    from torchvision import models

    if name not in models.list_models():
        near = [one for one in models.list_models() if one.startswith(name[:4])][:5]
        hint = f"; there are {', '.join(near)}, ..." if near else ""
        raise InputError(f"torchvision has no model {name!r}{hint}")
    own = {"weights": "DEFAULT"} if pretrained else {"num_classes": num_classes}
    try:
        model: nn.Module = models.get_model(name, **own, **(options or {}))
    except Exception as error:  # whatever its constructor dislikes
        raise InputError(
            f"torchvision cannot build {name!r}: {one_line(error, 200)}"
        ) from error
    return model
