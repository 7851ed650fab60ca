import pytest
import torch
from torch import nn
from torch.nn import functional

from evaluators.data import ImageSet
from nas.config import DataConfig, config_from_dict
from nas.data.datasets import load_dataset
from nas.scoring.from_scratch import train_and_evaluate
from nas.scoring.whitened_stem import patch_moments, whiten_stem
from search_spaces import Architecture, Attention, Backbone, Placement


@pytest.fixture(scope="module")
def images():
    """Smooth coloured noise: neighbouring pixels and channels are correlated."""
    torch.manual_seed(0)
    noise = functional.avg_pool2d(torch.randn(400, 3, 14, 14), 3, 1)
    mixed = torch.einsum("dc,nchw->ndhw", torch.randn(3, 3), noise)
    pixels = (128 + 60 * mixed).clamp(0, 255).to(torch.uint8)
    return ImageSet(pixels, torch.zeros(400).long(), (0.5,) * 3, (0.2,) * 3)


def all_outputs(conv, images):
    batch, _ = images.batch(slice(None), torch.device("cpu"))
    plain = functional.conv2d(batch, conv.weight)  # stride 1, no padding: all patches
    return plain.detach().permute(0, 2, 3, 1).flatten(0, 2).double()


def test_outputs_are_uncorrelated_with_mean_square_one(images):
    conv = nn.Conv2d(3, 16, 3, bias=False)
    whiten_stem(nn.Sequential(conv), images, seed=0)
    outputs = all_outputs(conv, images)
    half, other = outputs[:, :8], outputs[:, 8:]
    torch.testing.assert_close(half, -other)
    moments = half.T @ half / len(half)
    torch.testing.assert_close(
        moments, torch.eye(8, dtype=torch.float64), rtol=0, atol=0.05
    )


def test_the_strongest_directions_come_first(images):
    """Against a plain principal component analysis of every patch."""
    conv = nn.Conv2d(3, 6, 3, bias=False)
    whiten_stem(conv, images, seed=0)
    batch, _ = images.batch(slice(None), torch.device("cpu"))
    patches = functional.unfold(batch, 3).permute(0, 2, 1).flatten(0, 1)
    _, _, directions = torch.linalg.svd(patches, full_matrices=False)
    filters = functional.normalize(conv.weight.detach()[:3].flatten(1))
    cosines = (filters * directions[:3]).sum(1).abs()
    assert (cosines > 0.98).all()


def test_moments_depend_on_the_seed_alone(images):
    torch.manual_seed(1)
    first = patch_moments(images, (3, 3), seed=0)
    torch.manual_seed(2)
    assert torch.equal(first, patch_moments(images, (3, 3), seed=0))
    assert not torch.equal(first, patch_moments(images, (3, 3), seed=1))


def test_filters_beyond_both_signs_of_all_directions_stay_random(images):
    conv = nn.Conv2d(3, 60, 3, bias=False)
    before = conv.weight.detach().clone()
    whiten_stem(conv, images, seed=0)
    assert torch.equal(conv.weight[54:], before[54:])
    torch.testing.assert_close(conv.weight[:27], -conv.weight[27:54])


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(3, 3),
        nn.Conv2d(1, 4, 3),
        nn.Conv2d(3, 6, 3, groups=3),
        nn.Conv2d(3, 4, 13),
    ],
)
def test_other_networks_stay_as_they_are(images, model):
    before = [p.detach().clone() for p in model.parameters()]
    whiten_stem(model, images, seed=0)
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_constant_images_give_finite_filters():
    flat = ImageSet(torch.zeros(4, 1, 8, 8), torch.zeros(4).long(), (0.0,), (1.0,))
    conv = nn.Conv2d(1, 4, 3, bias=False)
    whiten_stem(conv, flat, seed=0)
    assert conv.weight.isfinite().all()


def test_a_trial_starts_with_it_if_the_recipe_says_so():
    dataset = load_dataset(DataConfig(name="fake", image_size=8))
    architecture = Architecture(
        Backbone("basic", "cifar", (1, 1), (16, 16)),
        Placement.parse("C-C"),
        Attention(heads=1, head_dim=4),
        4,
        3,
        8,
    )
    results = []
    for init in ("random", "whitened"):
        config = config_from_dict(
            {
                "data": {"name": "fake"},
                "training": {"epochs": 1, "stem_init": init},
                "evaluators": ["accuracy"],
                "objectives": ["accuracy"],
            }
        )
        results.append(train_and_evaluate(architecture, config, dataset, seed=0))
    assert results[0].metrics["nll"] != results[1].metrics["nll"]
