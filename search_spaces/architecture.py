"""The value that alone determines a network, and its YAML form.

``alternet/1`` is an AlterNet; ``alternet/2`` a placement of another parent, whose
weights travel beside the file.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from search_spaces.backbone import Backbone
from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.cost import network_cost
from search_spaces.errors import InputError, shown
from search_spaces.kinds.attention import Attention
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.limits import MAX_CLASSES, MAX_SIZE
from search_spaces.networks.parent_backbone import ParentBackbone
from search_spaces.placement import Placement
from search_spaces.yaml_text import parse_yaml, read_text

if TYPE_CHECKING:
    from search_spaces.networks.alternet import AlterNet

FORMAT = "alternet/1"
PARENT_FORMAT = "alternet/2"


@dataclass(frozen=True, eq=False)
class Architecture:
    """Backbone, placement, attention settings and data shape.

    Two architectures are equal if they build the same network: the name of a
    preset, and attention settings of stages without an MSA, do not count. Nothing here
    needs torch but :meth:`build`.

    Attributes:
        backbone: Stem, block kind, widths and strides; or the slots of a parent that
            is no AlterNet.
        placement: One letter per block; gives the depth of each stage.
        attention: Settings of the MSA blocks; stored with one value per stage.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.

    Raises:
        InputError: The parts do not fit together.
    """

    backbone: Backbone | ParentBackbone
    placement: Placement
    attention: Attention = field(default_factory=Attention)
    num_classes: int = 1000
    in_channels: int = 3
    image_size: int = 224

    def __post_init__(self) -> None:
        for what in ("num_classes", "in_channels", "image_size"):
            value = getattr(self, what)
            if type(value) is not int or value < 1:
                raise InputError(
                    f"{what} is a positive whole number, got {shown(value)}"
                )
            most = MAX_CLASSES if what == "num_classes" else MAX_SIZE
            if value > most:
                raise InputError(f"{what} is at most {most}, got {value}")
        num_stages = self.backbone.num_stages
        if len(self.placement.stages) != num_stages:
            raise InputError(
                f"a placement needs one stage for each of the backbone's {num_stages}; "
                f"got {len(self.placement.stages)}: {self.placement}"
            )
        attention = self.attention.per_stage(num_stages, self.backbone.auto_heads)
        object.__setattr__(self, "attention", attention)
        self.block_specs  # noqa: B018  (checks sizes and windows)

    @cached_property
    def block_specs(self) -> tuple[BlockSpec, ...]:
        """Shapes of every block, in the order of the forward pass."""
        specs = []
        slots = self.backbone.slot_specs(self.image_size, self.placement.depths)
        for slot, letter in zip(slots, self.placement.letters, strict=True):
            spec = slot._replace(letter=letter)
            attention = self.attention.stage(spec.stage)
            settings = block_kind(letter).settings(spec, attention)
            specs.append(spec._replace(settings=tuple(settings.items())))
        return tuple(specs)

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits; equal for, and only for, equal networks.

        The hash is over the settings of each block's kind. Placements of Conv and MSA
        blocks alone keep the hash over positions that studies were recorded with.
        """
        first_version = set(self.placement.letters) <= {"C", "M"}
        row = _positional_row if first_version else _named_row
        canonical: dict[str, Any] = {
            "blocks": [row(spec) for spec in self.block_specs],
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "image_size": self.image_size,
        }
        if isinstance(self.backbone, Backbone):
            canonical["block"] = self.backbone.block
            canonical["stem"] = self.backbone.stem
        else:
            canonical["parent"] = self.backbone.to_dict()
        if not first_version:
            canonical["version"] = 2
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @cached_property
    def cost(self) -> Cost:
        """Parameters, and MACs of one image; exact, without building the network."""
        return network_cost(
            self.backbone,
            self.block_specs,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            image_size=self.image_size,
        )

    @property
    def alternet_backbone(self) -> Backbone:
        """The backbone of an AlterNet.

        Raises:
            InputError: It is a placement of another parent.
        """
        if not isinstance(self.backbone, Backbone):
            raise InputError(
                f"this is for AlterNets ({FORMAT}); a placement of "
                f"{self.backbone.model} is {PARENT_FORMAT}"
            )
        return self.backbone

    @property
    def params(self) -> int:
        """Number of trainable parameters, counted without building them."""
        return self.cost.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image, counted without building the net."""
        return self.cost.macs

    def build(self, drop_path: float = 0.0) -> "AlterNet":
        """Build the network with freshly drawn weights (PyTorch's default init).

        Args:
            drop_path: Probability to drop the last block's branch during training;
                it rises linearly from 0 at the first block (``sds`` in
                models/alternet.py).

        Returns:
            The network, in training mode.
        """
        if not isinstance(self.backbone, Backbone):
            raise InputError(
                f"a placement of {self.backbone.model} is built by its parent: "
                "search_spaces.draw_network(architecture)"
            )
        from search_spaces.networks.alternet import AlterNet, Head, make_stem

        last = max(1, self.placement.num_blocks - 1)
        stages: list[list[Any]] = [[] for _ in self.placement.stages]
        for index, spec in enumerate(self.block_specs):
            rate = drop_path * index / last
            block = block_kind(spec.letter).build(spec, drop_path=rate)
            stages[spec.stage - 1].append(block)
        stem = make_stem(self.backbone.stem, self.in_channels, self.backbone.stem_width)
        head = Head(self.block_specs[-1].out_channels, self.num_classes)
        return AlterNet(stem, stages, self.placement.stages, head)

    def _repr_html_(self) -> str:
        """The diagram of the placement, for notebooks."""
        from search_spaces.diagram import to_svg

        return to_svg(self.placement)

    def to_dict(self) -> dict[str, Any]:
        """Its file as plain data; the inverse of :meth:`from_dict`."""
        attention: dict[str, Any] = {
            what: list(getattr(self.attention, what))
            for what in ("heads", "head_dim", "window")
        }
        for spec in self.block_specs:
            if block_kind(spec.letter).uses_attention:  # what auto decided
                window = spec.setting("window")
                attention["window"][spec.stage - 1] = window
        if self.attention.size != "reference":
            attention["size"] = self.attention.size
        kind: dict[str, Any] = {"format": FORMAT, "backbone": backbone_to_dict(self)}
        if not isinstance(self.backbone, Backbone):
            kind = {"format": PARENT_FORMAT, "parent": self.backbone.to_dict()}
        return {
            **kind,
            "placement": str(self.placement),
            "attention": attention,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "image_size": self.image_size,
        }

    @classmethod
    def from_dict(cls, data: Any) -> "Architecture":
        """Read the ``alternet/1`` or ``alternet/2`` form.

        Args:
            data: A mapping as :meth:`to_dict` writes it; attention and
                in_channels may be left out.

        Returns:
            The architecture.

        Raises:
            InputError: A key is missing or unknown, or a value does not fit.
        """
        data = _mapping("an architecture", data)
        if data.get("format") not in (FORMAT, PARENT_FORMAT):
            raise InputError(
                f"an architecture file starts with 'format: {FORMAT}' (or "
                f"{PARENT_FORMAT}: another parent), "
                f"got format {shown(data.get('format'))}"
            )
        parent = "backbone" if data["format"] == FORMAT else "parent"
        allowed = (
            "format", parent, "placement", "attention",
            "num_classes", "in_channels", "image_size",
        )  # fmt: skip
        _check_keys("an architecture", data, allowed)
        for key in (parent, "placement", "num_classes", "image_size"):
            if key not in data:
                raise InputError(
                    f"an architecture needs the key {key!r}; got {', '.join(data)}"
                )
        placement = Placement.parse(data["placement"])
        return cls(
            backbone=backbone_from_dict(data["backbone"], placement.depths)
            if parent == "backbone"
            else ParentBackbone.from_dict(data["parent"]),
            placement=placement,
            attention=attention_from_dict(data.get("attention", {})),
            num_classes=data["num_classes"],
            in_channels=data.get("in_channels", 3),
            image_size=data["image_size"],
        )

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The ``alternet/1`` text, also written to a file if one is named.

        Args:
            path: File to write.

        Returns:
            The YAML text.
        """
        text = yaml.safe_dump(
            self.to_dict(), sort_keys=False, default_flow_style=None, width=88
        )
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_yaml(cls, source: str | Path) -> "Architecture":
        """Read an ``alternet/1`` file, or its text.

        Args:
            source: A path, or YAML text (text has a line break, a path has none).

        Returns:
            The architecture.

        Raises:
            InputError: The file cannot be read or is not an architecture.
        """
        where = "the text"
        text = str(source)
        if isinstance(source, Path) or "\n" not in source:
            where = str(source)
            try:
                text = read_text(source)
            except InputError as error:
                raise InputError(
                    f"an architecture file must be readable: {where}: {error}"
                ) from error
        try:
            data = parse_yaml(text)
        except InputError as error:
            raise InputError(
                f"an architecture file must be YAML: {where}: {error}"
            ) from error
        try:
            return cls.from_dict(data)
        except InputError as error:
            raise error.within(where) from error


def _positional_row(spec: BlockSpec) -> list[Any]:
    """A block in version 1 of the id: positions, attention settings last."""
    attention = [spec.setting(name) for name in ("heads", "head_dim", "window")]
    return [*spec[:8], *attention]


def _named_row(spec: BlockSpec) -> list[Any]:
    """A block in version 2 of the id: positions, then the kind's own settings."""
    return [*spec[:8], dict(spec.settings)]


def backbone_to_dict(architecture: Architecture) -> dict[str, Any]:
    """A backbone as plain data, with the depths of a placement.

    Args:
        architecture: What has it.
    """
    backbone = architecture.backbone
    if not isinstance(backbone, Backbone):
        return {"parent": backbone.to_dict()}
    if backbone.name:
        return {"preset": backbone.name, "stem": backbone.stem}
    return {
        "block": backbone.block,
        "stem": backbone.stem,
        "depths": list(architecture.placement.depths),
        "widths": list(backbone.widths),
        "strides": list(backbone.strides),
    }


def any_backbone_from_dict(data: Any) -> Backbone | ParentBackbone:
    """Read a backbone, or ``{parent: ...}``: the slots of a parent.

    Args:
        data: Section ``space.backbone`` of a config.

    Raises:
        InputError: A key is missing or unknown, or a value is not allowed.
    """
    if isinstance(data, dict) and "parent" in data:
        _check_keys("a backbone from a parent", data, ("parent",))
        return ParentBackbone.from_dict(data["parent"])
    return backbone_from_dict(data)


def backbone_from_dict(data: Any, depths: tuple[int, ...] | None = None) -> Backbone:
    """Read a backbone: a preset (optionally with another stem), or all its parts.

    Args:
        data: ``{preset, stem}`` or ``{block, stem, depths, widths, strides}``.
        depths: Depths to use where the mapping gives none.

    Returns:
        The backbone.

    Raises:
        InputError: A key is missing or unknown, or a value is not allowed.
    """
    if isinstance(data, str):
        data = {"preset": data}
    data = _mapping("a backbone", data)
    if "preset" in data:
        _check_keys("a backbone preset", data, ("preset", "stem"))
        return Backbone.preset(data["preset"], data.get("stem"))
    _check_keys("a backbone", data, ("block", "stem", "depths", "widths", "strides"))
    if depths is not None:
        given = data.get("depths", list(depths))
        if not isinstance(given, list) or tuple(given) != depths:
            raise InputError(
                "depths of a backbone must be those of the placement "
                f"{list(depths)}, got {given!r}"
            )
        data = {**data, "depths": depths}
    for key in ("block", "stem", "depths", "widths"):
        if key not in data:
            raise InputError(
                f"a backbone needs a preset, or block, stem, depths and widths; "
                f"{key!r} is missing"
            )
    return Backbone(
        data["block"],
        data["stem"],
        data["depths"],
        data["widths"],
        data.get("strides", ()),
    )


def attention_from_dict(data: Any) -> Attention:
    """Read attention settings; every key is optional.

    Args:
        data: ``{heads, head_dim, window, size}``.

    Returns:
        The settings.

    Raises:
        InputError: A key is unknown or a value is not allowed.
    """
    data = _mapping("attention", data)
    _check_keys("attention", data, ("heads", "head_dim", "window", "size"))
    return Attention(**data)


def _mapping(what: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(
            f"{what} is a mapping of keys to values, got {type(data).__name__}"
        )
    return data


def _check_keys(what: str, data: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for key in data:
        if key not in allowed:
            raise InputError(
                f"{what} has no key {key!r}; allowed: {', '.join(allowed)}"
            )
