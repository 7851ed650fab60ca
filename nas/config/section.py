"""What all sections of a config have in common."""

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """Base of all sections: immutable, an unknown key is an error, numbers are finite.

    YAML 1.1 reads a bare ``on`` or ``off`` as a boolean. Where a setting is one of
    several words, a boolean is taken for the word that was written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _switches(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        words = {True: "on", False: "off"}
        return {
            key: words[value]
            if isinstance(value, bool) and _is_switch(cls, key)
            else value
            for key, value in values.items()
        }


def _is_switch(section: type[BaseModel], key: Any) -> bool:
    """Whether a setting is one of several words that include ``on`` or ``off``."""
    field = section.model_fields.get(key) if isinstance(key, str) else None
    if field is None or get_origin(field.annotation) is not Literal:
        return False
    return not {"on", "off"}.isdisjoint(get_args(field.annotation))
