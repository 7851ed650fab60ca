import pytest
import torch
from torch.nn import functional

from search_spaces import ConvBlock, MSABlock
from search_spaces.blocks.residual import DropPath

SHAPES = [(8, 8, 1), (8, 16, 2), (8, 16, 1), (16, 16, 2)]


def norm(x, layer):
    return functional.batch_norm(
        x, layer.running_mean, layer.running_var, layer.weight, layer.bias
    )


def randomise(module):
    torch.manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
            torch.nn.init.normal_(layer.bias)
    return module.eval().double()


@pytest.mark.parametrize(("fan_in", "fan_out", "stride"), SHAPES)
def test_basic_block_written_out(fan_in, fan_out, stride):
    block = randomise(ConvBlock(fan_in, fan_out, bottleneck=False, stride=stride))
    x = torch.randn(2, fan_in, 6, 6, dtype=torch.float64)
    a = functional.relu(norm(x, block.norm1))
    first, norm2, _, second = block.branch
    b = functional.conv2d(a, first.weight, stride=stride, padding=1)
    b = functional.conv2d(functional.relu(norm(b, norm2)), second.weight, padding=1)
    skip = x
    if stride != 1 or fan_in != fan_out:
        skip = functional.conv2d(a, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), b + skip)


@pytest.mark.parametrize(("fan_in", "fan_out", "stride"), SHAPES)
def test_bottleneck_block_written_out(fan_in, fan_out, stride):
    block = randomise(ConvBlock(fan_in, fan_out, bottleneck=True, stride=stride))
    x = torch.randn(2, fan_in, 6, 6, dtype=torch.float64)
    a = functional.relu(norm(x, block.norm1))
    first, norm2, _, second, norm3, _, third = block.branch
    assert first.out_channels == fan_out // 4
    b = functional.conv2d(a, first.weight)
    b = functional.relu(norm(b, norm2))
    b = functional.conv2d(b, second.weight, stride=stride, padding=1)
    b = functional.conv2d(functional.relu(norm(b, norm3)), third.weight)
    skip = x
    if stride != 1 or fan_in != fan_out:
        skip = functional.conv2d(a, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), b + skip)


@pytest.mark.parametrize(("fan_in", "fan_out", "stride"), SHAPES)
@pytest.mark.parametrize("bottleneck", [False, True])
def test_msa_block_written_out(fan_in, fan_out, stride, bottleneck):
    block = randomise(
        MSABlock(
            fan_in,
            fan_out,
            bottleneck=bottleneck,
            heads=2,
            head_dim=3,
            window=2,
            stride=stride,
        )
    )
    x = torch.randn(2, fan_in, 8, 8, dtype=torch.float64)
    a = functional.gelu(norm(x, block.norm1))
    b = functional.conv2d(a, block.reduce.weight)
    assert b.shape[1] == fan_in // (4 if bottleneck else 1)
    b = norm(b, block.norm2)  # and no activation after it
    if stride == 2:
        b = functional.avg_pool2d(b, 2)
    b = block.attention(b)
    skip = x
    if stride != 1 or fan_in != fan_out:
        skip = functional.conv2d(a, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), b + skip)


@pytest.mark.parametrize("size", [7, 8])
def test_strided_conv_and_msa_agree_on_the_map(size):
    x = torch.randn(2, 8, size, size)
    conv = ConvBlock(8, 16, bottleneck=False, stride=2)
    msa = MSABlock(8, 16, bottleneck=False, heads=1, head_dim=4, window=4, stride=2)
    assert conv(x).shape == msa(x).shape == (2, 16, 4, 4)


@pytest.mark.parametrize("letter", "CM")
@pytest.mark.parametrize(("fan_in", "fan_out", "stride"), SHAPES)
def test_hooks_see_skip_and_branch(letter, fan_in, fan_out, stride):
    block = (
        ConvBlock(fan_in, fan_out, bottleneck=False, stride=stride)
        if letter == "C"
        else MSABlock(
            fan_in,
            fan_out,
            bottleneck=False,
            heads=1,
            head_dim=4,
            window=2,
            stride=stride,
        )
    ).eval()
    seen = {}
    for name in ("shortcut", "drop_path"):
        getattr(block, name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out})
        )
    out = block(torch.randn(2, fan_in, 8, 8))
    torch.testing.assert_close(out, seen["shortcut"] + seen["drop_path"])


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    torch.manual_seed(0)
    layer = DropPath(0.25)
    x = torch.ones(4000, 2, 3, 3)
    out = layer.train()(x)
    per_image = out.flatten(1)
    kept = per_image[:, 0] > 0
    torch.testing.assert_close(
        per_image[kept], torch.full_like(per_image[kept], 1 / 0.75)
    )
    assert (per_image[~kept] == 0).all()
    # 4 standard errors of a mean of 4000 Bernoulli draws
    assert abs(kept.float().mean() - 0.75) < 4 * (0.75 * 0.25 / 4000) ** 0.5
    assert layer.eval()(x) is x
