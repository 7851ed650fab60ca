"""Truth: the paper's notebook rewritten with numpy, and closed forms."""

from math import log, pi

import numpy as np
import pytest
import torch
from block_cases import alternet, random_data, walk
from torch import nn

from evaluators.blocks.low_pass import LowPass, diagonal_frequencies, log_amplitudes
from evaluators.data import EvaluationData, ImageSet
from evaluators.evaluator import EvaluationError
from search_spaces.errors import InputError


def notebook(latent: np.ndarray) -> np.ndarray:
    """fourier_analysis.ipynb: shifted FFT, log, mean, half of the diagonal."""
    height, width = latent.shape[-2:]
    spectrum = np.log(np.abs(np.fft.fft2(latent)) + 1e-6)
    spectrum = np.roll(spectrum, (height // 2, width // 2), axis=(-2, -1))
    diagonal = np.diag(spectrum.mean(axis=(0, 1)))[height // 2 :]
    return diagonal - diagonal[0]


def true_nyquist(latent: np.ndarray) -> float:
    """Relative log amplitude at (pi, pi): signs alternate, no FFT needed."""
    height, width = latent.shape[-2:]
    signs = (-1.0) ** (np.arange(height)[:, None] + np.arange(width))
    top = np.log(np.abs((latent * signs).sum((-2, -1))) + 1e-6)
    bottom = np.log(np.abs(latent.sum((-2, -1))) + 1e-6)
    return float((top - bottom).mean())


def relative(feature_map: torch.Tensor) -> torch.Tensor:
    logs = log_amplitudes(feature_map)
    return (logs - logs[:, :1]).mean(0)


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 14, 16, 31, 32])
def test_equals_the_notebook_and_adds_the_true_nyquist(size):
    generator = torch.Generator().manual_seed(size)
    maps = torch.randn(
        3, 5, size, size, generator=generator, dtype=torch.float64
    ) + torch.randn(1, 5, 1, 1, generator=generator, dtype=torch.float64)
    curve = relative(maps)
    expected = notebook(maps.numpy())
    assert len(curve) == size // 2 + 1
    np.testing.assert_allclose(curve[: len(expected)], expected, atol=1e-9)
    if size % 2 == 0:
        assert len(expected) == size // 2
        assert float(curve[-1]) == pytest.approx(true_nyquist(maps.numpy()), abs=1e-9)


@pytest.mark.parametrize("size", [7, 8])
def test_channels_last_maps_and_transposed_views_give_the_same(size):
    maps = torch.rand(3, 5, size, size, generator=torch.Generator().manual_seed(0))
    expected = log_amplitudes(maps)
    last = maps.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(log_amplitudes(last), expected)
    view = maps.transpose(0, 1).contiguous().transpose(0, 1)
    torch.testing.assert_close(log_amplitudes(view), expected)
    assert log_amplitudes(maps.bfloat16()).dtype == torch.float32


def test_float32_is_as_good_as_the_notebook():
    maps = torch.rand(4, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = notebook(maps.double().numpy())
    np.testing.assert_allclose(relative(maps)[:-1], expected, atol=2e-5)


def test_frequencies():
    assert diagonal_frequencies(4) == [0, 0.5, 1]
    assert diagonal_frequencies(7) == pytest.approx([0, 2 / 7, 4 / 7, 6 / 7])
    assert diagonal_frequencies(1) == [0]


@pytest.mark.parametrize("wave", [1, 3, 8])
def test_a_sinusoid_has_one_frequency(wave):
    size = 16
    position = torch.arange(size, dtype=torch.float64)
    phase = 2 * pi * wave * (position[:, None] + position) / size
    logs = log_amplitudes(phase.cos()[None, None])[0]
    # All of the energy in one bin, or half in each of two mirrored bins.
    peak = size * size * (1 if wave == size // 2 else 0.5)
    for index, value in enumerate(logs.tolist()):
        if index == wave:
            assert value == pytest.approx(log(peak), abs=1e-6)
        else:
            assert value < log(2e-6)


def test_a_delta_has_all_frequencies_alike():
    maps = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    maps[0, 0, 2, 5] = 3.0
    expected = torch.full((5,), log(3), dtype=torch.float64)
    torch.testing.assert_close(log_amplitudes(maps)[0], expected, atol=1e-6, rtol=0)


class Box(nn.Module):
    """3x3 box filter with wrap-around: its transfer function is known."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifts = (-1, 0, 1)
        return sum(x.roll((i, j), (2, 3)) for i in shifts for j in shifts) / 9


class BoxNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.box = Box()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.box(x).mean((2, 3))


@pytest.mark.parametrize(
    ("size", "variant", "frequency"),
    [
        (8, "nyquist", pi),
        (8, "paper", 0.75 * pi),
        (4, "paper", 0.5 * pi),
        (7, "nyquist", 6 / 7 * pi),
        (7, "paper", 6 / 7 * pi),
    ],
)
def test_a_box_filter_lowers_frequencies_as_its_transfer_function_says(
    size, variant, frequency
):
    data = random_data(num_images=12, image_size=size)
    result = LowPass(variant=variant, blocks=("box:conv",)).evaluate(BoxNet(), data)
    # |H| = ((1 + 2 cos w) / 3)^2 on the diagonal, for every image alike.
    transfer = ((1 + 2 * np.cos(frequency)) / 3) ** 2
    assert result.metrics["low_pass"] == pytest.approx(-log(transfer), abs=2e-3)
    assert result.metrics["low_pass_conv"] == result.metrics["low_pass"]
    assert set(result.metrics) == {"low_pass", "low_pass_conv"}
    assert result.standard_errors["low_pass"] < 2e-3
    (block,) = result.details["blocks"]
    assert block["frequency"] == pytest.approx(frequency / pi)


@pytest.mark.parametrize("variant", ["nyquist", "paper"])
def test_alternet_equals_a_naive_twin(variant):
    net = alternet("CM-CMC")
    data = random_data(num_images=23)
    result = LowPass(variant=variant, batch_size=7).evaluate(net, data)
    images, _ = data.validation.batch(slice(None), torch.device("cpu"))

    def level(tensor: torch.Tensor) -> float:
        latent = tensor.double().numpy()
        return true_nyquist(latent) if variant == "nyquist" else notebook(latent)[-1]

    truth = [{key: level(x) for key, x in block.items()} for block in walk(net, images)]
    stream = [block["after"] - block["before"] for block in truth]
    branch = [block["branch"] - block["before"] for block in truth]
    for prefix, changes in (("low_pass", stream), ("low_pass_branch", branch)):
        msa, conv = [1, 3], [0, 2, 4]
        groups = {"": range(5), "_msa": msa, "_conv": conv}
        for suffix, members in groups.items():
            expected = -np.mean([changes[i] for i in members])
            assert result.metrics[prefix + suffix] == pytest.approx(expected, abs=1e-3)
    for row, change in zip(result.details["blocks"], stream, strict=True):
        assert row["change"] == pytest.approx(change, abs=1e-3)


def test_standard_error_is_that_of_the_images():
    net = alternet("CM-CM")
    data = random_data(num_images=30)
    result = LowPass().evaluate(net, data)
    images, _ = data.validation.batch(slice(None), torch.device("cpu"))
    blocks = walk(net, images)
    values = [
        -np.mean(
            [
                true_nyquist(block["after"][i : i + 1].double().numpy())
                - true_nyquist(block["before"][i : i + 1].double().numpy())
                for block in blocks
            ]
        )
        for i in range(30)
    ]
    expected = np.std(values, ddof=1) / np.sqrt(30)
    assert result.standard_errors["low_pass"] == pytest.approx(expected, rel=1e-2)


def test_all_conv_nets_have_no_msa_metric_and_max_images_is_kept():
    result = LowPass(max_images=10).evaluate(alternet("CC-CC"), random_data())
    assert set(result.metrics) == {
        "low_pass",
        "low_pass_conv",
        "low_pass_branch",
        "low_pass_branch_conv",
    }
    assert result.details["num_images"] == 10


def test_a_map_of_one_pixel_has_no_frequency():
    result = LowPass(blocks=("box:msa",)).evaluate(
        BoxNet(), random_data(image_size=1, num_images=4)
    )
    assert result.metrics == {}


def test_maps_that_are_not_square_are_refused():
    images = ImageSet(torch.rand(4, 3, 8, 6), torch.zeros(4).long(), (0,) * 3, (1,) * 3)
    data = EvaluationData(images, images)
    with pytest.raises(EvaluationError, match="square feature maps, got 8x6"):
        LowPass(blocks=("box",)).evaluate(BoxNet(), data)


def test_a_block_that_is_not_reached_is_named():
    model = BoxNet()
    model.unused = nn.Conv2d(3, 3, 1)
    with pytest.raises(EvaluationError, match="does not reach .* block unused"):
        LowPass(blocks=("unused",)).evaluate(model, random_data())


def test_options_are_checked():
    with pytest.raises(InputError, match="'max_images' of evaluator 'low_pass'"):
        LowPass(max_images=1)


def test_a_map_written_into_later_does_not_stand_for_the_next_block():
    class InPlace(nn.Module):
        """The second block's input is the first one's output, changed in place."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Box(), Box()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            x[:, :, ::2, ::2] += 5.0
            return self.second(x).mean((2, 3))

    result = LowPass(blocks=("first", "second")).evaluate(
        InPlace(), random_data(image_size=8)
    )
    first, second = result.details["blocks"]
    assert first["after"] != second["before"]
    # A box filter does the same to any input without empty frequencies.
    assert second["change"] == pytest.approx(log(1 / 9), abs=1e-3)
