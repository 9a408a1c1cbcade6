"""A small server for the page, on this machine alone."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""That of the page itself, and that nobody may put it into a frame."""


class PageHandler(SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on, and without a word on stderr."""

    extensions_map = {  # noqa: RUF012 - declared so by the library
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".tflite": "application/octet-stream",
    }

    def end_headers(self) -> None:
        """With the policy, and without anything kept by the browser on its own."""
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the page's address was said, and no more is of interest."""


def make_server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """A server of a folder, bound and not yet running; port 0 takes a free one.

    Raises:
        EdgeMelanomaError: the port cannot be had.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(PageHandler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise EdgeMelanomaError(
            f"--port {port} cannot be used ({error}); give another one, or 0 for any."
        ) from error
