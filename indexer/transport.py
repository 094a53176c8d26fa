"""Requests to Elasticsearch as bytes, and answers as bytes: nodes, TLS and login are the client's, meaning is ours."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

from elastic_transport import Serializer, TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from tailrace import elastic
from tailrace.causes import CLOSED, cause
from tailrace.settings import Elasticsearch

_JSON = "application/vnd.elasticsearch+json; compatible-with=8"
_NDJSON = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"


class Answer(NamedTuple):
    """An HTTP status and body; status 0 means there was none, and the body says why.

    ``broken`` if that is because a connection ended before an answer came.
    """

    status: int
    body: bytes
    broken: bool = False


class Transport:
    """A client that neither encodes what we send nor decodes what comes back, and never retries.

    One answer is one value: no answer in time, a broken connection, a node that is not Elasticsearch are status 0.
    """

    def __init__(self, settings: Elasticsearch, connections: int) -> None:
        self._client: AsyncElasticsearch = elastic.client(settings, connections=connections)
        known = self._client.transport.serializers.serializers
        for kind in ("vnd.elasticsearch+json", "vnd.elasticsearch+x-ndjson", "json"):  # the last of what stands between
            known[f"application/{kind}"] = _Untouched()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        ndjson: bool = False,
        may_go: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """Send one request and return the answer, whatever it is.

        A body that ``may_go`` no longer allows when the first of it is about to be written is not sent.
        """
        headers = {"accept": _JSON}
        if body is not None:
            headers["content-type"] = _NDJSON if ndjson else _JSON
        try:
            sent = None if body is None else _Body(body, may_go)
            found = await self._client.perform_request(method, path, headers=headers, body=sent)
        except ApiError as error:
            said = error.body if isinstance(error.body, bytes) else str(error.body or "").encode("utf-8", "replace")
            return Answer(error.meta.status, said)
        except TransportError as error:
            return _unanswered(error)
        except (OSError, ValueError, RuntimeError) as error:  # the node lets Python's own through
            return _unanswered(error)
        return Answer(found.meta.status, found.body if isinstance(found.body, bytes) else b"")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def _unanswered(error: Exception) -> Answer:
    found = cause(error)
    return Answer(0, found.text.encode("utf-8", "replace"), broken=found is CLOSED)


class _Untouched(Serializer):
    """Bytes to bytes, and a body as it is: a file, which is sent in chunks and without a copy."""

    mimetype = "application/octet-stream"

    def dumps(self, data: Any) -> Any:  # noqa: ANN401 - the library's signature, whose bytes may be a file
        return data

    def loads(self, data: bytes) -> bytes:
        return data


class _Body(io.BytesIO):
    """A body that the library cannot turn into text, which it would for each request, for a log line nobody reads.

    Nor can it copy the whole, as it would to learn how long it is: a ``BytesIO`` shares its bytes only until somebody
    asks for its buffer.
    """

    def __init__(self, body: bytes, may_go: Callable[[], bool]) -> None:
        super().__init__(body)
        self._body = body
        self._may_go = may_go

    def getbuffer(self) -> memoryview:
        return memoryview(self._body)

    def read(self, size: int | None = -1, /) -> bytes:
        """The next piece, not copied.

        Raises:
            OSError: nothing was sent yet, and nothing may be any more.
        """
        if not self.tell() and not self._may_go():
            message = "not sent: another indexer may have the partitions by now"
            raise OSError(message)
        if size is None or size < 0:
            return super().read(size)
        piece = memoryview(self._body)[self.tell() :][:size]
        self.seek(len(piece), io.SEEK_CUR)
        return piece  # type: ignore[return-value]  # whoever writes takes both

    def decode(self, _encoding: str, _errors: str) -> str:
        """Stand in for the text of the body."""
        return "…"
