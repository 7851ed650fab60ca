"""Small AlterNets with lived-in weights, and data, for tests of evaluators."""

import torch
from torch import nn

from evaluators.blocks.listening import listening
from evaluators.data import EvaluationData, ImageSet
from search_spaces import Architecture, Attention, Backbone, Placement
from search_spaces.networks.block_chain import BlockChain


def alternet(
    placement: str = "CM-CMC", image_size: int = 16, in_channels: int = 3
) -> nn.Module:
    """An AlterNet whose norms are not at their initial values, in eval mode."""
    parsed = Placement.parse(placement)
    num_stages = len(parsed.stages)
    architecture = Architecture(
        backbone=Backbone(
            block="basic",
            stem="patch2",
            depths=tuple(parsed.depths),
            widths=(8, 12, 16)[:num_stages],
        ),
        placement=parsed,
        attention=Attention(heads=2, head_dim=4, window=2),
        num_classes=4,
        in_channels=in_channels,
        image_size=image_size,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = architecture.build()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        net.eval()
        # Spread the logits: an untrained head predicts one class for all images.
        nn.init.normal_(net.head.linear.weight, std=3.0)
        with torch.no_grad():
            noise = (torch.rand(64, in_channels, image_size, image_size) - 0.5) / 0.25
            net.head.linear.bias -= net(noise).mean(0)
    return net


def random_data(
    num_images: int = 40, image_size: int = 16, num_classes: int = 4, seed: int = 0
) -> EvaluationData:
    """Noise images with random labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(num_images, 3, image_size, image_size, generator=generator)
    labels = torch.randint(num_classes, (num_images,), generator=generator)
    split = ImageSet(images, labels, mean=(0.5,) * 3, std=(0.25,) * 3)
    return EvaluationData(train=split, validation=split, weight_decay=1e-4)


def walk(net: nn.Module, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    """Before, after and branch of each AlterNet block, without hooks or chain."""
    tensors = []
    with torch.no_grad():
        x = net.stem(images)
        for block in (b for stage in net.stages for b in stage):
            active = block.norm1(x)
            kind = type(block).__name__
            active = active.relu() if kind == "ConvBlock" else nn.GELU()(active)
            identity = isinstance(block.shortcut, nn.Identity)
            before = x if identity else block.shortcut(active)
            after = block(x)
            tensors.append({"before": before, "after": after, "branch": after - before})
            x = after
    return tensors


def read_all(
    model: nn.Module, chain: BlockChain, images: torch.Tensor
) -> tuple[dict[tuple[int, str], torch.Tensor], torch.Tensor]:
    """What the taps of a chain see during one forward pass, and its output."""
    taps = []
    for index, block in enumerate(chain.blocks):
        taps += [((index, "before"), block.before), ((index, "after"), block.after)]
        if block.branch is not None:
            taps.append(((index, "branch"), block.branch))
    seen: dict[tuple[int, str], torch.Tensor] = {}
    with (
        torch.no_grad(),
        listening(taps, lambda key, x: seen.__setitem__(key, x.clone())),
    ):
        output = model(images)
    return seen, output
