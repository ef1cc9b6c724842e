"""The web server of the viewer: a fixed set of files, and the newest frame on request.

A browser asks for the next frame when it has drawn the last one, so frames are dropped where the
line or the browser is slow, and nothing queues up anywhere. Only what is asked for is encoded.

Who may look: a server on the loopback interface answers to the names of the loopback interface
alone, which keeps out web pages that rebind their own name to 127.0.0.1. On any other interface
frames are given to those who know the token, which is part of the address that is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import hmac
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import ipaddress
import json
import secrets
import socket
import sys
import threading
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from depth_perception.core.colours import ColourScale
from depth_perception.core.palettes import PALETTES
from depth_perception.errors import FrameError, SettingsError
from depth_perception.resources import resource_path
from depth_perception.view.encoding import FrameEncoder, packed
from depth_perception.view.feed import Feeds
from depth_perception.view.frames import Decoded, FrameSet

MOST_CONNECTIONS = 32
_WAIT_S = 1.0  # for the next frame, before the status is sent alone
_IDLE_S = 20.0  # a connection that says nothing for so long is closed
_POLL_S = 0.05
_MOST_TARGET = 2048
_FILES = {
    '/': ('view.html', 'text/html; charset=utf-8'),
    '/view.css': ('view.css', 'text/css; charset=utf-8'),
    **{
        f'/{name}.js': (f'{name}.js', 'text/javascript; charset=utf-8')
        for name in ('frame', 'panels', 'points', 'scale', 'view')
    },
}
_HEADERS = {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}


class ViewServer(ThreadingHTTPServer):
    """Serves the page and the frames of `feeds`; call `start`, and `close` at the end.

    Attributes:
        token: What a request for frames must know; '' on the loopback interface.
        defect: Told of an exception that no client should be able to cause.

    Args:
        feeds: The cameras.
        host: Address to listen on.
        port: Port; 0: any free one.
        most_side_px: Depth with a longer side is thinned out.

    Raises:
        SettingsError: If the address cannot be listened on.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, feeds: Feeds, host: str, port: int, most_side_px: int = 960) -> None:
        self.feeds = feeds
        self.defect: Callable[[Any], None] | None = None
        self._most_side_px = most_side_px
        self._connections = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._encoders: dict[str, _Encoded] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_S,), name='web', daemon=True
        )
        try:
            places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.address_family, address = places[0][0], places[0][4]
            super().__init__(address[:2], _Handler)  # type: ignore[arg-type]
        except OSError as error:
            raise SettingsError(
                f'cannot listen on {host} port {port}: {error.strerror or error}; choose another '
                'one with --port, or 0 for any'
            ) from error
        self.loopback = ipaddress.ip_address(str(self.server_address[0])).is_loopback
        self.token = '' if self.loopback else secrets.token_urlsafe(24)

    def server_bind(self) -> None:
        """Bind without asking a name server for the name of this machine."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        host = str(self.server_address[0])
        if ipaddress.ip_address(host).is_unspecified:
            host = socket.gethostname()
        name = f'[{host}]' if ':' in host else host
        query = f'?token={self.token}' if self.token else ''
        return f'http://{name}:{self.server_port}/{query}'

    def start(self) -> None:
        """Serve, in threads of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop to serve."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, unless there are too many."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of a defect; a client that goes away or stalls is none."""
        del request, client_address
        error = sys.exc_info()[1]
        if self.defect is not None and not isinstance(error, OSError):
            self.defect(error)

    def frame(self, camera: str, after: int) -> bytes:
        """Return the newest frame of a camera unless it is number `after`; else its status."""
        feed = self.feeds.get(camera)
        facts: dict[str, Any] = {'cameras': self.feeds.names(), 'remark': self.feeds.remark}
        if feed is None:
            threading.Event().wait(_WAIT_S)
            return packed({**facts, 'cameras': self.feeds.names()}, {})
        newest = feed.newer(after, _WAIT_S)
        facts |= {'name': feed.name, 'status': feed.status, 'rate_hz': feed.rate_hz}
        facts['age_s'] = min(feed.age_s, 1e9)
        if newest is None:
            return packed(facts, {})
        with self._lock:
            encoded = self._encoders.setdefault(
                feed.name, _Encoded(FrameEncoder(self._most_side_px))
            )
        return encoded.bytes_of(*newest, facts)


class _Encoded:
    """The bytes of the newest frame of a camera, made once for all who ask."""

    def __init__(self, encoder: FrameEncoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._number = -1
        self._bytes = b''

    def bytes_of(self, number: int, frame: FrameSet | Decoded, facts: Mapping[str, Any]) -> bytes:
        with self._lock:
            if number != self._number:
                try:
                    self._bytes = self._encoder.encode(number, frame, facts)
                except FrameError as error:
                    self._bytes = packed({**facts, 'remarks': [str(error)]}, {})
                self._number = number
            return self._bytes


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = 'HTTP/1.1'
    server_version = 'depth_perception'
    sys_version = ''
    error_message_format = '%(message)s\n'
    error_content_type = 'text/plain; charset=utf-8'
    timeout = _IDLE_S
    disable_nagle_algorithm = True

    @property
    def _view(self) -> ViewServer:
        return cast(ViewServer, self.server)

    def do_GET(self) -> None:
        """Answer a request."""
        if len(self.path) > _MOST_TARGET:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif not self._host_is_ours():
            self.send_error(HTTPStatus.FORBIDDEN, 'this server has another name')
        elif not self._page_is_ours():
            self.send_error(HTTPStatus.FORBIDDEN, 'asked for by another site')
        else:
            self._answer()

    def _answer(self) -> None:
        path, _, query = self.path.partition('?')
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(resource_path('web', name).read_bytes(), kind)
        elif path == '/palettes.json':
            self._send(_palettes(), 'application/json')
        elif path == '/frame':
            self._answer_frame(query)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _answer_frame(self, query: str) -> None:
        try:
            given = parse_qs(query, max_num_fields=8)
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        token = given.get('token', [''])[-1]
        if self._view.token and not hmac.compare_digest(
            token.encode('utf-8', 'surrogateescape'), self._view.token.encode()
        ):
            self.send_error(HTTPStatus.UNAUTHORIZED, 'open the address that the viewer printed')
            return
        after = given.get('after', ['-1'])[-1]
        number = int(after) if after.isdecimal() and len(after) < 16 else -1
        camera = given.get('camera', [''])[-1]
        self._send(self._view.frame(camera, number), 'application/octet-stream')

    def _host_is_ours(self) -> bool:
        """Return whether the request names the loopback interface, where we listen on it alone.

        The port does not count: it differs behind `ssh -L`.
        """
        hosts = self.headers.get_all('Host') or []
        if len(hosts) != 1:
            return False
        if not self._view.loopback:
            return True
        try:
            name = urlsplit(f'//{hosts[0]}').hostname or ''
            return name == 'localhost' or ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _page_is_ours(self) -> bool:
        origin = self.headers.get('Origin')
        if origin is not None and origin != f'http://{self.headers.get("Host")}':
            return False
        return self.headers.get('Sec-Fetch-Site', 'none') in ('none', 'same-origin')

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def end_headers(self) -> None:
        """Add what every answer carries."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: requests come many times a second."""


def _palettes() -> bytes:
    tables = {name: ColourScale(1.0, 2.0, palette=name).table.tolist() for name in PALETTES}
    return json.dumps({'tables': tables}).encode()
