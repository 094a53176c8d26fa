"""``indexer.ids`` on the real servers: what "auto" gives up, who finds it, and the way back."""

import json
import re
from typing import Any

import pytest
from processes import Site, append

pytestmark = [pytest.mark.edge, pytest.mark.usefixtures("templates")]

LINES = 1000
SIZE = 20
TEXT = "".join(f"line {number:04d} of a file\n" for number in range(LINES))


def answer(site: Site, *words: str, expect: int) -> Any:
    """What a command says to programs, without the lines in which one that takes long says that it works."""
    said = site.finish(*words, expect=expect, seconds=180)
    return json.loads(re.sub(r'\{"@timestamp": .*\}\n', "", said))


def audited(site: Site, expect: int) -> dict[str, Any]:
    """What an audit says of the one source."""
    (source,) = answer(site, "audit", "--json", "--wait", "0", expect=expect)["sources"]
    return dict(source)


def traced(site: Site, offset: int, expect: int) -> dict[str, Any]:
    """What a trace says of the line at a byte."""
    (one,) = answer(site, "trace", "-", f"{site.logs}/app.log", str(offset), "--json", expect=expect)
    return dict(one)


def hits(site: Site) -> list[dict[str, Any]]:
    """All documents, by their offsets."""
    site.elastic(f"/{site.stream}/_refresh", method="POST")
    found = site.elastic(f"/{site.stream}/_search?size=5000&sort=log.offset")["hits"]["hits"]
    return list(found)


def test_what_elasticsearch_names_is_stored_once_and_a_replay_of_it_is_found_doubled(site: Site) -> None:
    """1,000 records have ids of its making, and a trace finds them by source and offset.

    One that is there twice does not hide from the audit one that is gone, though both are in one index and their sums
    are right. Another group stores all again, and the audit names all of it. With the setting changed back, what is new
    is stored once under our ids.
    """
    append(site.logs / "app.log", TEXT)
    site.finish("ship", "--once", seconds=180)
    site.indexer = {"ids": "auto"}
    site.finish("index", "--once", seconds=180)
    first = hits(site)
    shipped = site.shipped()
    assert sorted(hit["_source"]["log"]["offset"] for hit in first) == [number * SIZE for number in range(LINES)]
    assert {hit["_id"] for hit in first}.isdisjoint(record.record_id for record in shipped)
    assert audited(site, 0)["result"] == "whole"
    one = traced(site, 7 * SIZE, 0)
    record = next(record for record in shipped if record.document["log"]["offset"] == 7 * SIZE)
    assert (one["state"], one["record_id"], one["sent"][0]["offset"]) == ("stored", record.record_id, record.offset)
    assert one["documents"][0]["id"] == first[7]["_id"]

    site.elastic(f"/{site.stream}/_doc", first[7]["_source"], method="POST")
    site.elastic(f"/{first[50]['_index']}/_doc/{first[50]['_id']}", method="DELETE")
    found = audited(site, 1)
    assert found["stored"]["records"] == LINES
    assert found["missing"] == [{"start": 50 * SIZE, "end": 51 * SIZE}]
    assert [(one["start"], one["end"]) for one in found["doubled"]] == [(7 * SIZE, 8 * SIZE)]

    site.indexer |= {"group": f"{site.name}-another"}
    site.finish("index", "--once", seconds=180)
    assert len(hits(site)) == 2 * LINES
    found = audited(site, 1)
    assert (found["missing"], found["result"]) == ([], "doubled")
    assert {one["start"] for one in found["doubled"]} == {number * SIZE for number in range(LINES) if number != 50}
    assert traced(site, 8 * SIZE, 1)["state"] == "doubled"

    site.indexer |= {"ids": "deterministic"}
    append(site.logs / "app.log", "after the way back\n")
    site.finish("ship", "--once", seconds=180)
    site.finish("index", "--once", seconds=180)
    last = hits(site)[2 * LINES :]
    assert [(hit["_source"]["message"], hit["_id"]) for hit in last] == [
        ("after the way back", site.shipped()[-1].record_id),
    ]
