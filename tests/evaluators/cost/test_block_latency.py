import pytest
import torch

from evaluators.cost import block_latency
from evaluators.cost.block_latency import measure_latencies
from search_spaces import Attention, Backbone, FreeSpace
from search_spaces.latency_table import block_key

SPACE = FreeSpace(
    Backbone("basic", "patch2", (2, 2), (8, 16)),
    Attention(heads=(1, 2), head_dim=4),
    strided_msas=True,
    image_size=16,
)


def test_every_architecture_of_the_space_can_be_estimated():
    table = measure_latencies(
        SPACE, torch.device("cpu"), batch_size=2, num_warmups=0, num_repeats=2
    )
    assert (table.device, table.batch_size) == ("cpu", 2)
    for one in SPACE.enumerate():
        assert table.seconds(one.block_specs) > 0
    assert len(table.blocks) == len(SPACE.distinct_blocks()) == 6


def test_the_table_holds_medians_without_warm_up(monkeypatch):
    seconds = iter(range(1, 1000))

    def timer(device):
        def timed(call):
            call()
            return float(next(seconds))

        return timed

    monkeypatch.setattr(block_latency, "timer", timer)
    table = measure_latencies(
        SPACE, torch.device("cpu"), batch_size=1, num_warmups=1, num_repeats=3
    )
    # Eight pieces a round, rounds 2 to 4 count: piece i has its median in round 3.
    expected = {
        block_key(spec): (17 + i) * 10**9
        for i, spec in enumerate(SPACE.distinct_blocks())
    }
    assert dict(table.blocks) == expected
    assert table.fixed == (23 + 24) * 10**9


@pytest.mark.gpu
def test_on_a_gpu():
    table = measure_latencies(SPACE, torch.device("cuda"), num_repeats=4)
    assert table.device == torch.cuda.get_device_name()
    assert all(time > 0 for time in table.blocks.values())
