"""Block chains of timm and torchvision models, split as the paper splits them.

MSA and MLP of a transformer layer are two blocks (fourier_analysis.ipynb lists
``Residual(norm1, attn)`` and ``Residual(norm2, mlp)``), tokens become maps and the
CLS token is dropped; a residual block of a ResNet or a ConvNeXt is one block.
Unlike the notebook nothing is rebuilt or set to Identity: the tensors are read
where the model itself produces them. Neither library is imported here; adapters
are found by the class names of the model.
"""

from collections.abc import Callable, Iterable

from torch import nn

from search_spaces.errors import InputError
from search_spaces.networks.block_chain import (
    BlockChain,
    ChainBlock,
    MapForm,
    Tap,
    Tokens,
    channels_last,
)

Adapter = Callable[[nn.Module], BlockChain]


def foreign_chain(model: nn.Module) -> BlockChain | None:
    """Split a timm or torchvision model into blocks.

    Args:
        model: Any network.

    Returns:
        Its chain, or ``None`` if no adapter knows the model's class or one of its
        base classes.
    """
    for ancestor in type(model).__mro__:
        adapter = _ADAPTERS.get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if adapter is not None:
            return adapter(model)
    return None


def known_models() -> list[str]:
    """Names of the model classes that have an adapter."""
    return sorted(
        f"{name.partition('.')[0]} {name.rpartition('.')[2]}" for name in _ADAPTERS
    )


def _children(module: object) -> list[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Module):
        raise InputError(f"expected a module that holds blocks, got {module!r}")
    return list(module.named_children())


def _transformer_layer(
    name: str, layer: nn.Module, stage: int, outer: MapForm, inner: MapForm
) -> Iterable[ChainBlock]:
    """MSA and MLP of ``x + drop_path1(attn(norm1(x)))``, ``x + drop_path2(...)``.

    Args:
        name: Module name of the layer.
        layer: Has ``norm1``, ``drop_path1``, ``norm2``, ``drop_path2``.
        stage: Stage of the layer.
        outer: Form of the layer's input and output and of the MSA branch.
        inner: Form of the MLP's input and branch.

    Yields:
        The MSA block, then the MLP block.

    Raises:
        InputError: The layer is built otherwise.
    """
    parts = dict(layer.named_children())
    wanted = ("norm1", "drop_path1", "norm2", "drop_path2")
    if any(part not in parts for part in wanted):
        raise InputError(
            f"{name} must be a pre-norm layer with {', '.join(wanted)}, got a "
            f"{type(layer).__name__} with {', '.join(parts)}"
        )
    middle = Tap(parts["norm2"], "input", inner)
    yield ChainBlock(
        name=f"{name}:msa",
        kind="msa",
        stage=stage,
        module=layer,
        before=Tap(parts["norm1"], "input", outer),
        after=middle,
        branch=Tap(parts["drop_path1"], "output", outer),
    )
    yield ChainBlock(
        name=f"{name}:mlp",
        kind="mlp",
        stage=stage,
        module=layer,
        before=middle,
        after=Tap(layer, "output", outer),
        branch=Tap(parts["drop_path2"], "output", inner),
    )


def _vit(model: nn.Module) -> BlockChain:
    prefix = getattr(model, "num_prefix_tokens", 0)
    form = Tokens(int(prefix))
    return BlockChain(
        tuple(
            block
            for index, layer in _children(model.blocks)
            for block in _transformer_layer(f"blocks.{index}", layer, 1, form, form)
        )
    )


def _swin(model: nn.Module) -> BlockChain:
    return BlockChain(
        tuple(
            block
            for stage, (name, holder) in enumerate(_children(model.layers), 1)
            for index, layer in _children(holder.blocks)
            for block in _transformer_layer(
                f"layers.{name}.blocks.{index}", layer, stage, channels_last, Tokens()
            )
        )
    )


def _pit(model: nn.Module) -> BlockChain:
    # `num_tokens` counts the CLS and, in distilled models, the distillation token.
    form = Tokens(int(getattr(model, "num_tokens", 1)))
    return BlockChain(
        tuple(
            block
            for stage, (name, holder) in enumerate(_children(model.transformers), 1)
            for index, layer in _children(holder.blocks)
            for block in _transformer_layer(
                f"transformers.{name}.blocks.{index}", layer, stage, form, form
            )
        )
    )


def _resnet(model: nn.Module) -> BlockChain:
    """Blocks of ``act(bn(...) + shortcut)``; *after* includes the activation."""
    blocks = []
    for stage in range(1, 5):
        for index, block in _children(getattr(model, f"layer{stage}")):
            parts = dict(block.named_children())
            # The last of these that the block has is the last step of its branch.
            branch = [
                parts[name]
                for name in ("bn2", "bn3", "se", "drop_path")
                if name in parts
            ][-1]
            downsample = parts.get("downsample")
            before = Tap(downsample) if downsample else Tap(block, "input")
            blocks.append(
                ChainBlock(
                    name=f"layer{stage}.{index}",
                    kind="conv",
                    stage=stage,
                    module=block,
                    before=before,
                    after=Tap(block),
                    branch=Tap(branch),
                )
            )
    return BlockChain(tuple(blocks))


def _convnext(model: nn.Module) -> BlockChain:
    return BlockChain(
        tuple(
            ChainBlock(
                name=f"stages.{name}.blocks.{index}",
                kind="conv",
                stage=stage,
                module=block,
                before=Tap(dict(block.named_children())["shortcut"]),
                after=Tap(block),
                branch=Tap(dict(block.named_children())["drop_path"]),
            )
            for stage, (name, holder) in enumerate(_children(model.stages), 1)
            for index, block in _children(holder.blocks)
        )
    )


_ADAPTERS: dict[str, Adapter] = {
    "search_spaces.networks.vit.ViT": _vit,
    "timm.models.vision_transformer.VisionTransformer": _vit,
    "timm.models.swin_transformer.SwinTransformer": _swin,
    "timm.models.pit.PoolingVisionTransformer": _pit,
    "timm.models.resnet.ResNet": _resnet,
    "timm.models.convnext.ConvNeXt": _convnext,
    "torchvision.models.resnet.ResNet": _resnet,
}
