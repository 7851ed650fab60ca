import math

import pytest
import torch
from block_cases import alternet, random_data
from torch import nn
from torch.nn import functional

from evaluators.classification.frequency_noise import (
    FrequencyNoise,
    band_indices,
    freq_attack_mask,
    freq_attack_noise,
    ring_noise,
)
from evaluators.data import EvaluationData, ImageSet
from search_spaces.errors import InputError


def naive_band(row: int, column: int, height: int, width: int) -> int:
    """Band of one bin of a full FFT, by comparing exact fractions of pi."""
    from fractions import Fraction

    signed = [
        Fraction(2 * min(k, n - k), n) for k, n in ((row, height), (column, width))
    ]
    largest = max(signed)
    return -1 if largest == 0 else math.ceil(10 * largest) - 1


@pytest.mark.parametrize(("height", "width"), [(8, 8), (20, 20), (15, 12), (32, 32)])
def test_bands_equal_a_naive_twin_and_cover_everything_but_the_mean(height, width):
    bands = band_indices(height, width)
    for row in range(height):
        for column in range(width // 2 + 1):
            assert int(bands[row, column]) == naive_band(row, column, height, width)
    assert int((bands == -1).sum()) == 1


@pytest.mark.parametrize("size", [20, 28, 32])
def test_every_band_is_filled_from_20_pixels_on(size):
    assert set(range(10)) <= set(band_indices(size, size).flatten().tolist())


@pytest.mark.parametrize("band", [0, 4, 9])
def test_noise_lies_in_its_band_with_the_given_energy(band):
    images = torch.zeros(3, 2, 24, 24)
    noise = ring_noise(images, band, 0.4, torch.Generator().manual_seed(1))
    rms = noise.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(rms, torch.full((3,), 0.4))
    energy = torch.fft.fft2(noise.double()).abs().square().sum((0, 1))
    inside = sum(
        float(energy[row, column])
        for row in range(24)
        for column in range(24)
        if naive_band(row, column, 24, 24) == band
    )
    assert inside / float(energy.sum()) == pytest.approx(1.0, abs=1e-9)


class Checkerboard(nn.Module):
    """Class 1 if the highest frequency has a positive coefficient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(x.shape[-1])
        signs = 1.0 - 2.0 * ((steps[:, None] + steps) % 2)
        score = (x[:, 0] * signs).mean((1, 2))
        return torch.stack([-score, score], dim=1)


class Brightness(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x.mean((1, 2, 3))
        return torch.stack([-score, score], dim=1)


def checkerboard_data(num: int = 60) -> EvaluationData:
    labels = torch.arange(num) % 2
    steps = torch.arange(24)
    signs = 1.0 - 2.0 * ((steps[:, None] + steps) % 2)
    images = 0.5 + 0.005 * (2 * labels - 1).view(-1, 1, 1, 1) * signs
    split = ImageSet(images.expand(num, 1, 24, 24).clone(), labels, (0.5,), (1.0,))
    return EvaluationData(split, split)


def test_only_noise_of_the_top_band_hurts_a_reader_of_the_top_frequency():
    result = FrequencyNoise(strength=1.0).evaluate(Checkerboard(), checkerboard_data())
    drops = [band["drop"] for band in result.details["bands"]]
    assert drops[:9] == [0.0] * 9
    assert drops[9] > 0.2
    assert result.metrics["noise_drop_low"] == 0
    assert result.metrics["noise_drop_high"] == pytest.approx(drops[9] / 3)
    assert result.metrics["noise_drop"] == pytest.approx(drops[9] / 10)


@pytest.mark.parametrize("variant", ["equal_rms"])
def test_no_band_holds_a_shift_of_brightness(variant):
    num = 40
    labels = torch.arange(num) % 2
    images = (0.4 + 0.2 * labels).float().view(-1, 1, 1, 1).expand(num, 1, 24, 24)
    split = ImageSet(images.clone(), labels, (0.5,), (1.0,))
    result = FrequencyNoise(variant=variant, strength=1.0).evaluate(
        Brightness(), EvaluationData(split, split)
    )
    assert result.details["clean_accuracy"] == 1
    assert result.metrics["noise_drop"] == 0


def test_equals_a_naive_twin():
    net, data = alternet("CM-CM"), random_data(num_images=30)
    order = data.validation.order()
    images, labels = data.validation.batch(order, torch.device("cpu"))
    result = FrequencyNoise(strength=0.7, seed=4).evaluate(net, data)
    with torch.no_grad():
        clean = (net(images).argmax(1) == labels).double()
        for row in result.details["bands"]:
            band = round(row["low"] * 10)
            generator = torch.Generator().manual_seed(4 * 1_000_003 + band)
            delta = torch.randn(images.shape, generator=generator)
            spectrum = torch.fft.fft2(delta)
            for i in range(16):
                for j in range(16):
                    if naive_band(i, j, 16, 16) != band:
                        spectrum[..., i, j] = 0
            noise = torch.fft.ifft2(spectrum).real
            noise *= 0.7 / noise.square().mean((1, 2, 3), keepdim=True).sqrt()
            noisy = (net(images + noise).argmax(1) == labels).double()
            drop = clean - noisy
            assert row["drop"] == pytest.approx(float(drop.mean()), abs=1e-9)
            assert row["drop_se"] == pytest.approx(float(drop.std()) / 30**0.5)


def test_another_seed_gives_other_noise_and_networks_share_it():
    images = torch.zeros(2, 1, 20, 20)
    first, same, other = (
        ring_noise(images, 3, 1.0, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("centre", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("size", [32, 224])
def test_freq_attack_mask_is_the_reference_ring(size, centre):
    half = 0.05 * math.pi

    def square(side: int) -> torch.Tensor:
        side = max(min(side, size), 0)
        return functional.pad(torch.ones(side, side), [(size - side) // 2] * 4)

    outer = int((centre * math.pi + half) * size / (2 * math.pi)) * 2
    inner = int((centre * math.pi - half) * size / (2 * math.pi)) * 2
    expected = square(outer) - square(inner)
    assert torch.equal(freq_attack_mask(size, centre * math.pi, half), expected)


def test_freq_attack_noise_grows_with_the_ring():
    # What ops/adversarial.py of xxxnell/how-do-vits-work gives at commit 9c533de.
    images = torch.zeros(2, 3, 224, 224)
    for centre, rms in ((0.1, 0.13316), (0.5, 0.30542), (0.9, 0.40993)):
        noise = freq_attack_noise(
            images,
            centre * math.pi,
            0.05 * math.pi,
            1.0,
            torch.Generator().manual_seed(0),
        )
        assert float(noise.square().mean().sqrt()) == pytest.approx(rms, rel=1e-4)


def test_freq_attack_has_nine_rings_and_needs_square_images():
    net, data = alternet("CM-CM"), random_data(num_images=10)
    result = FrequencyNoise(variant="freq_attack").evaluate(net, data)
    centres = [(band["low"] + band["high"]) / 2 for band in result.details["bands"]]
    assert centres == pytest.approx([k / 10 for k in range(1, 10)])
    images = ImageSet(torch.rand(4, 3, 8, 6), torch.zeros(4).long(), (0,) * 3, (1,) * 3)
    with pytest.raises(InputError, match="square images, got 8x6"):
        FrequencyNoise(variant="freq_attack").evaluate(
            net, EvaluationData(images, images)
        )


def test_small_images_leave_empty_bands_out():
    result = FrequencyNoise().evaluate(Brightness(), two_classes(random_data(12, 4)))
    assert [round(b["low"], 1) for b in result.details["bands"]] == [0.4, 0.9]
    assert set(result.metrics) == {"noise_drop_high", "noise_drop"}


def two_classes(data: EvaluationData) -> EvaluationData:
    split = data.validation
    split = ImageSet(split.images, split.labels % 2, split.mean, split.std)
    return EvaluationData(split, split)
