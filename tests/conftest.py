"""What all tests share: one math thread, and Ray tests in one process."""

import os

# Before torch is imported. Two threads on two busy cores wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tables are as wide as the program says, not as wide as the terminal of who tests.
os.environ.pop("COLUMNS", None)

import hypothesis
import pytest

# Nothing is timed in tests: on a busy machine an example may take any time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Say which tests stay together when pytest-xdist spreads them over processes.

    All tests of a module, so that its fixtures are made once; all that start Ray, in
    one process and first, because they wait more than they compute.
    """
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)
