"""What all tests share: one math thread, and Ray tests in one process."""

import os

# Before torch is imported. Two threads on two busy cores wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the Ray tests together when pytest-xdist spreads tests over processes."""
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
