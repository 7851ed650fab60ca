"""timm, where it is needed: the package and the name of a model, checked."""

from typing import Any

from search_spaces.errors import InputError


def import_timm(name: str) -> Any:
    """The package timm, which knows the model.

    Args:
        name: Of the model.

    Raises:
        InputError: timm is not installed, or has no such model.
    """
    try:
        import timm
    except ImportError as error:
        raise InputError(
            "models named timm:NAME need the package timm: pip install timm"
        ) from error
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        hint = f"; there are {', '.join(near)}, ..." if near else ""
        raise InputError(f"timm has no model {name!r}{hint}")
    return timm
