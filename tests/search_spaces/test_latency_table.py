import pytest

from search_spaces import Architecture, Attention, Backbone, LatencyTable, Placement
from search_spaces.errors import InputError
from search_spaces.latency_table import block_key

TABLE = LatencyTable("cpu", 64, 3, {"basic C 8x16px to 8x16px": 5})


def test_equal_shapes_have_one_key_wherever_they_stand():
    backbone = Backbone("basic", "patch2", (3, 3), (8, 16))
    one = Architecture(
        backbone,
        Placement.parse("CCM-CCM"),
        Attention(heads=(1, 2), head_dim=4),
        image_size=32,
    )
    keys = [block_key(spec) for spec in one.block_specs]
    assert keys == [
        "basic C 8x16px to 8x16px",
        "basic C 8x16px to 8x16px",
        "basic M 8x16px to 8x16px, 1x4, window 4",
        "basic C 8x16px to 16x8px",
        "basic C 16x8px to 16x8px",
        "basic M 16x8px to 16x8px, 2x4, window 4",
    ]


def test_plain_data_and_back():
    assert LatencyTable.from_dict(TABLE.to_dict()) == TABLE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "latency/2"}, "format: latency/1"),
        ({"colour": "red"}, "has the keys format, device, batch_size, nanoseconds"),
        ({"nanoseconds": [1]}, "has the keys"),
        ({"nanoseconds": {"basic C": 1}}, "needs the time of 'stem and head'"),
        ({"nanoseconds": {"stem and head": 1, "b": 0}}, "got 0 for 'b'"),
        ({"nanoseconds": {"stem and head": 1.5}}, "got 1.5 for 'fixed'"),
        ({"batch_size": "64"}, "got '64' for 'batch_size'"),
    ],
)
def test_other_data_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        LatencyTable.from_dict({**TABLE.to_dict(), **changes})


def test_what_is_no_mapping_is_refused():
    with pytest.raises(InputError, match="is a mapping"):
        LatencyTable.from_dict([1])
