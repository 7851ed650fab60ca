"""Whether there is a Ray cluster to be expected at an address, asked without Ray."""

import socket

from search_spaces.errors import InputError

_ANSWER_S = 10.0
"""How long the machine at an address may take to accept a connection (our choice)."""


def check_somebody_listens(address: str) -> None:
    """See that there is something at an address before Ray tries for minutes.

    Args:
        address: As in a config; only ``HOST:PORT`` and ``ray://HOST:PORT`` are tried.

    Raises:
        InputError: The host is not known, or nothing accepts a connection there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            "address must be 'local', 'auto' or that of a running Ray cluster, "
            f"got {address!r}: nothing answers there ({reason})"
        ) from error
