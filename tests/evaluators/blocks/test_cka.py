"""Truth: the U-statistic by enumeration, and full Gram matrices."""

from itertools import permutations

import numpy as np
import pytest
import torch
from block_cases import alternet, random_data, walk
from torch import nn

from evaluators.blocks.cka import CKA, cka_matrix, hsic_matrix
from evaluators.evaluator import EvaluationError


def enumerated_hsic(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """Song et al. 2012, eq. 5: mean over all ordered quadruples of distinct rows."""
    values = [
        k[a, b] * (l[a, b] + l[c, d] - 2 * l[a, c])
        for a, b, c, d in permutations(range(len(k)), 4)
    ]
    return float(np.mean(values))


def test_hsic_equals_the_enumerated_u_statistic():
    generator = torch.Generator().manual_seed(0)
    features = [
        torch.randn(6, width, generator=generator, dtype=torch.float64)
        for width in (2, 5, 3)
    ]
    grams = torch.stack([x @ x.T for x in features])
    matrix = hsic_matrix(grams)
    for i in range(3):
        for j in range(3):
            expected = enumerated_hsic(grams[i].numpy(), grams[j].numpy())
            assert float(matrix[i, j]) == pytest.approx(expected, rel=1e-9)


def test_cka_ignores_rotation_and_scale():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(
        torch.randn(4, 4, generator=generator, dtype=torch.float64)
    )
    y = 3.0 * x @ rotation + 7.0
    matrix = cka_matrix(hsic_matrix(torch.stack([x @ x.T, y @ y.T])))
    torch.testing.assert_close(matrix, torch.ones(2, 2, dtype=torch.float64))


def naive_cka(batches: list[list[torch.Tensor]]) -> np.ndarray:
    """Sums over mini-batches with a centred-trace form written out pair by pair."""
    num_layers = len(batches[0])
    total = np.zeros((num_layers, num_layers))
    for layers in batches:
        grams = []
        for features in layers:
            flat = features.double().flatten(1).numpy()
            gram = flat @ flat.T
            np.fill_diagonal(gram, 0)
            grams.append(gram)
        n = len(grams[0])
        one = np.ones(n)
        for i, k in enumerate(grams):
            for j, other in enumerate(grams):
                total[i, j] += (
                    np.trace(k @ other)
                    + (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
                    - 2 / (n - 2) * (one @ k @ other @ one)
                ) / (n * (n - 3))
    scale = np.sqrt(np.diag(total))
    return total / np.outer(scale, scale)


def test_alternet_equals_a_naive_twin():
    net, data = alternet("CM-CMC"), random_data(num_images=44)
    result = CKA(batch_size=10).evaluate(net, data)
    device = torch.device("cpu")
    batches = []
    order = data.validation.order()
    for start in range(0, 40, 10):  # the last four images make no full batch
        images, _ = data.validation.batch(order[start : start + 10], device)
        batches.append([block["after"] for block in walk(net, images)])
    expected = naive_cka(batches)
    np.testing.assert_allclose(result.details["cka"], expected, atol=1e-4)
    assert result.details["num_images"] == 40
    adjacent = np.mean([expected[i, i + 1] for i in range(4)])
    assert result.metrics["cka_adjacent"] == pytest.approx(adjacent, abs=1e-4)
    jackknife = []
    for left_out in range(4):
        part = naive_cka([b for i, b in enumerate(batches) if i != left_out])
        jackknife.append(np.mean([part[i, i + 1] for i in range(4)]))
    error = np.sqrt(3 / 4 * np.sum((jackknife - np.mean(jackknife)) ** 2))
    assert result.standard_errors["cka_adjacent"] == pytest.approx(error, rel=1e-2)


def test_the_batch_size_does_not_matter_much():
    net, data = alternet("CM-CM"), random_data(num_images=240)
    small, large = (CKA(batch_size=size).evaluate(net, data) for size in (24, 120))
    difference = np.abs(np.array(small.details["cka"]) - np.array(large.details["cka"]))
    assert difference.max() < 0.03


def test_one_block_has_no_neighbour():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    result = CKA(blocks=("0",)).evaluate(model, random_data(num_images=12))
    assert result.metrics == {}


def test_constant_features_are_refused():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3))
    nn.init.zeros_(model[1].weight)
    with pytest.raises(EvaluationError, match="block 2 of 2 has .*the same features"):
        CKA(blocks=("0", "1")).evaluate(model, random_data(num_images=12))


def test_too_few_images_are_refused():
    with pytest.raises(EvaluationError, match="at least 8 images"):
        CKA().evaluate(alternet(), random_data(num_images=7))
