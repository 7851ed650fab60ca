"""Truth: counts by hand."""

import torch
import torchvision
from block_cases import alternet, random_data
from torch import nn

from evaluators.cost.cost import Cost


def test_a_small_placement_with_attention_by_hand():
    # C-M on 16x16 images: stem 3x3/2 from 3 to 8 channels, one Conv block of 8 on 8x8,
    # one MSA block from 8 to 12 channels on 4x4 (2 heads of 4, windows of 2x2).
    metrics = Cost()(alternet("C-M"), random_data())
    stem = 8 * 8 * 9 * 3 * 8
    conv = 8 * 8 * (9 * 8 * 8) * 2
    shortcut = 4 * 4 * 8 * 12
    reduce = 8 * 8 * 8 * 8  # 1x1 conv before the pool
    inner = 2 * 4
    projections = 4 * 4 * (8 * 3 * inner + inner * 12)
    products = 2 * 16 * 4 * inner  # query-key and weight-value, 4 tokens a window
    head = 12 * 4
    total = stem + conv + shortcut + reduce + projections + products + head
    assert metrics["macs"] == total

    params = 9 * 3 * 8  # stem
    params += 2 * (9 * 8 * 8) + 2 * 2 * 8  # Conv block: two convs, two norms
    params += 8 * 12 + 8 * 8 + 2 * 8 + 2 * 8  # shortcut, reduce, two norms
    params += 8 * 3 * inner + inner * 12 + 12 + (2 * 2 - 1) ** 2  # attention
    params += 2 * 12 + 12 * 4 + 4  # head
    assert metrics["params"] == params


def test_foreign_models_and_published_numbers():
    model = torchvision.models.resnet18()
    data = random_data(num_images=2, image_size=224)
    metrics = Cost()(model, data)
    assert metrics["params"] == 11_689_512  # torchvision's table
    assert round(metrics["macs"] / 1e9, 2) == 1.81


def test_attention_is_counted_in_full():
    layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, batch_first=True)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 16, 4, stride=4)
            self.layer = layer
            self.head = nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.embed(x).flatten(2).transpose(1, 2)
            return self.head(self.layer(tokens).mean(1))

    tokens = 16
    expected = (
        tokens * 16 * 3 * 16
        + tokens * 16 * 4 * 16  # query, key, value, output
        + 2 * tokens * tokens * 16  # attention products
        + tokens * 2 * 16 * 32
        + 16 * 4
    )
    # In eval mode PyTorch runs this layer in one fused kernel, which no counter sees.
    assert Cost()(Model(), random_data())["macs"] == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_weight_used_through_a_view_is_no_obstacle():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Parameter(torch.zeros(1, 5))
            self.linear = nn.Linear(5, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(self.query.expand(len(x), -1))

    model = Model()
    assert Cost()(model, random_data()) == {"macs": 20.0, "params": 29.0}
    assert all(parameter.requires_grad for parameter in model.parameters())
