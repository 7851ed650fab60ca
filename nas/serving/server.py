"""The HTTP server behind `nas serve`: a few fixed addresses, nothing of the disk.

The standard library's server is enough: a handful of requests in a second, and no
dependency that listens on a port.
"""

import json
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from nas.serving.access import COOKIE, Access, token_of_cookie
from nas.serving.live_study import LiveStudy
from nas.serving.overview import overview_page
from search_spaces.errors import InputError

MAX_BODY = 64 * 1024
"""Bytes of a note as it is sent; our choice, ten times what one can hold."""

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


class StudyServer(ThreadingHTTPServer):
    """Serves the pages of some studies.

    Args:
        paths: The study directories.
        host: Address to listen on.
        port: Port, 0 for any that is free.
        token: What other machines must know.
        edit: Whether notes may be written.

    Raises:
        InputError: A study cannot be opened, the address cannot be listened on, or it
            is not a loopback address and there is no token.
    """

    daemon_threads = True

    def __init__(
        self,
        paths: Sequence[Path],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str = "",
        edit: bool = False,
    ) -> None:
        self.access = Access(host, token)
        self.edit = edit
        self.studies = [
            LiveStudy(path, f"/{index}/", edit=edit) for index, path in enumerate(paths)
        ]
        if ":" in host:
            import socket

            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise InputError(
                f"nothing can listen on {host} port {port}: {error.strerror or error}"
            ) from error

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = self.access.host
        shown = f"[{host}]" if ":" in host else host
        token = quote(self.access.token, safe="")
        query = f"?token={token}" if token else ""
        return f"http://{shown}:{self.server_address[1]}/{query}"


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer
    server_version = "nas"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30  # a client that says nothing does not hold a thread for ever

    def do_GET(self) -> None:
        """A page or its data."""
        parts = urlsplit(self.path)
        given = parse_qs(parts.query).get("token")
        if not self._is_ours():
            return
        if given and self.server.access.token:
            self._take_token(given[0], parts.path)
            return
        if not self._may_read():
            return
        self._answer(parts.path, parse_qs(parts.query))

    def do_POST(self) -> None:
        """A note."""
        self.close_connection = True  # whatever of the body is not read is dropped
        if not self._is_ours() or not self._may_read():
            return
        access, headers = self.server.access, self.headers
        if not access.is_own_page(headers.get("Origin"), headers.get("Host")):
            self._refuse(HTTPStatus.FORBIDDEN, "notes come from the page itself")
            return
        if headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a note is sent as JSON")
            return
        match urlsplit(self.path).path.split("/"):
            case ["", study, "note"] if (found := self._study(study)) is not None:
                self._note(found)
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, "there is no such address")

    def _answer(self, path: str, query: dict[str, list[str]]) -> None:
        try:
            match path.split("/"):
                case ["", ""] if len(self.server.studies) == 1:
                    self._send_page(self.server.studies[0].page())
                case ["", ""]:
                    self._send_page(overview_page(self._overview()))
                case ["", "overview.json"]:
                    self._send_json(json.dumps(self._overview(), allow_nan=False))
                case ["", study, what] if (found := self._study(study)) is not None:
                    self._answer_study(found, what, query)
                case _:
                    self._refuse(HTTPStatus.NOT_FOUND, "there is no such address")
        except InputError as error:  # a study that was damaged or moved meanwhile
            self._refuse(HTTPStatus.CONFLICT, str(error))

    def _answer_study(
        self, study: LiveStudy, what: str, query: dict[str, list[str]]
    ) -> None:
        if what == "":
            self._send_page(study.page())
        elif what == "status.json":
            self._send_json(json.dumps(study.status(), allow_nan=False))
        elif what == "data.json":
            text = study.data(query.get("version", [""])[0])
            if text is None:
                self._send(HTTPStatus.NO_CONTENT, b"", "application/json")
            else:
                self._send_json(text)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such address")

    def _overview(self) -> list[dict[str, Any]]:
        return [
            {**study.front(), "status": study.status()} for study in self.server.studies
        ]

    def _study(self, text: str) -> LiveStudy | None:
        """A study by its place among those that are served; never by a path."""
        studies = self.server.studies
        if not (text.isascii() and text.isdecimal()) or len(text) > 4:
            return None
        return studies[int(text)] if int(text) < len(studies) else None

    def _note(self, study: LiveStudy) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a note is short")
            return
        try:
            sent = json.loads(self.rfile.read(length))
            number, note, tags = sent["number"], sent["note"], sent["tags"]
            if type(number) is not int:
                raise TypeError
        except (ValueError, KeyError, TypeError):
            message = "a note is {number, note, tags}"
            self._refuse(HTTPStatus.BAD_REQUEST, message)
            return
        try:
            kept = study.write_note(number, note, tags)
        except InputError as error:
            is_input = self.server.edit
            refused = HTTPStatus.BAD_REQUEST if is_input else HTTPStatus.FORBIDDEN
            self._refuse(refused, str(error))
            return
        self._send_json(json.dumps(kept))

    # ---------------------------------------------------------------- who may ask

    def _is_ours(self) -> bool:
        if self.server.access.knows_host(self.headers.get("Host")):
            return True
        self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this host name is not ours")
        return False

    def _may_read(self) -> bool:
        token = token_of_cookie(self.headers.get("Cookie"))
        if self.server.access.allows(token):
            return True
        self._refuse(HTTPStatus.UNAUTHORIZED, "open the address that has the token")
        return False

    def _take_token(self, token: str, path: str) -> None:
        """Turn the token of an address into a cookie, so that it leaves the address."""
        if not self.server.access.allows(token):
            self._refuse(HTTPStatus.UNAUTHORIZED, "the token is wrong")
            return
        goal = path if path.startswith("/") and not path.startswith("//") else "/"
        cookie = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
        more = {"Location": goal, "Set-Cookie": cookie}
        self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", more)

    # ---------------------------------------------------------------- answers

    def _send_page(self, html: str) -> None:
        self._send(HTTPStatus.OK, html.encode(), "text/html; charset=utf-8")

    def _send_json(self, text: str) -> None:
        self._send(HTTPStatus.OK, text.encode(), "application/json")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._send(status, body, "application/json")

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        kind: str,
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a page asks every few seconds."""
