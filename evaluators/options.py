"""Checks of evaluators' options, with the messages a user sees."""

from search_spaces.errors import InputError


def require_at_least(owner: object, minimum: float, **values: float | None) -> None:
    """Check that options are not too small; ``None`` (no limit) passes.

    Args:
        owner: The evaluator, named in the message.
        minimum: Smallest allowed value.
        **values: Options by name.

    Raises:
        InputError: A value is smaller than the minimum or not a number.
    """
    for name, value in values.items():
        if value is not None and not value >= minimum:
            evaluator = getattr(owner, "name", type(owner).__name__)
            raise InputError(
                f"option {name!r} of evaluator {evaluator!r} must be at least "
                f"{minimum:g}, got {value!r}"
            )
