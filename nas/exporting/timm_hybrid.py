"""What the exported module needs for placements of a timm model.

The model is built by timm itself, and the blocks of other kinds take the places of
its own: ``config.json`` says which, and how they are made.
"""

from typing import Any

from nas.exporting.formats import Exported
from search_spaces import InputError
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.hybrid import ACTIVATIONS, Activated, HybridNetwork
from search_spaces.networks.parent_backbone import ParentBackbone
from search_spaces.parents.network_name import is_network, parse_network

NAME = "alternet_hybrid"

COPIED = (Activated,)
"""Classes that the module holds besides the kinds of blocks."""

NAMES = (
    "ACTIVATIONS: dict[str, type[nn.Module]] = {\n"
    + "".join(f'    "{k}": nn.{v.__name__},\n' for k, v in ACTIVATIONS.items())
    + "}\n"
)
"""What these classes look up."""

FOOTER = '''

def make_hybrid(
    *, parent: str, replaced: list[dict[str, Any]], img_size: Any = None, **kwargs: Any
) -> nn.Module:
    """A model of timm with blocks of other kinds in some of its slots.

    Args:
        parent: Name of the model.
        replaced: Arguments of each block, with its letter, the name of the module that
            it replaces, and the activation that follows it.
        img_size: Not used: the blocks are made for the maps of the export's images.
        kwargs: Of timm, for the model.
    """
    given = {name: value for name, value in kwargs.items() if value is not None}
    model = timm.create_model(parent, pretrained=False, **given)
    for arguments in replaced:
        options = dict(arguments)
        module, activation = options.pop("module"), options.pop("activation")
        block = BLOCKS[options.pop("letter")](**options)
        holder, _, last = module.rpartition(".")
        model.get_submodule(holder).add_module(
            last, Activated(block, activation) if activation else block
        )
    return model


@register_model
def alternet_hybrid(
    pretrained: bool = False, feature_maps: int = 4, **kwargs: Any
) -> nn.Module:
    """The model of timm that config.json describes, with its other blocks."""
    # Not timm's own way to features, which takes a model apart by names.
    features = {"feature_cls": "getter", "out_indices": tuple(range(feature_maps))}
    return build_model_with_cfg(
        make_hybrid, "alternet_hybrid", pretrained, feature_cfg=features, **kwargs
    )
'''


def timm_model(backbone: object) -> tuple[str, dict[str, Any]] | None:
    """The timm model whose placements these are, ``None`` of other parents.

    Args:
        backbone: Of an architecture.

    Returns:
        Name of the model and its options.
    """
    if not isinstance(backbone, ParentBackbone) or backbone.is_whole:
        return None
    if not is_network(backbone.model):
        return None
    library, name, options = parse_network(backbone.model)
    return (name, options) if library == "timm" else None


def hybrid_config(exported: Exported) -> dict[str, Any]:
    """The parts of ``config.json`` that differ from an AlterNet's.

    Args:
        exported: A placement of a timm model.

    Raises:
        InputError: It is a placement of another parent.
    """
    architecture, network = exported.architecture, exported.model
    backbone = architecture.backbone
    found = timm_model(backbone)
    if found is None or not isinstance(network, HybridNetwork):
        what = getattr(backbone, "model", "an AlterNet")
        raise InputError(
            f"the format timm is for AlterNets and placements of timm models; the "
            f"parent is {what}; yaml, safetensors, onnx and pt2 can be written"
        )
    assert isinstance(backbone, ParentBackbone)
    replaced = [
        {
            "module": slot.name,
            "activation": slot.activation,
            "letter": spec.letter,
            **block_kind(spec.letter).arguments(spec),
        }
        for slot, spec in zip(backbone.slots, architecture.block_specs, strict=True)
        if spec.letter != "C"
    ]
    model: Any = network.model
    published = dict(model.pretrained_cfg)
    return {
        "architecture": NAME,
        "num_features": model.num_features,
        "model_args": {
            "parent": found[0],
            **found[1],
            "replaced": replaced,
            "feature_maps": len(model.feature_info),
        },
        "pretrained_cfg": {
            "first_conv": published.get("first_conv"),
            "classifier": published.get("classifier"),
        },
    }
