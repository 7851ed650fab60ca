"""A small vision transformer whose attention can be kept to a neighbourhood.

Dosovitskiy et al. (2021), pre-norm, with the mean over all tokens in front of the
classifier in place of a CLS token: every token then has a place in the image, so that
"near" is defined for all of them. The paper's question of section 2 (is it the long
range that helps?) needs one network with the same weights, parameters and MACs for
every reach of the attention; its own Conv-ViT (models/convit.py) computes q, k and v
of k x k windows. Here the attention is dense and masked, which is the same function.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.blocks.residual import DropPath
from search_spaces.errors import InputError


def neighbourhood_mask(side: int, reach: int) -> Tensor:
    """Which tokens each token may look at.

    Args:
        side: Height (= width) of the map of tokens.
        reach: Odd side length of the neighbourhood that a token is in the middle of; it
            ends at the border of the map.

    Returns:
        ``(side * side, side * side)`` of bool; row: the token that looks.
    """
    place = torch.arange(side * side)
    row, column = place // side, place % side
    near_rows = (row[:, None] - row).abs() <= reach // 2
    return near_rows & ((column[:, None] - column).abs() <= reach // 2)


class NeighbourhoodAttention(nn.Module):
    """Multi-head self-attention of a map of tokens.

    Args:
        width: Channels of a token.
        heads: Number of heads; divides the width.
        mask: See :func:`neighbourhood_mask`; ``None``: every token sees all.
    """

    mask: Tensor | None

    def __init__(self, width: int, heads: int, mask: Tensor | None) -> None:
        super().__init__()
        self.heads = heads
        # No bias, as in the paper's CIFAR baselines (qkv_bias False).
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)
        # Follows from the settings, so no file of weights holds it.
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens.

        Args:
            x: ``(batch, tokens, width)``.

        Returns:
            ``(batch, tokens, width)``.
        """
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, dim)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=self.mask
        )
        return cast(Tensor, self.proj(mixed.transpose(1, 2).reshape(x.shape)))


class TransformerLayer(nn.Module):
    """``x + attention(norm1(x))``, then ``x + mlp(norm2(x))``.

    Args:
        width: Channels of a token.
        heads: Number of heads.
        mlp_ratio: Hidden channels of the MLP as a multiple of the width.
        mask: See :func:`neighbourhood_mask`.
        drop_path: Probability to drop each branch during training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: int,
        mask: Tensor | None,
        drop_path: float,
    ) -> None:
        super().__init__()
        # The names are timm's, so that evaluators find the blocks of both.
        self.norm1 = nn.LayerNorm(width)
        self.attn = NeighbourhoodAttention(width, heads, mask)
        self.drop_path1 = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width),
            nn.GELU(),
            nn.Linear(mlp_ratio * width, width),
        )
        self.drop_path2 = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both blocks to ``(batch, tokens, width)``."""
        x = x + self.drop_path1(self.attn(self.norm1(x)))
        return cast(Tensor, x + self.drop_path2(self.mlp(self.norm2(x))))


class ViT(nn.Module):
    """Patches, transformer layers, mean over the tokens, linear classifier.

    Args:
        image_size: Height (= width) of the image in pixels.
        in_channels: Channels of the image.
        num_classes: Number of logits.
        patch: Height (= width) of a patch in pixels; divides the image size.
        width: Channels of a token.
        depth: Transformer layers.
        heads: Heads of each; divides the width.
        mlp_ratio: Hidden channels of the MLP over the width (4: Dosovitskiy et al.).
        reach: Odd side length of the neighbourhood of tokens that attention sees;
            ``None``: all.
        drop_path: Probability to drop the last layer's branches in training; rises
            linearly from 0.

    Raises:
        InputError: The numbers do not fit together.
    """

    def __init__(
        self,
        *,
        image_size: int,
        in_channels: int,
        num_classes: int,
        patch: int,
        width: int = 64,
        depth: int = 6,
        heads: int = 2,
        mlp_ratio: int = 4,
        reach: int | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        counts = {
            "patch": patch, "width": width, "depth": depth, "heads": heads,
            "mlp_ratio": mlp_ratio,
        }  # fmt: skip
        for name, value in counts.items():
            if type(value) is not int or value < 1:
                raise InputError(
                    f"{name} of a vit is a positive whole number, got {value!r}"
                )
        if image_size % patch:
            raise InputError(
                "patch of a vit divides the image size, got "
                f"{patch} and {image_size} px"
            )
        if width % heads:
            raise InputError(
                f"heads of a vit divide its width, got {heads} and {width}"
            )
        is_odd = type(reach) is int and reach > 0 and reach % 2 == 1
        if reach is not None and not is_odd:
            raise InputError(
                "reach of a vit is an odd number of tokens (3: the 3x3 neighbourhood), "
                f"or left out for global attention; got {reach!r}"
            )
        side = image_size // patch
        # A reach that covers the map from every corner is global attention: the same
        # kernel then, too.
        is_global = reach is None or reach >= 2 * side - 1
        mask = None if is_global else neighbourhood_mask(side, cast(int, reach))
        self.patch_embed = nn.Conv2d(in_channels, width, patch, patch)
        self.pos_embed = nn.Parameter(torch.empty(1, side * side, width))
        last = max(1, depth - 1)
        self.blocks = nn.ModuleList(
            TransformerLayer(width, heads, mlp_ratio, mask, drop_path * index / last)
            for index in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):  # as in timm's and the paper's ViT
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Classify images.

        Args:
            x: ``(batch, in_channels, image_size, image_size)``.

        Returns:
            Logits ``(batch, num_classes)``.
        """
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        for layer in self.blocks:
            tokens = layer(tokens)
        return cast(Tensor, self.head(self.norm(tokens).mean(1)))
