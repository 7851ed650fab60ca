import math

import pytest
import torch

from search_spaces import InputError
from search_spaces.networks.chain_of import chain_of
from search_spaces.networks.vit import (
    NeighbourhoodAttention,
    ViT,
    neighbourhood_mask,
)


def vit(**changes):
    torch.manual_seed(0)
    settings = {
        "image_size": 12, "in_channels": 3, "num_classes": 5, "patch": 3,
        "width": 8, "depth": 2, "heads": 2,
    }  # fmt: skip
    return ViT(**(settings | changes)).eval()


def naive(layer, tokens, side, reach):
    """One query at a time, over a list of its neighbours."""
    width = tokens.shape[1]
    dim = width // layer.heads
    query, key, value = (layer.qkv.weight @ tokens.T).T.split(width, dim=1)
    rows = []
    for token in range(side * side):
        y, x = divmod(token, side)
        near = [
            other
            for other in range(side * side)
            if max(abs(other // side - y), abs(other % side - x)) <= (reach - 1) / 2
        ]
        heads = []
        for head in range(layer.heads):
            own = slice(head * dim, (head + 1) * dim)
            scores = torch.stack([query[token, own] @ key[n, own] for n in near])
            weights = torch.exp(scores / math.sqrt(dim))
            weights = weights / weights.sum()
            pairs = zip(weights, near, strict=True)
            heads.append(sum(w * value[n, own] for w, n in pairs))
        rows.append(layer.proj(torch.cat(heads)))
    return torch.stack(rows)


@pytest.mark.parametrize(("side", "reach"), [(4, 3), (5, 5), (4, 1), (3, 7)])
def test_masked_attention_is_that_of_each_query_over_its_neighbours(side, reach):
    torch.manual_seed(1)
    layer = NeighbourhoodAttention(6, 2, neighbourhood_mask(side, reach)).double()
    tokens = torch.randn(side * side, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            layer(tokens[None])[0], naive(layer, tokens, side, reach)
        )


def test_a_pixel_is_felt_as_far_as_layers_reach_and_no_farther():
    net = vit(reach=3, image_size=18, depth=2)
    x = torch.zeros(1, 3, 18, 18, requires_grad=True)
    seen = {}
    net.blocks[-1].register_forward_hook(lambda m, i, o: seen.update(out=o))
    net(x)
    seen["out"][0, 0].sum().backward()  # the token in the corner of a 6x6 map
    felt = x.grad[0].abs().sum(0)
    assert (felt[:9, :9] > 0).all()  # two layers of 3x3: two tokens away
    assert felt[9:].sum() == felt[:, 9:].sum() == 0


def test_a_reach_that_covers_the_map_is_global_attention():
    images = torch.randn(2, 3, 12, 12)
    wide, everywhere, narrow = vit(reach=7), vit(), vit(reach=5)
    assert torch.equal(wide(images), everywhere(images))
    assert not torch.allclose(narrow(images), everywhere(images))
    assert wide.state_dict().keys() == narrow.state_dict().keys()


def test_evaluators_find_msa_and_mlp_of_every_layer():
    chain = chain_of(vit(depth=3))
    assert [block.kind for block in chain.blocks] == ["msa", "mlp"] * 3


def test_drop_path_drops_whole_images_of_tokens():
    net = vit(drop_path=0.5).train()
    x = torch.randn(64, 16, 8)
    kept = net.blocks[-1].drop_path1(x)
    whole = (kept == 0).all(dim=(1, 2)) | (kept == 2 * x).all(dim=(1, 2))
    assert whole.all()
    assert 10 < (kept == 0).all(dim=(1, 2)).sum() < 54


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reach": 2}, "reach of a vit is an odd number"),
        ({"reach": True}, "reach of a vit is an odd number"),
        ({"patch": 5}, "patch of a vit divides the image size"),
        ({"heads": 3}, "heads of a vit divide its width"),
        ({"depth": 0}, "depth of a vit is a positive whole number"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        vit(**changes)
