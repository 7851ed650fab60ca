"""Who may ask the server: this machine, or who has the token.

A page of somebody else in the same browser can send requests to a loopback address, and
with DNS rebinding read the answers. So every request must name a host that we are
(rebinding needs a name of the attacker's), and what changes something must come from
our own page.
"""

import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from search_spaces.errors import InputError

COOKIE = "nas_token"

MIN_TOKEN = 16
"""Characters of a token (our choice: `openssl rand -hex 16` gives 32)."""

_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{MIN_TOKEN},}}")
"""Those of a bearer token (RFC 6750): hex, base64, nothing that ends a cookie."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """What a request must bring.

    Attributes:
        host: Address that the server listens on.
        token: What strangers must know, or ``""`` on a loopback address.
    """

    host: str
    token: str = ""

    def __post_init__(self) -> None:
        if not self.is_local and not self.token:
            raise InputError(
                f"--host {self.host} can be reached from other machines, so it needs "
                "--token (or NAS_SERVE_TOKEN): a secret of "
                f"{MIN_TOKEN} characters or more, e.g. from `openssl rand -hex 16`"
            )
        if self.token and not _TOKEN.fullmatch(self.token):
            raise InputError(
                f"a token has {MIN_TOKEN} plain characters or more (letters, digits "
                f"and -._~+/=), got {len(self.token)} characters"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def knows_host(self, header: str | None) -> bool:
        """Whether the Host header of a request names this server.

        Args:
            header: ``NAME`` or ``NAME:PORT``.
        """
        try:
            name = urlsplit(f"//{header}").hostname if header else None
        except ValueError:
            return False
        if name is None:
            return False
        if name in LOOPBACK_NAMES or name == self.host:
            return True
        if self.is_local:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            own = {socket.gethostname(), socket.getfqdn()}
            return name in {one.lower() for one in own}
        return True  # an address is nobody's name: it cannot be rebound

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether a request that changes something comes from our own page.

        Args:
            origin: Its Origin header; browsers send one with every POST.
            host: Its Host header.
        """
        return bool(origin and host) and urlsplit(origin or "").netloc == host

    def allows(self, token: str | None) -> bool:
        """Whether a token is the right one; compared in constant time."""
        if not self.token:
            return True
        given = (token or "").encode("utf-8", "replace")
        return hmac.compare_digest(given, self.token.encode())


def token_of_cookie(header: str | None) -> str | None:
    """The token in a Cookie header, if there is one."""
    try:
        morsel = SimpleCookie(header or "").get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value
