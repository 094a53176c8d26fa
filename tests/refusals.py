"""A small server that stands for an Elasticsearch that refuses."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def refusing(status: int) -> Iterator[str]:
    """A server that refuses all as Elasticsearch does, status and an ``error`` body; what is yielded is its address."""
    body = json.dumps({"error": {"type": "x", "reason": "no", "caused_by": {"reason": "because"}}, "status": status})

    class Answer(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET: Callable[..., None] = answer  # noqa: N815 - the library's name
        do_POST: Callable[..., None] = answer  # noqa: N815 - the library's name

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
