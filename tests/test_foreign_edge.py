"""Records of others on the real Kafka and the real Elasticsearch, with the templates that setup makes."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import create_topic
from test_indexer_edge import Load, Sent, prepared

from indexer import activity
from indexer.cloud_events import OWN
from indexer.plan_templates import templates
from indexer.provision_elastic import shipped
from tailrace.settings import Elasticsearch, Indexer, Settings
from tailrace.stack import Stack

PAGE = Path(__file__).parent.parent / "docs/foreign.md"
_KINDS = {"keyword": "keyword", "long": "long", "double": "double", "date": "date_nanos"}
EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/player",
    "type": "com.example.play",
    "time": "2026-11-23T18:00:00Z",
}


class Others(Load):
    """A site with streams for logs, activity and metrics of its own, by the product's templates."""

    def prepare(self, **topic: str) -> None:
        """Templates above those that are there for everybody's streams, topics, and topics' streams."""
        super().prepare(**topic)
        self.elastic(f"/_index_template/{self.name}", method="DELETE")
        kinds = ("logs", "logs-activity.", "metrics")
        allowed = [f"{kind}{self.name}-*" if kind.endswith(".") else f"{kind}-{self.name}-*" for kind in kinds]
        settings = Settings(elasticsearch=Elasticsearch(replicas=0), indexer=Indexer(allowed_streams=allowed))
        for one in templates(shipped(), settings, {"match_only_text"}, self.name):
            body = one.body | ({"priority": one.body["priority"] + 800} if "priority" in one.body else {})
            self.elastic(f"/_{one.kind.replace(' ', '_')}/{one.name}", body, "PUT")
        self.indexer["allowed_streams"] = allowed

    def to(self, stream: str) -> None:
        """Records of others that name no stream go there."""
        self.indexer["streams"] = {self.topic: stream}

    def documents(self, stream: str) -> dict[str, dict[str, Any]]:
        """All documents of a stream by their ids."""
        self.elastic(f"/{stream}/_refresh", method="POST")
        hits = self.elastic(f"/{stream}/_search", {"size": 1000})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}

    def types(self, stream: str) -> dict[str, str]:
        """The type of each field of a stream."""
        found = self.elastic(f"/{stream}/_field_caps?fields=*&filters=-metadata,-parent", method="GET")["fields"]
        return {name: "/".join(sorted(kinds)) for name, kinds in found.items()}


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Others]:
    """Its templates and topics are there."""
    yield from prepared(Others(tmp_path, stack, names))


def _json(*values: Any) -> list[Sent]:
    return [Sent(json.dumps(value).encode(), []) for value in values]


def _mapped(*names: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(properties: dict[str, Any], above: str) -> None:
        for name, field in properties.items():
            if "type" in field:
                found[above + name] = field["type"]
            walk(field.get("properties", {}), f"{above}{name}.")

    for name in names:
        walk(shipped()[name]["template"]["mappings"]["properties"], "")
    return found


def test_every_field_of_an_event_is_mapped() -> None:
    """Attributes and activity: what the indexer takes a value for has that type in the templates, and the reverse."""
    own = _mapped("tailrace@activity")
    assert {name: _KINDS[kind] for name, kind in activity.FIELDS.items()} == own
    known = _mapped("tailrace@mappings")
    assert {known.get(field) for field in OWN.values()} == {"keyword"}


@pytest.mark.edge
def test_events_in_both_modes_are_stored_and_found(site: Others) -> None:
    """With an own payload of each kind under the same keys: nothing conflicts, nothing is a dead letter."""
    payloads = [{"a": 1}, {"a": "x"}, {"a": {"b": 2}}, {"a": [1, {"b": "y"}]}, {"a": None}, "text", 7, None, [1, "x"]]
    structured = _json(*({**EVENT, "data": payload} for payload in payloads))
    headers = [(f"ce_{name}", text.encode()) for name, text in EVENT.items()]
    binary = [Sent(json.dumps(payload).encode(), headers, 1) for payload in payloads]
    site.send([*structured, *binary, Sent(None, headers, 2, b"k")])
    site.to(site.stream)
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (2 * len(payloads) + 1, 0)
    documents = site.documents(site.stream)
    for offset in range(len(payloads)):
        one, other = (documents[f"{site.topic}-{partition}-{offset}"] for partition in (0, 1))
        for document in (one, other):
            del document["event"]["created"]
        assert one == other
    query = {
        "query": {"bool": {"filter": [{"term": {"event.action": "com.example.play"}}, {"term": {"event.id": "e-1"}}]}}
    }
    assert _count(site, query) == len(documents) == 2 * len(payloads) + 1
    assert site.types(site.stream)["numeric_labels.a"] == "double"


@pytest.mark.edge
def test_the_producer_of_the_documentation_sends_what_it_says(site: Others) -> None:
    """One plain document, and two events that differ only in their ids."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    code = code.replace("localhost:9092", site.bootstrap_servers).replace('"orders"', f'"{site.topic}"')
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    site.to(site.stream)
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (3, 0)
    plain, structured, binary = sorted(
        site.documents(site.stream).values(), key=lambda one: one.get("event", {}).get("id", "")
    )
    assert (plain["message"], plain["order"]) == ("order placed", {"id": "o-17", "total": 12.5})
    assert (structured["event"].pop("id"), binary["event"].pop("id")) == ("e-1", "e-2")
    for event in (structured, binary):
        del event["event"]["created"]
    assert structured["event"]["action"] == "com.example.order.placed"
    assert (structured["message"], structured["labels"]["order.id"]) == ("order placed", "o-17")
    del binary["cloudevents"]["datacontenttype"]
    assert structured == binary


@pytest.mark.edge
def test_activity_is_ready_for_dashboards(site: Others) -> None:
    """Plain JSON and CloudEvents have the same fields of the same types; what does not fit is a dead letter."""
    stream = f"logs-activity.{site.name}-default"
    play = {
        "action": "play",
        "user": {"id": "u1"},
        "session": {"id": "s1"},
        "content": {"id": "c1", "season": 2},
        "position_seconds": 0,
        "rating": 4,
        "device": {"type": "tv"},
        "new": 3,
    }
    broken = {**play, "user": "u1"}
    site.send(_json(play, {**EVENT, "data": {**play, "action": "stop", "position_seconds": 61.5}}, broken))
    site.to(stream)
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (2, 1)
    (letter,) = site.letters()
    said = dict(letter.headers)
    assert (said["tailrace.reason"], said["tailrace.field"]) == (b"mapping", b"user")
    assert len(site.documents(stream)) == 2
    types = site.types(stream)
    wanted = {"action": "keyword", "position_seconds": "double", "rating": "double", "content.season": "long"}
    wanted |= {"user.id": "keyword", "session.id": "keyword", "device.type": "keyword", "new": "double"}
    assert {name: types[name] for name in wanted} == wanted
    aggregations = {"by": {"terms": {"field": "action"}, "aggs": {"at": {"max": {"field": "position_seconds"}}}}}
    answer = site.elastic(f"/{stream}/_search", {"size": 0, "aggregations": aggregations})
    buckets = answer["aggregations"]["by"]["buckets"]
    assert {one["key"]: one["at"]["value"] for one in buckets} == {"play": 0, "stop": 61.5}


@pytest.mark.edge
def test_measurements_are_doubles_by_any_name(site: Others) -> None:
    """Whole numbers first or later, texts to group by; a document names its own stream."""
    named = {"data_stream": {"type": "metrics", "dataset": site.name}}
    values = [
        {"cpu": {"pct": 1}, "zone": "a"},
        {"cpu": {"pct": 0.25}, "zone": "b"},
        {"value": 3, "metric": {"name": "x"}},
    ]
    site.send(_json(*({**one, **named} for one in values)))
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (3, 0)
    stream = f"metrics-{site.name}-default"
    assert len(site.documents(stream)) == 3
    types = site.types(stream)
    wanted = {"cpu.pct": "double", "value": "double", "zone": "keyword", "metric.name": "keyword"}
    assert {name: types[name] for name in wanted} == wanted
    answer = site.elastic(f"/{stream}/_search", {"aggregations": {"m": {"min": {"field": "cpu.pct"}}}})
    assert answer["aggregations"]["m"]["value"] == 0.25


def _count(site: Others, query: dict[str, Any]) -> int:
    """How many documents of the stream match."""
    return int(site.elastic(f"/{site.stream}/_count", query)["count"])


@pytest.mark.edge
def test_a_second_group_reads_the_same_topic_on_its_own(site: Others) -> None:
    """All records again, with commits and dead letters of its own; while a stream has one index the ids are known."""
    site.send([*site.records(30), Sent(b"\xff", [])])
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (30, 1)
    second = Others(site.folder, site.stack, site.name)
    second.dead = f"{site.name}.second.dead"
    asyncio.run(create_topic(site.bootstrap_servers, second.dead))
    found = second.index_once(group=f"{site.name}-second", allowed_streams=site.indexer["allowed_streams"])
    assert (found["duplicates"], found["dead"], found["stored"]) == (30, 1, 0)
    assert (len(site.letters()), len(second.letters())) == (1, 1)
    assert len(site.ids()) == 30
    assert site.index_once(group=f"{site.name}-indexer")["polled"] == 0
