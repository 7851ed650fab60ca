import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from evaluators.loss.trajectory import PolarPoint, polar_trajectory
from search_spaces.errors import InputError


def points(*vectors):
    return [
        {"a": torch.tensor(v[:1]), "b": torch.tensor([v[1:]], dtype=torch.float64)}
        for v in vectors
    ]


def test_known_points_in_a_plane():
    got = polar_trajectory(points([2.0, 0.0], [0.0, 1.0], [-4.0, 0.0], [0.0, 0.0]))
    assert got[0] == PolarPoint(1.0, 0.0)
    assert (got[1].radius, got[1].angle) == pytest.approx((0.5, 90))
    assert (got[2].radius, got[2].angle) == pytest.approx((2, 180))
    assert got[3] == PolarPoint(0.0, 0.0)


@given(
    st.floats(0.01, 5),
    st.floats(0.001, 3.14),
    st.floats(-10, 10),
    st.floats(0.1, 100),
)
def test_polar_coordinates_are_recovered(radius, angle, offset, length):
    position = [
        offset + length * radius * math.cos(angle),
        length * radius * math.sin(angle),
    ]
    got = polar_trajectory(
        [
            {"w": torch.tensor(v, dtype=torch.float64)}
            for v in ([offset + length, 0.0], position, [offset, 0.0])
        ]
    )[1]
    assert got.radius == pytest.approx(radius, rel=1e-6)
    assert got.angle == pytest.approx(math.degrees(angle), rel=1e-5, abs=1e-5)


def test_the_retraction_is_in_the_documentation():
    import evaluators.loss.trajectory as module

    assert "Retracted by the authors" in module.__doc__


@pytest.mark.parametrize(
    "snapshots, message",
    [
        (points([1.0, 0.0]), "at least two"),
        (points([1.0, 0.0], [1.0, 0.0]), "must differ"),
        ([{"a": torch.ones(1)}, {"b": torch.ones(1)}], "same tensors"),
        (points([1.0, 0.0], [math.nan, 0.0], [0.0, 0.0]), "snapshot 1"),
        (points([math.inf, 0.0], [0.0, 0.0]), "finite distance"),
    ],
)
def test_bad_snapshots_are_refused(snapshots, message):
    with pytest.raises(InputError, match=message):
        polar_trajectory(snapshots)
