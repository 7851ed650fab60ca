"""The exported network as one Python file that needs only torch and timm.

timm builds a model from a directory with ``config.json`` and ``model.safetensors``,
but only if it knows the architecture by name. The file written here holds the code
of the network, copied from search_spaces, and registers it under the name
``alternet``; importing it is all that timm needs.
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.data.preprocessing import Preprocessing
from search_spaces import Architecture
from search_spaces.backbone import EXPANSION
from search_spaces.blocks import residual, strided_conv
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks import alternet

MODULE = "modeling_alternet"
NAME = "alternet"

HEADER = '''"""An AlterNet for timm, written by `nas export`. Importing it registers it.

    import modeling_alternet, timm
    model = timm.create_model("local-dir:DIRECTORY", pretrained=True).eval()
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

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

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map ``(batch, channels, height, width)``."""
        x = self.stem(x)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return x

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
def alternet(pretrained: bool = False, **kwargs: Any) -> TimmAlterNet:
    """The AlterNet that config.json describes."""
    return build_model_with_cfg(TimmAlterNet, "alternet", pretrained, **kwargs)
'''


def module_source(letters: str = "CM") -> str:
    """The text of the self-contained file.

    Args:
        letters: The kinds of blocks whose code it holds.
    """
    kinds = [block_kind(letter) for letter in sorted(set(letters))]
    copied: list[Callable[..., Any]] = [
        strided_conv.StridedConv1x1,
        residual.DropPath,
        residual.make_shortcut,
    ]
    for kind in kinds:
        copied += [*kind.needs, kind.block]
    copied += [alternet.Head, alternet.BlockRef, alternet.make_stem, alternet.AlterNet]
    objects = {one.__name__: one for one in copied}
    parts = [HEADER, f"EXPANSION = {EXPANSION!r}\n"]
    parts += ["\n" + inspect.getsource(one) for one in objects.values()]
    table = "".join(f'    "{kind.letter}": {kind.block.__name__},\n' for kind in kinds)
    parts.append(f"\nBLOCKS: dict[str, Any] = {{\n{table}}}\n")
    return "\n".join(parts) + FOOTER


def timm_config(
    architecture: Architecture, preprocessing: Preprocessing
) -> dict[str, Any]:
    """The ``config.json`` that goes with the weights.

    Args:
        architecture: The exported architecture.
        preprocessing: Its preprocessing.

    Returns:
        Plain data in the layout of timm and the Hugging Face hub.
    """
    stages: list[list[dict[str, Any]]] = [[] for _ in architecture.placement.stages]
    for spec in architecture.block_specs:
        block = {"letter": spec.letter, **block_kind(spec.letter).arguments(spec)}
        stages[spec.stage - 1].append(block)
    size = architecture.image_size
    return {
        "architecture": NAME,
        "num_classes": architecture.num_classes,
        "num_features": architecture.block_specs[-1].out_channels,
        "global_pool": "avg",
        "label_names": list(preprocessing.class_names),
        "model_args": {
            "stem_kind": architecture.alternet_backbone.stem,
            "stem_width": architecture.alternet_backbone.stem_width,
            "blocks": stages,
        },
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
            "first_conv": "stem.0",
            "classifier": "head.linear",
        },
    }


def write_timm(
    directory: Path, architecture: Architecture, preprocessing: Preprocessing
) -> None:
    """Write ``config.json`` and the module beside ``model.safetensors``.

    Args:
        directory: The export.
        architecture: The exported architecture.
        preprocessing: Its preprocessing.
    """
    config = timm_config(architecture, preprocessing)
    text = json.dumps(config, indent=1) + "\n"
    (directory / "config.json").write_text(text, encoding="utf-8")
    (directory / f"{MODULE}.py").write_text(
        module_source(architecture.placement.letters), encoding="utf-8"
    )
