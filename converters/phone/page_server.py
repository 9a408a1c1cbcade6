"""The page of a folder, served to this machine alone, by waitress."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from waitress.server import create_server

from edge_melanoma.errors import EdgeMelanomaError

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""That of the page itself, and that nobody may put it into a frame."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
OTHER_TYPE = "application/octet-stream"
PORTS = range(65536)
MOST_CONNECTIONS = 32
IDLE_SECONDS = 20

Start = Callable[[str, list[tuple[str, str]]], object]


class PageServer(Protocol):
    """What waitress gives: bound, not yet running."""

    effective_port: int

    def run(self) -> None:
        """Serve until Ctrl-C."""

    def close(self) -> None:
        """Let go of the port."""


def make_server(folder: Path, *, port: int) -> PageServer:
    """A server of a folder's files for this machine alone, bound, not yet running.

    Port 0 is a free one. Links, hidden files and folders are not there; a browser that was led here
    by another name than the bound one is refused.

    Raises:
        EdgeMelanomaError: the port cannot be had.
    """
    bound = [port]
    try:
        if port not in PORTS:
            raise ValueError(f"expected 0 to {PORTS[-1]}")
        server: Any = create_server(
            lambda request, start: _answer(folder.resolve(), bound[0], request, start),
            host=HOST,
            port=port,
            threads=4,
            connection_limit=MOST_CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_SECONDS,
            ident=None,
            clear_untrusted_proxy_headers=True,
            map={},
        )
    except (OSError, OverflowError, ValueError) as error:
        raise EdgeMelanomaError(
            f"--port {port} cannot be used ({error}); give another one, or 0 for any."
        ) from error
    bound[0] = server.effective_port
    found: PageServer = server
    return found


def _answer(folder: Path, port: int, request: dict[str, Any], start: Start) -> Iterable[bytes]:
    status, kind, content = "404 Not Found", "text/plain", b"Not here.\n"
    if request.get("HTTP_HOST") != f"{HOST}:{port}":
        status, content = "421 Misdirected Request", b"Another host.\n"
    elif request["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        status, content = "405 Method Not Allowed", b"GET alone.\n"
    elif (path := _file_at(folder, request["PATH_INFO"])) is not None:
        status, kind = "200 OK", TYPES.get(path.suffix, OTHER_TYPE)
        content = path.read_bytes()
    headers = HEADERS | {"Content-Type": kind, "Content-Length": str(len(content))}
    start(status, list(headers.items()))
    return [b"" if request["REQUEST_METHOD"] == "HEAD" else content]


def _file_at(folder: Path, place: str) -> Path | None:
    """The file of the page at a place; none where a part of it is hidden, or a link anywhere."""
    parts = place[1:].split("/") if place != "/" else ["index.html"]
    if any(not part or part.startswith(".") or "\0" in part for part in parts):
        return None
    path = folder.joinpath(*parts)
    try:
        return path if path.resolve() == path and path.is_file() else None
    except OSError:
        return None
