"""``tailrace trace`` on the real servers: wherever a line is, it says so."""

import asyncio
import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import configure_topic, grow_topic
from processes import Site, append, until

from tailrace.audit import topics
from tailrace.audit.stored import Stored
from tailrace.cli import cli
from tailrace.settings import Settings

pytestmark = [pytest.mark.edge, pytest.mark.usefixtures("templates")]


def traced(site: Site, *where: str, expect: int = 0) -> list[dict[str, Any]]:
    """What a trace of a line of app.log says to programs."""
    said = site.finish("trace", "-", f"{site.logs}/app.log", *where, "--json", log="trace", expect=expect)
    found: list[dict[str, Any]] = json.loads(said)
    return found


def test_a_line_is_found_wherever_it_is(site: Site) -> None:
    """Stored, blank, dead, on its way, unread, and gone: each is told apart, with its places.

    Stored is what any index of the stream has, not only the one that is written to.
    """
    file = site.logs / "app.log"
    append(file, "first line\n\nsecond line\n\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    site.elastic(f"/{site.stream}/_rollover", {}, method="POST")
    append(file, "refused line\n")
    site.finish("ship", "--once")
    site.index_into_letters()
    append(file, "passing line\n")
    site.finish("ship", "--once")
    size = file.stat().st_size
    append(file, "unread line\n")
    shipped = {record.message: record for record in site.shipped()}

    (one,) = traced(site, "14")
    assert (one["state"], one["start"], one["end"]) == ("stored", 12, 24)
    assert one["registry"]["position"] == one["ledger"]["position"] == size
    record = shipped["second line"]
    (sent,) = one["sent"]
    assert (sent["topic"], sent["partition"], sent["offset"]) == (site.topic, record.partition, record.offset)
    (document,) = one["documents"]
    assert (document["data_stream"], document["id"]) == (site.stream, record.record_id)
    assert [one["source"] for one in traced(site, "--text", "second line")] == [one["source"]]

    assert sorted(one["start"] for one in traced(site, "--text", "line")) == [0, 12]
    note, said = site.finish(
        *("trace", "-", f"{site.logs}/app.log", "--text", "line", "-n", "1", "--json"), log="trace"
    ).splitlines()
    assert (len(json.loads(said)), "newest 1 (-n N" in note) == (1, True)

    (one,) = traced(site, "--text", "refused line")
    assert (one["state"], one["record_id"]) == ("dead", shipped["refused line"].record_id)
    assert one["letters"][0]["reason"] == "stream"
    assert one["sent"][0]["offset"] == shipped["refused line"].offset
    (one,) = traced(site, "--text", "passing line")
    assert (one["state"], one["start"]) == ("waiting", size - 13)
    assert [one["state"] for where in ("11", "24", str(size)) for one in traced(site, where)] == [
        *("skipped", "skipped", "unread"),
    ]
    hit = site.elastic(f"/{site.stream}/_search?q=log.offset:12")["hits"]["hits"][0]
    site.elastic(f"/{hit['_index']}/_doc/{hit['_id']}?refresh=true", method="DELETE")
    (one,) = traced(site, "12", expect=1)
    assert (one["state"], one["sent"][0]["offset"]) == ("missing", record.offset)
    table = site.finish("trace", f"{site.name}-host", str(file), "0", log="table")
    assert "byte 0: stored" in table
    assert site.stream in table
    said = site.finish("trace", "-", str(file), str(size), log="unread")
    assert f"byte {size:,}: not shipped: behind the {size:,} bytes that were" in said
    said = site.finish("trace", "-", str(file), "99999", log="behind")
    assert f"byte 99,999: not shipped: behind the end of the file, which has {file.stat().st_size:,} bytes" in said
    said = site.finish("trace", "-", "/none", "0", log="none", expect=1)
    assert f"Nobody knows such a file: /none of {site.name}-host. `tailrace audit --host {site.name}-host`" in said


def test_of_an_unknown_host_the_known_ones_are_named(site: Site) -> None:
    """Those with a name like it."""
    append(site.logs / "app.log", "a line\n")
    site.finish("ship", "--once")
    site.indexer = {"allowed_streams": [site.stream]}
    said = site.finish("trace", f"{site.name}-hots", f"{site.logs}/app.log", "0", log="none", expect=1)
    assert f"no such host, but of {site.name}-host; `tailrace audit` shows" in said


def test_files_of_one_name_are_told_apart_the_newest_first(site: Site) -> None:
    """A blank line between them, and times that can be compared by eye."""
    file = site.logs / "app.log"
    append(file, "line 0\n")
    site.finish("ship", "--once")
    file.rename(site.logs / "app.log.0")
    # The registry has whole seconds: of the same one either may be the newer.
    (updated,) = [json.loads(line)["updated"] for line in site.finish("registry", "export").splitlines()]
    until(lambda: int(time.time()) > updated)
    append(file, "line 1\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    blocks = site.finish("trace", "-", str(file), "0").split("\n\n")
    assert [block.rpartition("message   ")[2].strip() for block in blocks] == ["line 1", "line 0"]
    times = re.findall(r"(?:stored|told|sent) (\S+Z)", "".join(blocks))
    assert len(times) == 6
    assert {len(time) for time in times} == {len("2026-11-26T15:13:58.123Z")}


def test_what_no_search_sees_yet_is_stored(site: Site) -> None:
    """Where indices are refreshed seldom, a line is not called missing until the next refresh."""
    file = site.logs / "app.log"
    append(file, "first line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    site.elastic(f"/{site.stream}/_settings", {"index.refresh_interval": "1h"}, method="PUT")
    append(file, "second line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    assert [one["state"] for one in traced(site, "11")] == ["stored"]
    append(file, "third line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    assert [(one["state"], one["start"]) for one in traced(site, "--text", "third line")] == [("stored", 23)]


def test_a_document_with_half_a_character_is_shown(site: Site) -> None:
    """Elasticsearch takes what no UTF-8 can say; to programs it is the escape that it was."""
    append(site.logs / "app.log", "first line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    assert site.stored() == 1
    (hit,) = site.elastic(f"/{site.stream}/_search")["hits"]["hits"]
    half = {**hit["_source"], "message": "half \ud800", "log": {**hit["_source"]["log"], "offset": 100}}
    site.elastic(f"/{site.stream}/_create/half?refresh=true", half, method="PUT")
    (one,) = traced(site, "100")
    assert one["documents"][0]["message"] == "half \ud800"


def test_what_may_be_in_a_closed_index_is_not_called_missing(site: Site) -> None:
    """Nobody can know, until it is opened."""
    file = site.logs / "app.log"
    append(file, "first line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    (index,) = site.elastic(f"/{site.stream}/_settings")
    site.elastic(f"/{site.stream}/_rollover", {}, method="POST")
    site.elastic(f"/{index}/_close", method="POST")
    said = site.finish("trace", "-", str(file), "0", log="closed", expect=1)
    assert f"! Closed: {index}. " in said
    assert "byte 0: nobody can know" in said
    site.elastic(f"/{index}/_open", method="POST")
    assert [one["state"] for one in traced(site, "0")] == ["stored"]


def test_a_letter_that_was_replayed_is_on_its_way_until_it_is_indexed(site: Site) -> None:
    """The record that was sent in its place counts, not the one that was refused."""
    append(site.logs / "app.log", "refused line\n")
    site.finish("ship", "--once")
    site.index_into_letters()
    site.finish("dead-letters", "replay", "--all")
    for where in (("0",), ("--text", "refused line")):
        (one,) = traced(site, *where)
        assert (one["state"], one["letters"][0]["settled"]) == ("waiting", "replayed")
        assert [sent["may_repeat"] for sent in one["sent"]] == [False, True]
    site.finish("index", "--once")
    assert [one["state"] for one in traced(site, "0")] == ["stored"]


def test_what_waits_where_records_went_before_the_topic_grew_is_on_its_way(site: Site) -> None:
    """Called missing it would be sent again, and perhaps be stored on both sides of a rollover."""
    append(site.logs / "app.log", "first line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    append(site.logs / "app.log", "second line\n")
    site.finish("ship", "--once")
    asyncio.run(grow_topic(site.bootstrap_servers, site.topic, 60))
    (one,) = traced(site, "11")
    assert (one["state"], one["start"], len(one["sent"])) == ("waiting", 11, 1)
    said = json.loads(site.finish("audit", "--json", "--wait", "0", log="audit", expect=1))
    (source,) = said["sources"]
    assert (source["result"], source["waiting"], source["missing"]) == ("waiting", [{"start": 11, "end": 23}], [])
    site.finish("index", "--once")
    assert [one["state"] for one in traced(site, "11")] == ["stored"]


def test_any_byte_of_a_record_whose_letter_was_cut_is_in_the_dead_letters(site: Site) -> None:
    """The letter alone does not say where the record ends; the record in its topic does."""
    asyncio.run(configure_topic(site.bootstrap_servers, site.dead, max_message_bytes="2000"))
    text = "".join(random.Random(9).choices("abcdefghij", k=20_000))
    append(site.logs / "app.log", f"first line\n{text}\n")
    site.finish("ship", "--once")
    site.index_into_letters()
    for where in ("11", "5000"):
        (one,) = traced(site, where)
        assert (one["state"], one["start"], one["end"]) == ("dead", 11, 20_012)
        assert [letter["reason"] for letter in one["letters"]] == ["stream"]


def test_of_dead_letters_the_newest_are_named(site: Site) -> None:
    """As of stored lines, with the same note; a text is found in any case there and in Kafka, as in the index."""
    append(site.logs / "app.log", "refused é1\nrefused É2\nrefused é3\n")
    site.finish("ship", "--once")
    site.index_into_letters()
    append(site.logs / "app.log", "passing é4\n")
    site.finish("ship", "--once")
    note, said = site.finish(
        *("trace", "-", f"{site.logs}/app.log", "--text", "Refused É", "-n", "2", "--json"), log="trace"
    ).splitlines()
    assert "newest 2 (-n N" in note
    assert [(one["state"], one["start"]) for one in json.loads(said)] == [("dead", 24), ("dead", 12)]
    assert [one["start"] for one in traced(site, "--text", "refused é", "-n", "3")] == [24, 12, 0]
    assert [(one["state"], one["start"]) for one in traced(site, "--text", "PASSING É4")] == [("waiting", 36)]


def test_what_was_repaired_is_on_its_way_until_it_is_indexed(site: Site) -> None:
    """All copies of the record are named, the newest last."""
    append(site.logs / "app.log", "first line\nsecond line\n")
    site.finish("ship", "--once")
    site.finish("index", "--once")
    site.elastic(f"/{site.stream}/_refresh", method="POST")
    (hit,) = site.elastic(f"/{site.stream}/_search?q=log.offset:11")["hits"]["hits"]
    site.elastic(f"/{hit['_index']}/_doc/{hit['_id']}?refresh=true", method="DELETE")
    plan = site.folder / "plan.json"
    plan.write_text(site.finish("audit", "--json", "--wait", "0", log="audit", expect=1))
    site.finish("ship", "--repair", str(plan), log="repair")
    (one,) = traced(site, "11")
    assert (one["state"], one["record_id"]) == ("waiting", hit["_id"])
    copies = [record for record in site.shipped() if record.record_id == hit["_id"]]
    told = [(sent["partition"], sent["offset"], sent["may_repeat"]) for sent in one["sent"]]
    assert told == [(record.partition, record.offset, record.may_repeat) for record in copies]
    assert [record.may_repeat for record in copies] == [False, True]
    said = site.finish("trace", "-", f"{site.logs}/app.log", "11", log="text")
    assert re.findall(r"partition \d+, offset (\d+)", said) == [str(record.offset) for record in copies]
    site.finish("index", "--once")
    assert [one["state"] for one in traced(site, "11")] == ["stored"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        *((["/x"], "Say which line: "), (["/x", "5", "--text", "y"], "not both"), (["x.log", "5"], "whole")),
        (["/x", str(2**63)], "not in the range 0<="),
    ],
)
def test_a_line_is_named_in_one_way_in_a_whole_path(tmp_path: Path, words: list[str], said: str) -> None:
    """Or nothing would be found, and nobody would know why."""
    settings = tmp_path / "tailrace.toml"
    settings.touch()
    found = CliRunner().invoke(cli, ["trace", "-", *words, "--config", str(settings)])
    assert found.exit_code == 2
    assert said in found.output


def test_a_line_that_is_indexed_while_it_is_looked_for_is_stored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was in no index yet, and then nobody waits for it any more; and a refusal to refresh is told."""
    append(site.logs / "app.log", "first line\n")
    site.finish("ship", "--once")
    ask = topics.left

    async def left(settings: Settings, goal: topics.Ends) -> topics.Ends:
        site.finish("index", "--once")
        return await ask(settings, goal)

    monkeypatch.setattr(topics, "left", left)
    command = ["trace", "-", f"{site.logs}/app.log", "0", "--config", str(site.write_settings())]
    found = CliRunner().invoke(cli, command)
    assert (found.exit_code, found.stderr) == (0, "")
    assert "byte 0: stored" in found.stdout

    async def refused(_stored: Stored) -> bool:
        return False

    monkeypatch.setattr(Stored, "refresh", refused)
    found = CliRunner().invoke(cli, command)
    assert "may not refresh" in found.stderr
