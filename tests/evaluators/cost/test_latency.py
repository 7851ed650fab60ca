import pytest
import torch
from block_cases import alternet, random_data
from torch import nn

from evaluators.cost.latency import Latency, LiveTensors
from search_spaces.errors import InputError


def test_peak_memory_by_hand():
    # Input and both activations of (8, 4, 6, 6) floats, when the second is made.
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Sigmoid())
    result = Latency(batch_size=8, num_warmups=0, num_repeats=4).evaluate(
        model, random_data(image_size=6)
    )
    activation = 8 * 4 * 6 * 6 * 4
    weights = 12 * 4
    # The input exists before and is not counted: it belongs to the caller.
    assert result.metrics["peak_memory"] == weights + 2 * activation


def test_dead_tensors_are_not_counted():
    live = LiveTensors()
    with live:
        for _ in range(5):
            torch.ones(100)
        kept = torch.ones(100)
        view = kept[:50]
        del kept
        torch.ones(100)
    assert live.peak == 800
    assert view.shape == (50,)


def test_more_images_take_more_memory_and_the_count_repeats():
    net, data = alternet(), random_data()
    peaks = [
        Latency(batch_size=size, num_warmups=0, num_repeats=4)(net, data)["peak_memory"]
        for size in (4, 8, 8)
    ]
    assert peaks[0] < peaks[1] == peaks[2]


def test_reports_spread_and_conditions_and_restores_the_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        result = Latency(batch_size=50, num_repeats=8).evaluate(
            alternet(), random_data(num_images=12)
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    details = result.details
    assert len(details["seconds"]) == 8
    assert 0 < details["minimum"] <= details["p10"] <= result.metrics["latency"]
    assert result.metrics["latency"] <= details["p90"]
    assert details["threads"] == 1
    assert details["device"] == "cpu"
    assert details["batch_size"] == 50
    assert result.standard_errors["latency"] >= 0


def test_options_are_checked():
    with pytest.raises(InputError, match="num_repeats.*at least 4, got 1"):
        Latency(num_repeats=1)


@pytest.mark.gpu
def test_cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    result = Latency().evaluate(alternet().cuda(), random_data())
    assert 0 < result.metrics["latency"] < 10
    assert result.metrics["peak_memory"] > 0
    assert result.details["device"] != "cpu"
