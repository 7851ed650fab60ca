import socket
import time

import pytest

from nas.execution.cluster_address import check_somebody_listens
from search_spaces.errors import InputError


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}"])
def test_an_address_where_nobody_is_is_told_at_once(form):
    with socket.socket() as taken:  # a port that is free once this is closed
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(InputError, match="nothing answers there") as caught:
        check_somebody_listens(form.format(port))
    assert time.monotonic() - started < 5
    assert "\n" not in str(caught.value)


def test_what_listens_is_left_to_ray():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_somebody_listens(f"127.0.0.1:{port}")
        check_somebody_listens(f"ray://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["local", "auto", "127.0.0.1", "ray://host"])
def test_other_forms_are_not_tried(address):
    check_somebody_listens(address)


def test_a_port_that_there_cannot_be_is_told():
    with pytest.raises(InputError, match="nothing answers there"):
        check_somebody_listens("127.0.0.1:99999999")
