"""Filters on the real Kafka and the real Elasticsearch: no secret leaves the host; what is dropped is counted."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTopic
from processes import Site, append, chain, read_records, read_topic, until

from tailrace.stack import Stack

pytestmark = [pytest.mark.edge, pytest.mark.usefixtures("templates")]

SECRETS = {
    "email": "planted.user@example.com",
    "card": "4111 1111 1111 1111",
    "ipv4": "10.99.88.77",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJlLXBsYW50ZWQ",
    "cloud_key": "AKIAPLANTEDPLANTED22",
    "password": "planted-hunter2",
}
PLACES = (
    lambda kind, secret: {"message": f"before {_said(kind, secret)} after"},
    lambda kind, secret: {"message": "m", "note": _said(kind, secret), "level": "info"},
    lambda kind, secret: {"message": "m", "error": {"stack_trace": f"E: x\n  at {_said(kind, secret)}\n  at y"}},
    lambda kind, secret: {"message": "m", "nested": {"list": [_said(kind, secret), "x"]}},
)


def _said(kind: str, secret: str) -> str:
    return f"password={secret}" if kind == "password" else secret


def planted() -> list[bytes]:
    """Lines with every secret in every place, among others; some that are no JSON, and one that nobody can index."""
    lines = []
    for kind, secret in SECRETS.items():
        lines += [json.dumps({"timestamp": "2026-11-23T18:00:00Z", **place(kind, secret)}) for place in PLACES]
        lines += [
            f"no json {_said(kind, secret)}",
            json.dumps({"timestamp": "2026-11-23T18:00:00Z", "message": "fine"}),
        ]
    lines.append(json.dumps({"message": f"late {SECRETS['email']}", "level": "debug"}))
    return [line.encode() for line in lines]


async def everything(stack: Stack, *topics: str) -> bytes:
    """All keys, headers and values of some topics."""
    found = [record for topic in topics for record in await read_records(stack.bootstrap_servers, topic)]
    parts = [part for record in found for part in (record.key, record.value, *(value for _, value in record.headers))]
    return b"\n".join(part for part in parts if part)


def filtered(site: Site, key: Path) -> None:
    """An input that redacts, with a keyed hash for addresses, and drops what is said for debugging."""
    key.write_text("0123456789abcdef0123456789abcdef")
    kinds = [kind for kind in SECRETS if kind != "ipv4"]
    site.inputs[0] |= {
        "keep_original": True,
        "format": "json",
        "filters": [
            {"name": "secrets", "redact": {"kinds": kinds}},
            {"name": "addresses", "redact": {"kinds": ["ipv4"], "hash_key_file": str(key)}},
            {"name": "chatter", "when": 'log.level == "debug"', "drop": True},
        ],
    }


def test_no_secret_leaves_the_host(site: Site, stack: Stack, tmp_path: Path) -> None:
    """Not to the topic, dead letters, ledger, Elasticsearch or our own logs; and the counters say how many."""
    filtered(site, tmp_path / "key")
    site.serve_metrics()
    template = {"properties": {"labels": {"properties": {"note": {"type": "long"}}}}}
    body = {
        "index_patterns": [f"logs-{site.name}*"],
        "priority": 900,
        "data_stream": {},
        "template": {"settings": {"number_of_replicas": 0}, "mappings": template},
    }
    site.elastic(f"/_index_template/{site.name}", body, "PUT")
    (site.logs / "a.log").write_bytes(b"\n".join(planted()) + b"\n")
    agent = site.agent()
    until(lambda: site.registered("position") == (site.logs / "a.log").stat().st_size)
    redacted = site.metric("tailrace_shipper_redacted_values_total")
    dropped = site.metric("tailrace_shipper_dropped_records_total")
    agent.stop()
    site.finish("index", "--once")

    records = site.shipped()
    assert list(chain(records).values()) == [(site.logs / "a.log").stat().st_size - len(planted()[-1]) - 1]
    assert len(records) == len(planted()) - 1
    assert dropped == 1
    # In the message, label or trace, and once more in the original line.
    assert redacted >= 2 * len(SECRETS) * (len(PLACES) + 1)
    dead = asyncio.run(read_records(stack.bootstrap_servers, site.dead))
    assert len(dead) == len(SECRETS)
    said = asyncio.run(everything(stack, site.topic, site.dead, site.ledger))
    site.elastic(f"/{site.stream}/_refresh", method="POST")
    said += json.dumps(site.elastic(f"/{site.stream}/_search?size=1000")).encode()
    said += b"".join((site.folder / f"{log}.txt").read_bytes() for log in ("ship", "index"))
    said += b"".join(path.read_bytes() for path in site.state.iterdir() if path.is_file())
    assert b"[email]" in said
    assert len(set(re.findall(rb"\[ipv4:[0-9a-f]{16}\]", said))) == 1
    for secret in SECRETS.values():
        assert secret.encode() not in said, secret
        assert secret.replace(" ", "").encode() not in said


def told(site: Site, stack: Stack) -> dict[str, Any]:
    """What the ledger says last of the one source."""
    found = asyncio.run(read_records(stack.bootstrap_servers, site.ledger))
    last: dict[str, Any] = json.loads(found[-1].value)
    return last


def test_what_is_dropped_is_in_the_ledger_over_restarts_and_kills(site: Site, stack: Stack) -> None:
    """Records and bytes by rule, of all that is acknowledged; the chain is whole, and a kill changes no decision."""
    site.inputs[0] |= {
        "format": "json",
        "filters": [
            {"when": 'log.level == "debug"', "drop": True},
            {"name": "calm", "throttle": {"most": 100, "per_seconds": 60, "by": ["device"]}},
        ],
    }
    path = site.logs / "a.log"
    lines = [
        json.dumps(
            {"time": f"2026-11-23T18:00:{number // 100:02d}Z", "level": level, "message": f"{number}", "device": "tv"}
        )
        for number in range(3000)
        for level in ("info", "debug")
    ]
    path.write_text("".join(f"{one}\n" for one in lines[:500]))
    agent = site.agent()
    until(lambda: site.registered("position") > 0)
    append(path, "".join(f"{one}\n" for one in lines[500:3000]))
    until(lambda: site.registered("position") > 20_000, every=0.005)
    agent.kill()
    append(path, "".join(f"{one}\n" for one in lines[3000:]))
    site.finish("ship", "--once")
    records = site.shipped()
    assert {record.message for record in records} == {str(number) for number in range(100)}
    last = told(site, stack)
    assert (last["position"], last["records"]) == (path.stat().st_size, 100)
    assert {rule: one["records"] for rule, one in last["dropped"].items()} == {"drop-1": 3000, "calm": 2900}
    assert sum(one["bytes"] for one in last["dropped"].values()) == last["skipped_bytes"]
    assert last["bytes"] + last["skipped_bytes"] == path.stat().st_size
    assert list(chain(records).values()) == [last["position"] - last["trailing_skipped_bytes"]]


def test_a_key_that_is_not_there_is_said_at_the_start_and_at_check(site: Site, tmp_path: Path) -> None:
    """Nothing is shipped with hashes that have no key."""
    filtered(site, tmp_path / "key")
    (tmp_path / "key").unlink()
    (site.logs / "a.log").write_bytes(planted()[0] + b"\n")
    assert "There is no redact.hash_key_file" in site.finish("ship", "--once", expect=2)
    assert "There is no redact.hash_key_file" in site.finish("check", expect=1)


def test_records_routed_to_a_topic_arrive_exactly_once_whatever_kills_the_agent(
    site: Site, stack: Stack, make_topic: MakeTopic
) -> None:
    """Those of a rule in its topic, the others in the shipper's; repeated ones say so; the audit finds all of them."""
    loud = make_topic(f"{site.name}.loud", 5)
    site.inputs[0] |= {
        "format": "json",
        "filters": [
            {"name": "loud", "when": 'log.level == "error"', "route": {"topic": loud}},
            {"name": "chatter", "when": 'log.level == "debug"', "drop": True},
        ],
    }
    site.indexer["topics"] = [site.topic, loud]
    site.serve_metrics()
    paths = [site.logs / f"{name}.log" for name in "abc"]
    written = 0
    for _ in range(3):
        agent = site.agent()
        until(lambda: site.registered("records") >= written * 3 * 2 // 3)  # noqa: B023 - called at once
        before = site.metric("tailrace_shipper_records_total")
        for _ in range(20):
            for path in paths:
                append(path, "".join(_leveled(path, number) for number in range(written, written + 90)))
            written += 90
        # Acknowledged, and hardly stored as such yet: what is sent now is sent again.
        until(lambda: site.metric("tailrace_shipper_records_total") > before, every=0.005)  # noqa: B023 - as above
        agent.kill()
    site.finish("ship", "--once")
    topics = {topic: asyncio.run(read_topic(stack.bootstrap_servers, topic)) for topic in (site.topic, loud)}
    levels = {topic: {one.document["log"]["level"] for one in some} for topic, some in topics.items()}
    assert levels == {site.topic: {"info"}, loud: {"error"}}
    for some in topics.values():
        partitions = {(one.key, one.partition) for one in some}
        assert len(partitions) == len(paths), "a source has one partition in each topic"
    records = sorted((one for some in topics.values() for one in some), key=lambda one: one.sent)
    assert sorted(chain(records).values()) == [path.stat().st_size - len(_leveled(path, written - 1)) for path in paths]
    assert len({one.record_id for one in records}) == written * 3 * 2 // 3 < len(records)
    site.finish("index", "--once")
    assert site.stored() == written * 3 * 2 // 3
    assert json.loads(site.finish("audit", "--json", "--wait", "0", log="audit"))["whole"] is True


def _leveled(path: Path, number: int) -> str:
    """A line of one of three levels in turn; no file begins as another, or it would be its copy."""
    level = ("info", "error", "debug")[number % 3]
    return json.dumps({"timestamp": "2026-11-23T18:00:00Z", "level": level, "message": f"{path.stem} {number}"}) + "\n"


def test_a_topic_of_a_route_that_is_not_there_is_said(site: Site) -> None:
    """Nothing is shipped to nowhere; setup makes it, and check says who does not read it."""
    loud = f"{site.name}.loud"
    site.inputs[0]["filters"] = [{"when": 'log.level == "error"', "route": {"topic": loud}}]
    site.elasticsearch["replicas"] = 0
    (site.logs / "a.log").write_text('{"level": "error", "message": "x"}\n{"level": "info", "message": "y"}\n')
    said = site.finish("ship", "--once", expect=1)
    assert f"The topic {loud} does not exist; create it with `tailrace setup`." in said
    assert f"{loud}, where filters route to, is not among indexer.topics" in site.finish("check", log="check")
    site.finish("setup", log="setup")
    site.finish("ship", "--once")
    assert [len(asyncio.run(read_topic(site.bootstrap_servers, topic))) for topic in (site.topic, loud)] == [1, 1]
