"""The exported network as one Python file that needs only torch and timm.

timm builds a model from a directory with ``config.json`` and ``model.safetensors``,
but only if it knows the architecture by name. The file written here holds the code
of the network, copied from search_spaces, and registers it under the names
``alternet`` and, for placements of timm's own models, ``alternet_hybrid``; importing it
is all that timm needs.
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.exporting import timm_hybrid
from nas.exporting.formats import Exported
from search_spaces import Architecture
from search_spaces.backbone import EXPANSION, Backbone
from search_spaces.blocks import residual, strided_conv
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks import alternet

MODULE = "modeling_alternet"
NAME = "alternet"

HEADER = '''"""AlterNets for timm, written by `nas export`. Importing it registers them.

    import modeling_alternet, timm
    model = timm.create_model("local-dir:DIRECTORY", pretrained=True).eval()

Feature maps for detection and segmentation:

    timm.create_model("local-dir:DIRECTORY", pretrained=True, features_only=True)
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

import timm
import torch
from timm.models import build_model_with_cfg, register_model
from torch import Tensor, nn
from torch.nn import functional

Stem = Literal["imagenet", "cifar", "patch2"]
'''

FOOTER = '''

class TimmAlterNet(AlterNet):
    """AlterNet with the methods that timm expects of a classifier.

    Args:
        stem_kind: Kind of the stem.
        stem_width: Channels after the stem.
        blocks: For each stage, the arguments of each block, and its letter.
        num_classes: Number of logits; 0 for features without a classifier.
        in_chans: Channels of the image.
        img_size: Height (= width) of the image; must be that of the export, because
            attention windows have to divide the feature maps.
        drop_path_rate: Probability to drop the last block's branch in training.
        global_pool: Only "avg", the pooling it was trained with.
    """

    def __init__(
        self,
        *,
        stem_kind: Stem,
        stem_width: int,
        blocks: list[list[dict[str, Any]]],
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: Any = None,
        drop_path_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        if global_pool != "avg":
            raise ValueError(f"AlterNet pools by 'avg' alone, got {global_pool!r}")
        last = max(1, sum(map(len, blocks)) - 1)
        built: list[list[Any]] = []
        index = 0
        for stage in blocks:
            built.append([])
            for arguments in stage:
                options = dict(arguments)
                kind = BLOCKS[options.pop("letter")]
                rate = drop_path_rate * index / last
                built[-1].append(kind(drop_path=rate, **options))
                index += 1
        width = blocks[-1][-1]["out_channels"]
        stem = make_stem(stem_kind, in_chans, stem_width)
        letters = ["".join(block["letter"] for block in stage) for stage in blocks]
        super().__init__(stem, built, letters, Head(width, num_classes or 1))
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = width
        if num_classes == 0:
            self.head.linear = nn.Identity()
        self.feature_info: list[dict[str, Any]] = []
        reduction = {"imagenet": 4, "cifar": 1, "patch2": 2}[stem_kind]
        for index, stage in enumerate(blocks):
            for block in stage:
                reduction *= block.get("stride", 1)
            width = stage[-1]["out_channels"]
            self.feature_info.append(
                {"num_chs": width, "reduction": reduction, "module": f"stages.{index}"}
            )

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map ``(batch, channels, height, width)``."""
        x = self.stem(x)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return x

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Images to the maps after stages, as timm's models give them.

        Args:
            x: Images ``(batch, channels, height, width)``.
            indices: Stages from 0; the last ones if it is a number, all if ``None``.
            norm: Normalise and activate the map of the last stage, as the head does.
            stop_early: Do not run the stages after the last one that is wanted.
            output_fmt: Only "NCHW".
            intermediates_only: Leave out the last feature map.

        Returns:
            The last feature map and the list of maps, or the list alone.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"maps are NCHW, got {output_fmt!r}")
        wanted = self._stage_indices(indices)
        maps = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            for block in stage:
                x = block(x)
            if index in wanted:
                last = index == len(self.feature_info) - 1
                maps.append(torch.relu(self.head.norm(x)) if norm and last else x)
            if stop_early and index == max(wanted):
                break
        return maps if intermediates_only else (x, maps)

    def prune_intermediate_layers(
        self,
        indices: int | Sequence[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Remove what the wanted maps do not need.

        Args:
            indices: See forward_intermediates.
            prune_norm: Remove the norm of the head.
            prune_head: Remove the classifier.

        Returns:
            The indices of the stages whose maps are wanted.
        """
        wanted = self._stage_indices(indices)
        del self.stages[max(wanted) + 1 :]
        if prune_norm:
            self.head.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0)
        return wanted

    def _stage_indices(self, indices: int | Sequence[int] | None) -> list[int]:
        number = len(self.feature_info)
        if indices is None:
            return list(range(number))
        if isinstance(indices, int):
            indices = range(number - indices, number)
        wanted = [i + number if i < 0 else i for i in indices]
        if not wanted or min(wanted) < 0 or max(wanted) >= number:
            raise ValueError(f"stages are 0 to {number - 1}, got {indices!r}")
        return wanted

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last feature map to logits, or to pooled features."""
        pooled = torch.relu(self.head.norm(x)).mean((-2, -1))
        return pooled if pre_logits else self.head.linear(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits ``(batch, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head.linear

    def reset_classifier(
        self, num_classes: int, global_pool: str | None = None
    ) -> None:
        """Put a new last layer in, with freshly drawn weights."""
        self.num_classes = num_classes
        self.head.linear = (
            nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        )


@register_model
def alternet(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """The AlterNet that config.json describes."""
    stages = kwargs.get("blocks", ())
    features = {"feature_cls": "getter", "out_indices": tuple(range(len(stages)))}
    return build_model_with_cfg(
        TimmAlterNet, "alternet", pretrained, feature_cfg=features, **kwargs
    )
'''


def module_source(letters: str = "") -> str:
    """The text of the self-contained file.

    Args:
        letters: The kinds of blocks whose code it holds, besides those of this project:
            the files of most exports are thus the same, and one program can load
            several.
    """
    kinds = [block_kind(letter) for letter in sorted({*"CMPS", *letters})]
    copied: list[Callable[..., Any]] = [
        strided_conv.StridedConv1x1,
        residual.DropPath,
        residual.make_shortcut,
    ]
    for kind in kinds:
        copied += [*kind.needs, kind.block]
    copied += [alternet.Head, alternet.BlockRef, alternet.make_stem, alternet.AlterNet]
    copied += timm_hybrid.COPIED
    objects = {one.__name__: one for one in copied}
    parts = [HEADER, f"EXPANSION = {EXPANSION!r}\n\n{timm_hybrid.NAMES}"]
    parts += ["\n" + inspect.getsource(one) for one in objects.values()]
    table = "".join(f'    "{kind.letter}": {kind.block.__name__},\n' for kind in kinds)
    parts.append(f"\nBLOCKS: dict[str, Any] = {{\n{table}}}\n")
    return "\n".join(parts) + FOOTER + timm_hybrid.FOOTER


def timm_config(exported: Exported) -> dict[str, Any]:
    """The ``config.json`` that goes with the weights.

    Args:
        exported: An AlterNet, or a placement of a timm model.

    Returns:
        Plain data in the layout of timm and the Hugging Face hub.

    Raises:
        InputError: It is a placement of another parent.
    """
    architecture, preprocessing = exported.architecture, exported.preprocessing
    if isinstance(architecture.backbone, Backbone):
        own = _alternet_config(architecture)
    else:
        own = timm_hybrid.hybrid_config(exported)
    size = architecture.image_size
    return {
        **own,
        "num_classes": architecture.num_classes,
        "label_names": list(preprocessing.class_names),
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [architecture.in_channels, size, size],
            "fixed_input_size": True,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "num_classes": architecture.num_classes,
            "pool_size": None,
            **own["pretrained_cfg"],
        },
    }


def _alternet_config(architecture: Architecture) -> dict[str, Any]:
    backbone = architecture.alternet_backbone
    stages: list[list[dict[str, Any]]] = [[] for _ in architecture.placement.stages]
    for spec in architecture.block_specs:
        block = {"letter": spec.letter, **block_kind(spec.letter).arguments(spec)}
        stages[spec.stage - 1].append(block)
    return {
        "architecture": NAME,
        "num_features": architecture.block_specs[-1].out_channels,
        "global_pool": "avg",
        "model_args": {
            "stem_kind": backbone.stem,
            "stem_width": backbone.stem_width,
            "blocks": stages,
        },
        "pretrained_cfg": {"first_conv": "stem.0", "classifier": "head.linear"},
    }


def write_timm(directory: Path, exported: Exported) -> None:
    """Write ``config.json`` and the module beside ``model.safetensors``.

    Args:
        directory: The export.
        exported: An AlterNet, or a placement of a timm model.

    Raises:
        InputError: It is a placement of another parent.
    """
    config = timm_config(exported)
    text = json.dumps(config, indent=1) + "\n"
    (directory / "config.json").write_text(text, encoding="utf-8")
    (directory / f"{MODULE}.py").write_text(
        module_source(exported.architecture.placement.letters), encoding="utf-8"
    )
