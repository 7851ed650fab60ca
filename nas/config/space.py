"""Section ``space``: what is searched."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from nas.config.section import Section
from search_spaces.backbone import Backbone
from search_spaces.errors import InputError
from search_spaces.yaml_text import read_yaml

if TYPE_CHECKING:  # what builds networks imports torch: only when it is asked for
    from search_spaces import Attention, LatencyTable, SearchSpace
    from search_spaces.networks.parent_backbone import ParentBackbone
    from search_spaces.spaces.constraints import Constraints


class SpaceConfig(Section):
    """The search space; see ``search_spaces.SearchSpace``.

    Attributes:
        kind: ``free`` or ``per_stage_count``.
        backbone: ``{preset: NAME, stem: STEM}``, or block, stem, depths and widths. In
            a study of another parent ``{parent: ...}``: the slots that were found.
        attention: ``heads``, ``head_dim``, ``window`` and ``size``.
        choices: Settings that are searched, each with a list of values per stage.
        constraints: ``min_``/``max_`` of ``msas``, ``msas_per_stage``, ``params``,
            ``macs`` and ``blocks`` (a mapping of letters to counts), and
            ``max_latency`` in seconds of a forward pass of a batch, estimated from
            ``latency_table``.
        kinds: Letters that a block may have, such as ``CM`` or ``CMPS``: one text for
            all stages or a list with one per stage; ``C`` comes first.
        strided_msas: Whether strided first blocks may be replaced.
        latency_table: Block times of the device that ``max_latency`` is about: a file
            that ``nas space CONFIG --measure-latency FILE.yaml`` wrote there. A
            study's own config holds the times themselves.
    """

    kind: Literal["free", "per_stage_count"] = "free"
    backbone: dict[str, Any] = Field(default_factory=lambda: {"preset": "tiny"})
    attention: dict[str, Any] = Field(default_factory=dict)
    choices: dict[str, list[list[int | Literal["auto"]]]] = Field(default_factory=dict)
    constraints: dict[str, int | float | dict[str, int] | None] = Field(
        default_factory=dict
    )
    kinds: str | list[str] = "CM"
    strided_msas: bool = False
    latency_table: dict[str, Any] | None = None

    @field_validator("backbone", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        value = {"preset": value} if isinstance(value, str) else value
        if isinstance(value, dict) and "preset" in value:
            Backbone.preset(value["preset"])  # a typo is told at once, without torch
        return value

    @field_validator("latency_table", mode="before")
    @classmethod
    def _read_table(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return read_yaml(value)
        except InputError as error:
            raise InputError(
                "space.latency_table must be a file of measured block times; "
                f"{value}: {error}",
                hint="nas space CONFIG --measure-latency FILE.yaml writes one",
            ) from error

    def check(self) -> None:
        """Check the parts on their own; whether they fit the images, `make` says.

        Raises:
            InputError: A key or value of a part is not allowed.
        """
        self.make_backbone()
        self.make_attention()
        self.make_constraints()
        self.make_latency_table()

    def make_backbone(self) -> "Backbone | ParentBackbone":
        """The backbone, checked."""
        from search_spaces.architecture import any_backbone_from_dict

        return any_backbone_from_dict(self.backbone)

    def make_attention(self) -> "Attention":
        """The attention settings, checked."""
        from search_spaces.architecture import attention_from_dict

        return attention_from_dict(self.attention)

    def make_constraints(self) -> "Constraints":
        """The constraints, checked."""
        from search_spaces.spaces.constraints import Constraints

        allowed = tuple(Constraints.__dataclass_fields__)
        for key in self.constraints:
            if key not in allowed:
                raise InputError(
                    f"constraints has no key {key!r}; allowed: {', '.join(allowed)}"
                )
        return Constraints(**self.constraints)  # type: ignore[arg-type]  # it checks

    def make_latency_table(self) -> "LatencyTable | None":
        """The latency table, checked."""
        from search_spaces import LatencyTable

        if self.latency_table is None:
            return None
        return LatencyTable.from_dict(self.latency_table)

    def make(
        self, num_classes: int, in_channels: int, image_size: int
    ) -> "SearchSpace":
        """The space for images of a given shape.

        Args:
            num_classes: Classes of the data set.
            in_channels: Channels of its images.
            image_size: Height (= width) of its images in pixels.

        Returns:
            The space.

        Raises:
            InputError: The parts do not fit together.
        """
        from search_spaces import KINDS

        return KINDS[self.kind](
            self.make_backbone(),
            self.make_attention(),
            self.choices,
            self.make_constraints(),
            self.strided_msas,
            num_classes,
            in_channels,
            image_size,
            self.make_latency_table(),
            self.kinds,
        )
