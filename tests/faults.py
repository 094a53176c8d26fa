"""A wire between a real client and a real Elasticsearch that breaks on purpose: raw HTTP on loopback."""

import contextlib
import http.client
import itertools
import json
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

BULK, LOOK_UP = "/_bulk", "/_mget"
_JSON = "application/vnd.elasticsearch+json;compatible-with=8"


class Request(NamedTuple):
    """What the client asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Line:
    """One request on the wire: what a fault may do with it."""

    def __init__(self, client: socket.socket, read: Any, request: Request, server: tuple[str, int]) -> None:
        self.request = request
        self.elsewhere = f"http://{server[0]}:{server[1]}{request.path}"
        self._client = client
        self._read = read
        self._server = server

    def forward(self, body: bytes | None = None) -> tuple[bytes, bytes]:
        """Let the server carry the request out; the head and the body of its answer."""
        connection = http.client.HTTPConnection(*self._server, timeout=30)
        headers = {key: value for key, value in self.request.headers.items() if key != "content-length"}
        connection.request(self.request.method, self.request.path, self.request.body if body is None else body, headers)
        answer = connection.getresponse()
        said = answer.read()
        kept = [(key, value) for key, value in answer.getheaders() if key.lower() not in _OURS]
        connection.close()
        return _head(answer.status, kept, len(said)), said

    def send(self, data: bytes) -> None:
        """Say something to the client."""
        with contextlib.suppress(OSError):
            self._client.sendall(data)

    def answer(self, status: int, body: bytes, *, kind: str = _JSON, **headers: str) -> None:
        """Answer in the server's name."""
        said = [("content-type", kind), ("x-elastic-product", "Elasticsearch"), *headers.items()]
        self.send(_head(status, said, len(body)) + body)

    def close(self) -> None:
        """End the connection as a program does that ends."""
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)
        self._end()

    def reset(self) -> None:
        """End it as a machine does that knows nothing of it: the client gets an RST."""
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end()

    def _end(self) -> None:
        self._read.close()  # it shares the connection, which would stay open with it
        self._client.close()

    def until_given_up(self) -> None:
        """Say nothing until the client ends the connection."""
        with contextlib.suppress(OSError):
            while self._client.recv(65_536):
                pass


Fault = Callable[[Line], None]
Choose = Callable[[Request], Fault | None]
"""The fault of a request, or None; asked once for each, in any thread."""


class Wire:
    """Listens at ``url`` and passes on to ``server``, but for what ``choose`` says.

    ``most`` is how many bulk requests were under way together at most, ``sizes`` the bytes of each. A request of more
    than ``takes_bytes`` meets ``too_long`` while its body is being sent, whatever ``choose`` would say; ``broken`` has
    the bytes of each such.
    """

    def __init__(self, server: str, choose: Choose = lambda _request: None) -> None:
        parts = urlsplit(server)
        self._server = (parts.hostname or "", parts.port or 0)
        self.choose = choose
        self.takes_bytes = sys.maxsize
        self.too_long: Fault = unheard
        self.broken: list[int] = []
        self.sizes: list[int] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as read:
            while (head := _read_head(read)) is not None:
                length = int(head.headers.get("content-length", 0))
                request = head._replace(body=read.read(min(length, self.takes_bytes)))
                if length > self.takes_bytes:
                    self.broken.append(length)
                    self.too_long(Line(client, read, request, self._server))
                    return
                with self._counted(request):
                    line = Line(client, read, request, self._server)
                    fault = self.choose(request)
                    if fault is None:
                        line.send(b"".join(line.forward()))
                    else:
                        fault(line)

    @contextlib.contextmanager
    def _counted(self, request: Request) -> Iterator[None]:
        if not request.path.startswith(BULK):
            yield
            return
        with self._lock:
            self.sizes.append(len(request.body))
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


class InTurn:
    """Chooses for each ``count``-th request of a kind the next fault, until all have happened."""

    def __init__(self, count: int, chosen: Iterable[Fault], path: str = BULK) -> None:
        self.left = deque(chosen)
        self._count = count
        self._path = path
        self._numbers = itertools.count(1)

    def __call__(self, request: Request) -> Fault | None:
        """The fault of this request."""
        if self._path not in request.path or next(self._numbers) % self._count or not self.left:
            return None
        return self.left.popleft()


def unheard(line: Line) -> None:
    """The request never arrives."""
    line.reset()


def unheard_and_closed(line: Line) -> None:
    """The same, and the connection ends as that of a program that ends."""
    line.close()


def forgotten(line: Line) -> None:
    """It is carried out, and the connection is reset before a byte of the answer."""
    line.forward()
    line.reset()


def cut_in_the_head(line: Line) -> None:
    """It is carried out; the connection ends within the answer's headers."""
    head, _ = line.forward()
    line.send(head[: len(head) // 2])
    line.close()


def cut_in_the_body(line: Line) -> None:
    """It is carried out; the connection ends in the middle of the answer."""
    head, body = line.forward()
    line.send(head + body[: len(body) // 2])
    line.close()


def reset_in_the_body(line: Line) -> None:
    """It is carried out; the connection is reset in the middle of the answer."""
    head, body = line.forward()
    line.send(head + body[: len(body) // 2])
    line.reset()


def short(line: Line) -> None:
    """It is carried out; somebody cut the answer, and says that it is whole."""
    _, body = line.forward()
    line.answer(200, body[: len(body) // 2])


def a_page(line: Line) -> None:
    """It is carried out; somebody answers with a page for people."""
    line.forward()
    line.answer(200, b"<html>It works!</html>", kind="text/html")


def a_page_of_nobody(line: Line) -> None:
    """It never arrives; somebody answers with a page for people."""
    line.answer(200, b"<html>Please log in</html>", kind="text/html")


def nothing(line: Line) -> None:
    """It is carried out; the answer is empty."""
    line.forward()
    line.answer(200, b"")


def another_answer(line: Line) -> None:
    """It is carried out; the answer is a good one, to another request."""
    line.forward()
    line.answer(200, b'{"errors":false,"items":[{"create":{"status":201}}]}')


def another_answer_unheard(line: Line) -> None:
    """It never arrives; the answer is a good one, to another request."""
    line.answer(200, b'{"errors":false,"items":[]}')


def done_and_unavailable(line: Line) -> None:
    """It is carried out; somebody between had lost patience (504)."""
    line.forward()
    line.answer(504, b"upstream request timeout", kind="text/plain")


def unavailable(line: Line) -> None:
    """It is not carried out (503)."""
    line.answer(503, b'{"error":{"type":"unavailable_shards_exception","reason":"primary shard is not active"}}')


def too_many(line: Line) -> None:
    """Nothing of it is carried out: there is no room (429)."""
    line.answer(429, b'{"error":{"type":"es_rejected_execution_exception","reason":"indexing pressure"}}')


def half_full(line: Line) -> None:
    """There is room for every other action: the rest are refused with 429 each."""
    lines = line.request.body.split(b"\n")[:-1]
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    _, body = line.forward(b"".join(b"%b\n%b\n" % pair for pair in pairs[::2]))
    items: list[Any] = json.loads(body)["items"]
    full = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue"}}}
    mixed = [items[number // 2] if number % 2 == 0 else full for number in range(len(pairs))]
    line.answer(200, json.dumps({"errors": True, "items": mixed}).encode())


def too_large(line: Line) -> None:
    """Somebody between takes no request of that size (413)."""
    line.answer(413, b"<html>Request Entity Too Large</html>", kind="text/html")


def silent(line: Line) -> None:
    """It is carried out; nobody ever answers."""
    line.forward()
    line.until_given_up()


def late(line: Line) -> None:
    """It is carried out when the client has already given it up."""
    line.until_given_up()
    line.forward()


def moved(line: Line) -> None:
    """It is to be asked elsewhere, as it is (307)."""
    line.answer(307, b"", location=line.elsewhere)


def moved_for_browsers(line: Line) -> None:
    """It is to be asked elsewhere, which clients take for a GET (302)."""
    line.answer(302, b"", location=line.elsewhere)


SLOW = (silent, late)
"""Those that last as long as the client's patience."""
ANYWHERE: tuple[Fault, ...] = (
    *(unheard, forgotten, cut_in_the_head, cut_in_the_body, reset_in_the_body, short, a_page, a_page_of_nobody),
    *(nothing, another_answer_unheard, done_and_unavailable, unavailable, too_many, too_large, moved),
    moved_for_browsers,
)
"""Those that any request may meet."""
QUICK = (*ANYWHERE, another_answer, half_full)
"""Those that a bulk request may meet."""

_OURS = ("content-length", "transfer-encoding", "connection", "content-encoding")


def _head(status: int, headers: list[tuple[str, str]], length: int) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.client.responses[status]}", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join([*lines, f"content-length: {length}", "", ""]).encode()


def _read_head(read: Any) -> Request | None:
    first = read.readline().decode()
    if not first:
        return None
    method, path, _ = first.split(" ")
    headers: dict[str, str] = {}
    while (line := read.readline().decode().strip()) != "":
        key, _, value = line.partition(":")
        headers[key.lower()] = value.strip()
    assert "transfer-encoding" not in headers
    return Request(method, path, headers, b"")
