"""Poison on the real Kafka and Elasticsearch: it ends in the dead letters and says why, its neighbours are stored."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_indexer_edge import TIME, Sent, exactly_once, prepared
from test_letters_replay import Letters

from tailrace.stack import Stack, elasticsearch
from tailrace.stack.record import save

pytestmark = pytest.mark.edge

LARGE = 1_500_000
_START = b'{"@timestamp":"' + TIME.encode() + b'",'


@pytest.fixture
def small_elasticsearch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an Elasticsearch that takes no request of more than a megabyte."""
    usual = elasticsearch.configure

    def configure(folder: Path, log: Path, port: int) -> None:
        usual(folder, log, port)
        with (folder / "config" / "elasticsearch.yml").open("a") as file:
            file.write("http.max_content_length: 1mb\n")

    monkeypatch.setattr(elasticsearch, "configure", configure)
    own = Stack(tmp_path / "small")
    own.folder.mkdir()
    save(own._settle({"heap_mib": 512}), own.folder / "stack.json")
    try:
        own.start("elasticsearch")
        yield own.elasticsearch_url
    finally:
        own.down(wipe=True)


def test_what_is_too_large_for_a_request_is_found_and_can_be_mended(
    tmp_path: Path, stack: Stack, names: str, small_elasticsearch: str
) -> None:
    """Slices are halved down to the lone record that is to blame; made smaller and sent again, it is stored."""
    servers = SimpleNamespace(bootstrap_servers=stack.bootstrap_servers, elasticsearch_url=small_elasticsearch)
    site = Letters(tmp_path, servers, names)  # type: ignore[arg-type]  # these two are all that it asks for
    site.prepare(max_message_bytes="4000000")
    small = site.records(3000)
    large = site.conflicts(2, 4000, n=1, message="x" * LARGE, labels={"why": "large"})
    large = [
        one._replace(value=one.value.replace(b'"line', b'"' + b"x" * LARGE + b" line")) for one in large if one.value
    ]
    site.send([*small[:1500], *large, *small[1500:]])
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (3000, 2)
    exactly_once(site, small)
    (first, _) = [json.loads(line) for line in site.letters_command("show", "--json").stdout.splitlines()]
    assert first["reason"] == "too_large"
    assert first["bytes"] > LARGE
    assert first["error"].startswith("alone it is a request of 1,5")
    assert first["error"].endswith("(http.max_content_length): HTTP 413")
    site.told("replay", "--where", "reason=too_large", "--set", "message=short")
    assert site.index_once()["stored"] == 2
    exactly_once(site, [*small, *large])


OURS = {
    "not JSON": (b"no json", "json"),
    "Avro": (b"\x00\x00\x00\x00\x2a\x02abc", "json"),
    "two objects": (_START + b'"a":1}{"b":2}', "mapping"),
    "an injected action": (_START + b'"a":1}\n{"delete":{"_index":"x","_id":"1"}}', "json"),
    "a line break in a text": (_START + b'"message":"a\nb"}', "json"),
    "a NUL in a text": (_START + b'"message":"a\x00b"}', "mapping"),
    "no UTF-8": (_START + b'"message":"\xff"}', "json"),
    "an overlong form, which Elasticsearch would store": (_START + b'"message":"\xc0\xaf"}', "json"),
    "half a character, which Elasticsearch would store": (_START + b'"message":"\xed\xa0\x80"}', "json"),
    "a cut character": (_START + b'"message":"\xe2\x82"}', "json"),
    "a byte order mark": (b"\xef\xbb\xbf" + _START + b'"a":1}', "json"),
    "objects nested too deep": (_START + b'"a":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}", "mapping"),
    "lists nested too deep": (_START + b'"a":' + b"[" * 2000 + b"]" * 2000 + b"}", "mapping"),
    "a key twice": (_START + b'"a":1,"a":2}', "mapping"),
    "no number": (_START + b'"a":NaN}', "mapping"),
    "a number beyond its type": (_START + b'"n":99999999999999999999999}', "mapping"),
    "an empty key": (_START + b'"":1}', "mapping"),
    "a field of Elasticsearch's": (_START + b'"_id":"x"}', "mapping"),
    "no time": (b'{"message":"x"}', "mapping"),
    "a time that is none": (b'{"@timestamp":"yesterday"}', "mapping"),
}


def test_every_poison_is_a_letter_and_every_answer_can_be_read(site: Letters) -> None:
    """Each kind has its reason; what is stored beside it can be searched, which one bad byte in the index would end."""
    good = site.records(60)
    carriers = site.records(len(OURS), 1000)
    poison = [one._replace(value=value) for one, (value, _) in zip(carriers, OURS.values(), strict=True)]
    foreign = [Sent(value, []) for value, _ in (OURS["Avro"], OURS["no UTF-8"])]
    mixed = [one for three in zip(good[::3], good[1::3], good[2::3], strict=True) for one in three]
    for number, one in enumerate(poison):
        mixed.insert(3 * number, one)
    site.send([*mixed, *foreign])
    found = site.index_once()
    reasons = {dict(one.headers)["tailrace.id"]: dict(one.headers)["tailrace.reason"] for one in site.letters()}
    ids = [one.headers[0][1].rpartition(b"|")[2] for one in poison]
    said = {kind: reasons.get(record_id, b"stored").decode() for kind, record_id in zip(OURS, ids, strict=True)}
    assert said == {kind: reason for kind, (_, reason) in OURS.items()}
    assert (found["stored"], found["dead"]) == (60, len(OURS) + 2)
    exactly_once(site, good)
    assert len(site.elastic(f"/{site.stream}/_search", {"size": 1000})["hits"]["hits"]) == 60


def test_what_is_no_text_is_sent_again_as_text_if_somebody_wants_that(site: Letters) -> None:
    """Its bad bytes are replaced then; until somebody says so they stay, as they are, in the letter."""
    site.send([Sent(b"caf\xe9", []), Sent(b"\x00\x00\x00\x00\x2a\x02abc", [])])
    assert site.index_once()["dead"] == 2
    stream = f"logs-{site.topic}-default"
    before = site.told("replay", "--all", code=1)
    assert (before["replayed"], Counter(one["letters"] for one in before["left"])) == (0, {1: 2})
    assert site.told("replay", "--where", "error~UTF-8", "--as-text")["replayed"] == 1
    assert site.index_once()["stored"] == 1
    site.elastic(f"/{stream}/_refresh", method="POST")
    (hit,) = site.elastic(f"/{stream}/_search", {})["hits"]["hits"]
    assert hit["_source"]["message"] == "caf\ufffd"
    assert hit["_id"] == f"{site.topic}-0-0"
    assert site.counts()["open"] == 1


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Letters]:
    """Topics, a group, streams and a template of this test's own."""
    yield from prepared(Letters(tmp_path, stack, names))
