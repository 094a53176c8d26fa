"""The shipped templates on the real Elasticsearch: nothing a service writes through the shipper is refused."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.plan_templates import templates
from indexer.provision_elastic import shipped
from shipper.ecs import FIELDS
from tailrace import elastic
from tailrace.settings import Elasticsearch, Indexer, Settings
from tailrace.stack import Stack

_JSON = {"accept": "application/json", "content-type": "application/json"}
_LINES = {"accept": "application/json", "content-type": "application/x-ndjson"}
_TYPES = {
    "keyword": {"keyword"},
    "long": {"long"},
    "ip": {"ip"},
    "date": {"date_nanos"},
    "text": {"match_only_text", "text"},
}

# The shipper names an empty or blank key "_"; all else may come, dots in any place included.
_PARTS = st.sampled_from(["a", "b", "a.b", "a.b.c", ".", "..", ".a", "a.", "a..b", "_id", "*", "é", "名", " x", "a b"])
_KEYS = (_PARTS | st.text(min_size=1, max_size=40) | st.lists(_PARTS, min_size=2, max_size=30).map(".".join)).filter(
    lambda key: key.strip() != ""
)
_TEXTS = st.text(max_size=50) | st.integers(1000, 40_000).map("x".__mul__) | st.integers(9000, 12_000).map("名".__mul__)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
_DOCUMENTS = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(_KEYS, _TEXTS, max_size=8),
        "numeric_labels": st.dictionaries(_KEYS, _NUMBERS, max_size=8),
    }
)


def _document(**fields: Any) -> dict[str, Any]:
    """A document in the form in which the shipper writes it."""
    return {
        "@timestamp": "2026-11-23T18:00:00.123456789Z",
        "message": "GET /title/1 took 3 ms",
        "log": {"level": "info", "logger": "x", "offset": 123, "file": {"path": "/var/log/a.log"}, "flags": ["time"]},
        "service": {"name": "playback"},
        "trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"},
        "ecs": {"version": "8.11.0"},
        "host": {"name": "h"},
        "agent": {"type": "tailrace", "version": "0.1.0"},
        "data_stream": {"type": "logs", "dataset": "playback", "namespace": "default"},
        "event": {"dataset": "playback", "created": "2026-11-23T18:00:00.2Z"},
        "tailrace": {"source": "0123456789abcdef0123", "bytes": 331, "skipped": 0},
        **fields,
    }


class Streams:
    """A data stream that the product's templates make, under a name of one test's own.

    ``own`` are settings in the template that is the user's, which win over ours.
    """

    def __init__(self, stack: Stack, name: str, own: dict[str, Any] | None = None) -> None:
        self._elastic = Elasticsearch(hosts=[stack.elasticsearch_url], replicas=0)
        self.stream = f"synthetics-{name}-default"
        setup = Settings(elasticsearch=self._elastic, indexer=Indexer(allowed_streams=[f"synthetics-{name}-*"]))
        for template in templates(shipped(), setup, {"match_only_text"}, name):
            path = f"/_{template.kind.replace(' ', '_')}/" if template.kind != "index template" else "/_index_template/"
            body = {"template": {"settings": own or {}}} if template.once else template.body
            self.call("PUT", path + template.name, body)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] = _JSON) -> Any:
        async def send() -> Any:
            async with elastic.client(self._elastic) as client:
                return (await client.perform_request(method, path, headers=headers, body=body)).body

        return asyncio.run(send())

    def store(self, *documents: dict[str, Any], refresh: bool = True) -> list[dict[str, Any]]:
        """Store documents as the indexer does; the answer's items."""
        body = b"".join(b'{"create":{}}\n' + msgspec.json.encode(one) + b"\n" for one in documents)
        answer = self.call("POST", f"/{self.stream}/_bulk?refresh={str(refresh).lower()}", body, _LINES)
        return [item["create"] for item in answer["items"]]

    def search(self, **body: Any) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = self.call("POST", f"/{self.stream}/_search", body)["hits"]["hits"]
        return hits


@pytest.fixture(scope="module")
def streams(stack: Stack) -> Streams:
    """One for all tests of this file, so that what one wrote may stand in the way of another.

    With room for many fields: beyond the limit nothing is mapped, so nothing could be in the way any more.
    """
    import secrets

    return Streams(stack, f"t{secrets.token_hex(4)}", {"index.mapping.total_fields.limit": 20_000})


def test_every_field_the_shipper_claims_is_mapped() -> None:
    """With the type the shipper checks values for, so that none is left to dynamic guessing."""
    mapped = _mapped(shipped()["tailrace@mappings"]["template"]["mappings"]["properties"])
    assert {name: kind for name, kind in FIELDS.items() if mapped.get(name) not in _TYPES[kind]} == {}


@pytest.mark.edge
def test_a_document_of_the_shipper_is_stored_as_it_is(streams: Streams) -> None:
    """Its source comes back unchanged, its time to the nanosecond, and it is found by its fields."""
    document = _document(labels={"user.plan": "x"}, numeric_labels={"duration_ms": 3, "big": 2**53})
    assert [item["status"] for item in streams.store(document)] == [201]
    query = {
        "bool": {"filter": [{"term": {"labels.user.plan": "x"}}, {"range": {"numeric_labels.duration_ms": {"gt": 2}}}]}
    }
    (hit,) = streams.search(query=query, fields=["@timestamp"])
    assert hit["_source"] == document
    assert hit["fields"]["@timestamp"] == ["2026-11-23T18:00:00.123456789Z"]


@pytest.mark.edge
@settings(max_examples=40, deadline=None)
@given(st.lists(_DOCUMENTS, min_size=1, max_size=4))
def test_no_label_is_ever_refused(streams: Streams, labels: list[dict[str, Any]]) -> None:
    """Any key (dots, clashes such as ``a`` and ``a.b``, control and other characters), any text, any number."""
    items = streams.store(*(_document(**one) for one in labels), refresh=False)
    assert [item.get("error") for item in items] == [None] * len(labels)


@pytest.mark.edge
def test_fields_beyond_the_limit_are_kept_and_not_indexed(stack: Stack, names: str) -> None:
    """The thousandth label does not make a document a dead letter."""
    streams = Streams(stack, names)
    document = _document(labels={f"label.{number}": "v" for number in range(1500)}, message="beyond")
    assert [item["status"] for item in streams.store(document)] == [201]
    (hit,) = streams.search(query={"match": {"message": "beyond"}})
    assert len(hit["_source"]["labels"]) == 1500


@pytest.mark.edge
def test_a_malformed_field_is_ignored_and_told(streams: Streams) -> None:
    """A foreign record with a wrong type keeps its document: the field stands in ``_ignored``."""
    document = _document(
        message="malformed",
        event={"created": "yesterday", "original": "z" * 50_000},
        http={"response": {"status_code": "teapot"}},
        source={"ip": "nowhere"},
        numeric_labels={"n": "three"},
    )
    assert [item["status"] for item in streams.store(document)] == [201]
    (hit,) = streams.search(query={"match": {"message": "malformed"}})
    assert hit["_source"] == document
    assert {"event.created", "http.response.status_code", "source.ip"} <= set(hit["_ignored"])


@pytest.mark.edge
def test_objects_of_foreign_records_are_kept(streams: Streams) -> None:
    """Fields nobody has named are mapped as they come, deep ones too, and texts that look like dates stay texts."""
    order: dict[str, Any] = {"id": "A1", "placed": "2026-11-23", "items": [{"sku": "x", "price": 1.5}, {"sku": "y"}]}
    deep: dict[str, Any] = order
    for level in range(12):
        deep[f"level{level}"] = deep = {"name": f"n{level}"}
    document = _document(order=order, message="foreign")
    assert [item["status"] for item in streams.store(document, _document(order={"placed": "soon"}))] == [201, 201]
    path = ".".join(["order", *(f"level{level}" for level in range(12)), "name"])
    (hit,) = streams.search(query={"bool": {"filter": [{"term": {path: "n11"}}, {"term": {"order.items.sku": "y"}}]}})
    assert hit["_source"] == document
    assert len(streams.search(query={"term": {"order.placed": "soon"}})) == 1


def _mapped(properties: dict[str, Any], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in properties.items():
        if "properties" in field:
            found |= _mapped(field["properties"], f"{above}{name}.")
        else:
            found[above + name] = field["type"]
    return found
