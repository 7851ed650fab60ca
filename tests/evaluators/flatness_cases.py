"""Small networks with attention, data, and the dense Hessian they are judged by."""

import copy
import functools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.data import EvaluationData, ImageSet


class TinyAttention(nn.Module):
    """Self-attention over pixels with a position bias, through SDPA."""

    def __init__(self, channels: int, num_tokens: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.bias = nn.Parameter(0.1 * torch.randn(1, 1, num_tokens, num_tokens))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        qkv = self.qkv(tokens).view(batch, -1, 3, 2, channels // 2)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=self.bias
        )
        mixed = mixed.transpose(1, 2).reshape(batch, -1, channels)
        return self.out(mixed).transpose(1, 2).view(batch, channels, height, width)


class TinyNet(nn.Module):
    """Conv, BN, attention, linear: a few hundred weights."""

    def __init__(self, channels: int = 6, num_classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.attention = TinyAttention(channels, 16)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.norm(self.conv(x)))
        x = x + self.attention(x)
        return self.head(x.mean((2, 3)))


def flip(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Flip each image left to right with probability one half."""
    coin = torch.rand(len(pixels), generator=generator) < 0.5
    return torch.where(coin.view(-1, 1, 1, 1), pixels.flip(3), pixels)


def make_data(
    num_images: int = 64,
    num_classes: int = 4,
    weight_decay: float = 0.0,
    augment: bool = True,
) -> EvaluationData:
    """Random 8x8 images whose class shifts the brightness of a quadrant."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(num_classes, (num_images,), generator=generator)
    images = torch.rand(num_images, 3, 8, 8, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.5
    images = (images / 1.5 * 255).to(torch.uint8)
    split = ImageSet(images, labels, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    return EvaluationData(
        split, split, flip if augment else None, weight_decay=weight_decay
    )


def make_net(steps: int = 30, seed: int = 0) -> TinyNet:
    """A TinyNet trained for a few steps, so that its Hessian has both signs."""
    return copy.deepcopy(_trained(steps, seed))


@functools.cache
def _trained(steps: int, seed: int) -> TinyNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = TinyNet()
        data = make_data()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        images, labels = data.train.batch(slice(None), torch.device("cpu"))
        net.train()
        for _ in range(steps):
            optimizer.zero_grad()
            functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
        optimizer.zero_grad()
    return net.eval()


def dense_hessian(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The float64 Hessian of the NLL, forward-over-reverse on a flat vector.

    The code under test is reverse-over-reverse, one product at a time.
    """
    trainable = {n: p for n, p in net.named_parameters() if p.requires_grad}
    sizes = [p.numel() for p in trainable.values()]
    flat = torch.cat([p.detach().double().flatten() for p in trainable.values()])
    rest = {
        n: t.detach().double() if t.is_floating_point() else t
        for n, t in (*net.named_parameters(), *net.named_buffers())
        if n not in trainable
    }

    def nll(vector: Tensor) -> Tensor:
        parts = torch.split(vector, sizes)
        state = {
            n: part.view_as(p)
            for (n, p), part in zip(trainable.items(), parts, strict=True)
        }
        logits = torch.func.functional_call(net, {**rest, **state}, images.double())
        return functional.cross_entropy(logits, labels)

    backends = [torch.nn.attention.SDPBackend.MATH]
    with torch.nn.attention.sdpa_kernel(backends):
        return torch.func.hessian(nll)(flat).detach()


def share_up_to(density, positions):
    """Share of a spectral density's eigenvalues up to each position ``(num,)``.

    Half of a node's mass counts at the node itself: Gauss quadrature brackets the true
    distribution function by the sums without and with the node.
    """
    total = np.concatenate([[0.0], np.cumsum(density.weights)])
    below = total[np.searchsorted(density.nodes, positions, side="left")]
    upto = total[np.searchsorted(density.nodes, positions, side="right")]
    return (below + upto) / 2
