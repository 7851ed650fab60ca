"""Section ``scoring``: how a candidate gets its metrics."""

from typing import Any

from pydantic import ConfigDict, Field

from nas.config.section import Section


class ScoringConfig(Section):
    """How a candidate gets its metrics.

    Attributes:
        kind: ``scratch`` trains every candidate from freshly drawn weights;
            ``recorded`` looks it up in a finished table; ``distilled`` puts the blocks
            of a library into the trained CNN of section ``parent``; ``finetune`` trains
            on from there; ``two_step`` scores the space, then fine-tunes a part of it;
            ``supernet`` reads it off networks that all candidates share. Further keys
            are the options of the kind, e.g. ``table`` of ``recorded``.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    kind: str = Field(default="scratch", min_length=1)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the kind."""
        return dict(self.__pydantic_extra__ or {})
