"""The chain of blocks of each known model adds up to the model itself."""

import pytest
import torch
import torchvision
from block_cases import read_all
from torch import nn

from search_spaces.errors import InputError
from search_spaces.networks.chain_of import chain_of
from search_spaces.networks.foreign_chains import foreign_chain

timm = pytest.importorskip("timm")

from timm.models.convnext import ConvNeXt  # noqa: E402
from timm.models.pit import PoolingVisionTransformer  # noqa: E402
from timm.models.resnet import BasicBlock, Bottleneck, ResNet  # noqa: E402
from timm.models.swin_transformer import SwinTransformer  # noqa: E402
from timm.models.vision_transformer import VisionTransformer  # noqa: E402

CASES = {
    # Model, number of blocks of each kind, stages, activation after the addition,
    # and the model's own way from the last block's raw output to its logits.
    "vit": (
        lambda: VisionTransformer(
            img_size=32,
            patch_size=8,
            embed_dim=24,
            depth=3,
            num_heads=3,
            num_classes=5,
            init_values=0.5,
            drop_path_rate=0.2,
        ),
        {"msa": 3, "mlp": 3},
        1,
        None,
        lambda model, x: model.forward_head(model.norm(x)),
    ),
    "vit without class token": (
        lambda: VisionTransformer(
            img_size=32,
            patch_size=8,
            embed_dim=24,
            depth=2,
            num_heads=3,
            num_classes=5,
            class_token=False,
            global_pool="avg",
        ),
        {"msa": 2, "mlp": 2},
        1,
        None,
        lambda model, x: model.forward_head(model.norm(x)),
    ),
    "swin": (
        lambda: SwinTransformer(
            img_size=32,
            patch_size=2,
            window_size=4,
            embed_dim=12,
            depths=(2, 2),
            num_heads=(2, 4),
            num_classes=5,
        ),
        {"msa": 4, "mlp": 4},
        2,
        None,
        lambda model, x: model.forward_head(model.norm(x)),
    ),
    "pit": (
        lambda: PoolingVisionTransformer(
            img_size=33,
            patch_size=8,
            stride=5,
            base_dims=(8, 8),
            depth=(2, 2),
            heads=(2, 4),
            num_classes=5,
            distilled=True,
        ),
        {"msa": 4, "mlp": 4},
        2,
        None,
        lambda model, x: model.forward_head(model.norm(x[:, :2])),
    ),
    "timm resnet": (
        lambda: ResNet(
            BasicBlock, (2, 1, 1, 1), channels=(8, 12, 16, 20), num_classes=5
        ),
        {"conv": 5},
        4,
        torch.relu,
        lambda model, x: model.forward_head(x),
    ),
    "timm bottleneck with squeeze and drop path": (
        lambda: ResNet(
            Bottleneck,
            (1, 2, 1, 1),
            channels=(8, 12, 16, 20),
            num_classes=5,
            drop_path_rate=0.2,
            block_args={"attn_layer": "se"},
        ),
        {"conv": 5},
        4,
        torch.relu,
        lambda model, x: model.forward_head(x),
    ),
    "convnext": (
        lambda: ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 12, 16, 20), num_classes=5),
        {"conv": 5},
        4,
        None,
        lambda model, x: model.forward_head(model.norm_pre(x)),
    ),
    "torchvision resnet": (
        lambda: torchvision.models.resnet18(num_classes=5),
        {"conv": 8},
        4,
        torch.relu,
        lambda model, x: model.fc(x.mean((2, 3))),
    ),
    "torchvision bottleneck": (
        lambda: torchvision.models.ResNet(
            torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=5
        ),
        {"conv": 4},
        4,
        torch.relu,
        lambda model, x: model.fc(x.mean((2, 3))),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_chain_of_blocks_is_the_model(case):
    make, counts, num_stages, activation, tail = CASES[case]
    torch.manual_seed(0)
    model = make().eval()
    size = 33 if case == "pit" else 32
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        plain = model(images)

    chain = chain_of(model)
    kinds = [block.kind for block in chain.blocks]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == counts
    assert chain.blocks[-1].stage == num_stages

    raw = []
    handle = chain.blocks[-1].module.register_forward_hook(
        lambda _, __, output: raw.append(output.clone())
    )
    seen, output = read_all(model, chain, images)
    handle.remove()
    torch.testing.assert_close(output, plain)
    # The last block's output and the model's own tail give the model's output.
    with torch.no_grad():
        torch.testing.assert_close(tail(model, raw[0]), plain)
    torch.testing.assert_close(
        chain.blocks[-1].after.form(raw[0]), seen[len(chain.blocks) - 1, "after"]
    )
    for index, block in enumerate(chain.blocks):
        # Each output is skip plus branch ...
        total = seen[index, "before"] + seen[index, "branch"]
        if activation is not None:
            total = activation(total)
        torch.testing.assert_close(seen[index, "after"], total)
        # ... and is what the next block of the same stage starts from.
        following = index + 1
        if (
            following < len(chain.blocks)
            and chain.blocks[following].stage == block.stage
        ):
            torch.testing.assert_close(seen[following, "before"], seen[index, "after"])


def test_a_subclass_of_a_known_model_is_known():
    class MyResNet(torchvision.models.ResNet):
        pass

    model = MyResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    chain = foreign_chain(model)
    assert chain is not None
    assert len(chain.blocks) == 4


def test_a_model_of_another_kind_has_no_adapter():
    assert foreign_chain(nn.Sequential(nn.Conv2d(3, 3, 1))) is None


def test_a_transformer_with_other_layers_is_refused():
    model = VisionTransformer(
        img_size=16,
        patch_size=8,
        embed_dim=12,
        depth=1,
        num_heads=2,
        block_fn=timm.models.vision_transformer.ParallelScalingBlock,
    )
    with pytest.raises(InputError, match="pre-norm layer with norm1"):
        chain_of(model)
