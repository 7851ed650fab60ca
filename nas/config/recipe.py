"""What one training needs, without a search."""

from typing import Any

from pydantic import Field, field_validator

from nas.config.data import DataConfig
from nas.config.section import Section
from nas.config.training import TrainingConfig
from search_spaces.errors import InputError, shown


class Recipe(Section):
    """Data, training and evaluators of one training.

    ``nas train``, ``nas evaluate`` and an export need no more; a
    :class:`nas.config.SearchConfig` is a recipe with a space and a search around it.

    Attributes:
        seed: Seed of everything random that has none of its own.
        data: Images and splits.
        training: How a network is trained.
        evaluators: Options by evaluator name, or a list of names.
        plugins: Modules that register evaluators, block kinds or data sets when they
            are imported.
    """

    seed: int = Field(default=0, ge=0)
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    evaluators: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: dict[str, dict[str, Any]](accuracy={}, cost={})
    )
    plugins: list[str] = Field(default_factory=list)

    @field_validator("evaluators", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        if isinstance(value, list):
            for name in value:
                if not isinstance(name, str):
                    raise InputError(
                        "evaluators are names, or options by name; "
                        f"got {shown(name)} for a name"
                    )
            return {name: {} for name in value}
        if isinstance(value, dict):
            return {
                name: {} if options is None else options
                for name, options in value.items()
            }
        return value

    def to_dict(self) -> dict[str, Any]:
        """Every setting as plain data, defaults included."""
        return self.model_dump(mode="json")
