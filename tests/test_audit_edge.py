"""``tailrace audit`` on the real servers: it finds what was made to be missing or double, and nothing else."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from click.testing import CliRunner
from processes import Site, append

from tailrace import settings as settings_module
from tailrace.audit import topics
from tailrace.audit.chain import Kept
from tailrace.audit.entry import Entry
from tailrace.audit.run import Audit
from tailrace.audit.verdict import Buried, Verdict
from tailrace.cli import cli
from tailrace.errors import TailraceError
from tailrace.settings import Settings

pytestmark = [pytest.mark.edge, pytest.mark.usefixtures("templates")]


def shipped(site: Site, text: str = "", name: str = "app.log") -> Path:
    """A file, shipped and indexed."""
    file = site.logs / name
    if text:
        append(file, text)
    site.finish("ship", "--once")
    site.finish("index", "--once")
    return file


def audited(site: Site, *options: str, expect: int = 0) -> dict[str, Any]:
    """What an audit says to programs."""
    said = site.finish("audit", "--json", "--wait", "0", *options, log="audit", expect=expect)
    document: dict[str, Any] = json.loads(said)
    return document


def hits(site: Site) -> list[dict[str, Any]]:
    """All documents, by their offsets."""
    site.elastic(f"/{site.stream}/_refresh", method="POST")
    found = site.elastic(f"/{site.stream}/_search?size=1000&sort=log.offset")["hits"]["hits"]
    return list(found)


def delete(site: Site, hit: dict[str, Any]) -> None:
    """Take a document away by hand."""
    site.elastic(f"/{hit['_index']}/_doc/{hit['_id']}?refresh=true", method="DELETE")


LINES = "".join(f"line {number:03d} of the file\n" for number in range(100))


def test_a_planted_hole_is_named_to_the_byte(site: Site) -> None:
    """What is there is whole; of a document that was deleted by hand the bytes are named, and nothing else."""
    shipped(site, LINES)
    whole = audited(site)
    assert whole["whole"] is True
    assert [one["result"] for one in whole["sources"]] == ["whole"]
    hit = hits(site)[41]
    delete(site, hit)
    found = audited(site, expect=1)
    (source,) = found["sources"]
    start = 41 * 21
    assert source["missing"] == [{"start": start, "end": start + 21}]
    assert (source["doubled"], source["expired"], source["waiting"]) == ([], [], [])
    assert found["totals"]["missing_bytes"] == 21


def test_an_audit_that_cannot_begin_says_nothing_to_programs(site: Site) -> None:
    """Half a document would be no plan: there is nothing but the reason."""
    shipped(site, LINES)
    site.elasticsearch = {"hosts": ["http://127.0.0.1:1"], "request_timeout_seconds": 2.0}
    (said,) = site.finish("audit", "--json", "--wait", "0", log="audit", expect=1).splitlines()
    assert said.startswith("Error: "), said
    site.elasticsearch = {}


def test_an_audit_that_fails_midway_says_nothing_to_programs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor when Elasticsearch goes away after the first of two sources."""
    append(site.logs / "other.log", LINES.upper())
    shipped(site, LINES)
    verdicts = Audit.verdicts

    async def broken(audit: Audit) -> AsyncGenerator[Verdict, None]:
        async for verdict in verdicts(audit):
            yield verdict
            raise TailraceError("gone")

    command = ["audit", "--json", "--wait", "0", "--path", f"{site.logs}/*", "--config", str(site.write_settings())]
    assert len(json.loads(CliRunner().invoke(cli, command).stdout)["sources"]) == 2
    monkeypatch.setattr(Audit, "verdicts", broken)
    ran = CliRunner().invoke(cli, command)
    assert (str(ran.exception), ran.stdout) == ("gone", "")


def test_an_audit_of_no_source_proves_nothing(site: Site) -> None:
    """Or a monitor with a misspelt name would be content for ever; it waits for nobody, and says what there is."""
    shipped(site, LINES)
    append(site.logs / "app.log", LINES)
    site.finish("ship", "--once")
    found = audited(site, "--path", "/none", "--wait", "600", expect=1)
    assert (found["sources"], found["whole"], found["unfinished_records"]) == ([], False, 0)
    assert "nothing is proved" in site.finish("audit", "--path", "/none", log="audit", expect=1)
    (note,) = audited(site, "--host", f"{site.name}-hots", expect=1)["notes"]
    assert note == f"The ledger tells of {site.name}-host: without --host, --path and --since all is audited."


def test_a_new_kafka_has_a_coordinator_only_a_moment_after_it_was_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was shipped waits for the indexers."""
    append(site.logs / "app.log", LINES)
    site.finish("ship", "--once")

    asked, ask = [], AIOKafkaAdminClient.list_consumer_group_offsets

    async def unknown(admin: AIOKafkaAdminClient, group: str) -> object:
        asked.append(group)
        if len(asked) < 3:
            raise GroupCoordinatorNotAvailableError
        return await ask(admin, group)

    monkeypatch.setattr(AIOKafkaAdminClient, "list_consumer_group_offsets", unknown)
    command = ["audit", "--json", "--wait", "0", "--path", f"{site.logs}/*", "--config", str(site.write_settings())]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 1
    found = json.loads(ran.stdout)
    assert [one["result"] for one in found["sources"]] == ["waiting"]
    assert found["unfinished_records"] == 100


def test_a_document_that_only_names_a_source_is_no_line_of_it(site: Site) -> None:
    """A service's alert about a file says which it is, and not which bytes."""
    shipped(site, LINES)
    document = hits(site)[0]["_source"]
    document.pop("log")
    site.elastic(f"/{site.stream}/_create/alert?refresh=true", document, "PUT")
    for option in ("--full", "--host=*"):
        (source,) = audited(site, option)["sources"]
        assert (source["result"], source["stored"]["records"]) == ("whole", 100)
    delete(site, hits(site)[41])
    (source,) = audited(site, expect=1)["sources"]
    assert source["missing"] == [{"start": 41 * 21, "end": 42 * 21}]


def test_a_line_behind_the_ledger_does_not_stand_in_for_a_lost_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger lags, for good where the host died; then a line that it does not tell of yet has the same size."""
    shipped(site, LINES)
    one = settings_module.load(site.write_settings())
    entries = asyncio.run(topics.ledger(one, lambda _entry: True))
    shipped(site, "line 100 of the file\n")
    delete(site, hits(site)[41])

    async def behind(*_: object) -> dict[str, Entry]:
        return entries

    monkeypatch.setattr(topics, "ledger", behind)
    command = ["audit", "--json", "--wait", "0", "--config", str(site.write_settings())]
    letter = Buried(Kept("x:2100:0", 2100, 900, 0), "mapping")

    async def buried(*_: object) -> dict[str, list[Buried]]:
        return {source: [letter] for source in entries}  # neither must one that is dead

    monkeypatch.setattr(topics, "buried", buried)
    for options in ([], ["--full"]):
        ran = CliRunner().invoke(cli, [*command, *options])
        (source,) = json.loads(ran.stdout)["sources"]
        assert (ran.exit_code, source["missing"]) == (1, [{"start": 861, "end": 882}])
        assert (source["missing_record_bytes"], source["dead"]["records"]) == (21, 0)


def test_what_a_filter_sent_elsewhere_is_seen_there(site: Site) -> None:
    """Though no search has seen anything of this host in that stream yet."""
    name = site.name + ".audit"
    elsewhere = f"logs-{name}-default"
    site.elastic(f"/{elsewhere}/_doc?refresh=true", {"@timestamp": "2026-11-23T18:00:00Z"}, method="POST")
    site.elastic(f"/{elsewhere}/_settings", {"index.refresh_interval": "1h"}, method="PUT")
    site.inputs[0]["filters"] = [{"when": 'message == "audit of the first"', "route": {"dataset": name}}]
    shipped(site, "first\naudit of the first\nsecond\n")
    found = audited(site)
    assert (found["whole"], found["totals"]["stored"]["records"]) == (True, 3)


def repaired(site: Site, plan: dict[str, Any], expect: int = 0) -> dict[str, Any]:
    """What repairing a plan says to programs."""
    file = site.folder / "plan.json"
    file.write_text(json.dumps(plan))
    site.finish("ship", "--repair", str(file), "--json", log="repair", expect=expect)
    said: dict[str, Any] = next(line for line in reversed(site.said("repair")) if "complete" in line)
    return said


def test_repair_fills_the_hole_with_the_same_record(site: Site) -> None:
    """Beside a running agent: the same id, flagged, stored once; a second repair stores nothing more."""
    shipped(site, LINES)
    agent = site.agent(log="agent")
    hit = hits(site)[41]
    delete(site, hit)
    delete(site, hits(site)[41])
    plan = audited(site, expect=1)
    before = site.registered("position")
    for _ in range(2):
        done = repaired(site, plan)
        assert (done["records"], done["bytes"], done["complete"]) == (2, 42, True)
    assert site.registered("position") == before
    agent.stop()
    again = site.shipped()[-4:]
    site.finish("index", "--once")
    assert all(record.may_repeat for record in site.shipped() if record.record_id == hit["_id"] and record in again)
    restored = hits(site)
    assert len(restored) == 100
    assert restored[41]["_id"] == hit["_id"]
    assert audited(site, "--full")["whole"] is True


def test_a_file_whose_name_is_no_text_is_repaired_and_told_of(site: Site) -> None:
    """Its name has no UTF-8; JSON has an escape for it."""
    shipped(site, LINES, "caf\udce9.log")
    delete(site, hits(site)[41])
    done = repaired(site, audited(site, expect=1))
    assert (done["records"], done["complete"]) == (1, True)
    assert done["done"][0]["file"] == f"{site.logs}/caf\udce9.log"


def test_a_throttle_does_not_leave_out_of_a_repair_what_it_let_through(site: Site) -> None:
    """At the position all keys have had their records; that says nothing of those before."""
    site.inputs[0]["filters"] = [{"throttle": {"most": 1, "per_seconds": 3600, "by": ["message"]}}]
    shipped(site, "one\ntwo\none\nthree\n")
    assert [hit["_source"]["message"] for hit in hits(site)] == ["one", "two", "three"]
    for _ in range(2):
        delete(site, hits(site)[0])
    done = repaired(site, audited(site, expect=1))
    assert (done["complete"], done["records"]) == (True, 2)
    site.finish("index", "--once")
    assert [hit["_source"]["message"] for hit in hits(site)] == ["one", "two", "three"]
    assert audited(site)["whole"] is True


def test_filters_that_changed_do_not_hide_what_was_sent(site: Site) -> None:
    """A record sent again would say of the line before it that it gave none: it is not sent, and the reason is told.

    Where that has happened nevertheless, the sums tell of it.
    """
    shipped(site, "alpha\nbeta\ngamma\n")
    alpha, beta, _ = hits(site)
    delete(site, alpha)
    delete(site, beta)
    plan = audited(site, expect=1)
    site.inputs[0]["filters"] = [{"when": 'message == "alpha"', "drop": True}]
    done = repaired(site, plan, expect=1)
    assert (done["complete"], done["records"], done["left_bytes"]) == (False, 0, 11)
    assert "settings of then" in done["done"][0]["reason"]
    later = {**beta["_source"], "tailrace": {**beta["_source"]["tailrace"], "skipped": 6}}
    site.elastic(f"/{site.stream}/_create/{beta['_id']}?refresh=true", later, method="PUT")
    found = audited(site, expect=1)
    (source,) = found["sources"]
    assert (source["result"], source["hidden_bytes"], source["missing"]) == ("missing", 6, [])
    assert (found["whole"], found["totals"]["hidden_bytes"]) == (False, 6)
    assert "6 B are hidden" in site.finish("audit", "--wait", "0", log="table", expect=1)
    delete(site, hits(site)[0])
    site.inputs[0].pop("filters")
    done = repaired(site, plan)
    assert (done["complete"], done["records"]) == (True, 2)
    site.finish("index", "--once")
    assert audited(site)["whole"] is True


def rollover(site: Site) -> None:
    """The stream gets a new write index."""
    site.elastic(f"/{site.stream}/_rollover", {}, method="POST")


def test_a_record_that_is_stored_twice_is_named_with_its_places(site: Site) -> None:
    """The same id in two backing indices, which Elasticsearch does not refuse; people are told where."""
    shipped(site, LINES)
    hit = hits(site)[7]
    rollover(site)
    site.elastic(f"/{site.stream}/_create/{hit['_id']}?refresh=true", hit["_source"], method="PUT")
    found = audited(site, expect=1)
    (source,) = found["sources"]
    assert source["doubled"] == [{"start": 147, "end": 168, "records": [hit["_id"]]}]
    assert source["missing"] == []
    assert len(source["copies"][hit["_id"]]) == 2
    assert hit["_index"] in source["copies"][hit["_id"]]
    # A document that is gone must not be made up for by one of the same size that is there twice.
    delete(site, hits(site)[50])
    (source,) = audited(site, expect=1)["sources"]
    assert [len(source["doubled"]), len(source["missing"])] == [1, 1]
    table = site.finish("audit", "--wait", "0", log="table", expect=1)
    assert f"{hit['_index']}/_doc/{hit['_id']}" in table


def test_a_dead_letter_is_no_gap(site: Site) -> None:
    """What was refused is told with its reason, and apart from what is missing."""
    shipped(site, "first\nsecond\n")
    append(site.logs / "app.log", "refused\n\nalso refused\n")
    site.finish("ship", "--once")
    site.index_into_letters()
    shipped(site, "third\nfourth\n")
    found = audited(site)
    (source,) = found["sources"]
    assert (source["result"], source["dead"], source["dead_reasons"]) == (
        "whole",
        {"records": 2, "bytes": 21},
        {"stream": 2},
    )
    assert source["stored"] == {"records": 4, "bytes": 26}
    delete(site, next(hit for hit in hits(site) if hit["_source"]["message"] == "third"))
    (source,) = audited(site, expect=1)["sources"]
    assert source["missing"] == [{"start": 35, "end": 41}]
    assert source["dead"]["records"] == 2


def test_a_letter_that_is_replayed_meanwhile_is_no_gap(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record is behind what the audit waits for, and the letter is settled when it is read."""
    append(site.logs / "app.log", "refused\n")
    site.finish("ship", "--once")
    site.index_into_letters()
    ends = topics.ends

    async def replayed(settings: Settings) -> topics.Ends:
        found = await ends(settings)
        site.finish("dead-letters", "replay", "--all")
        return found

    monkeypatch.setattr(topics, "ends", replayed)
    ran = CliRunner().invoke(cli, ["audit", "--json", "--wait", "0", "--config", str(site.write_settings())])
    (source,) = json.loads(ran.stdout)["sources"]
    assert (ran.exit_code, source["result"], source["dead"]["records"]) == (0, "whole", 1)
    site.finish("index", "--once")
    assert audited(site)["totals"]["stored"]["records"] == 1


def test_a_letter_that_is_written_and_replayed_meanwhile_is_no_gap(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the audit waits for its record: nobody had replayed it when the audit began."""
    shipped(site, "first\n")
    append(site.logs / "app.log", "refused\n")
    site.finish("ship", "--once")
    left = topics.left
    looks: list[topics.Ends] = []

    async def refused(settings: Settings, goal: topics.Ends) -> topics.Ends:
        found = await left(settings, goal)
        looks.append(found)
        if len(looks) == 1:
            site.index_into_letters()
            site.finish("dead-letters", "replay", "--all")
        return found

    monkeypatch.setattr(topics, "left", refused)
    ran = CliRunner().invoke(cli, ["audit", "--json", "--wait", "30", "--config", str(site.write_settings())])
    (source,) = json.loads(ran.stdout)["sources"]
    assert (ran.exit_code, source["result"], source["dead"]["records"], len(looks)) == (0, "whole", 1, 2)


def test_what_is_not_indexed_yet_is_on_its_way(site: Site) -> None:
    """It is not called missing, and not repaired; but neither is it proved."""
    shipped(site, LINES)
    append(site.logs / "app.log", "one more\n")
    site.finish("ship", "--once")
    found = audited(site, expect=1)
    (source,) = found["sources"]
    assert (source["waiting"], source["missing"]) == ([{"start": 2100, "end": 2109}], [])
    assert found["unfinished_records"] == 1
    site.finish("index", "--once")
    assert audited(site)["whole"] is True


def test_what_retention_took_is_not_called_missing(site: Site) -> None:
    """Where a stream's oldest index is gone its first records cannot be checked; a hole behind them still is one."""
    shipped(site, LINES)
    rollover(site)
    shipped(site, "x" * 19 + "\n" + "y\n" * 3)
    shipped(site, "a fresh file\n", "fresh.log")
    old = hits(site)[0]["_index"]
    site.elastic(f"/{old}", method="DELETE")
    found = audited(site)
    by_name = {Path(one["path"]).name: one for one in found["sources"]}
    assert by_name["app.log"]["expired"] == [{"start": 0, "end": 2100}]
    assert by_name["fresh.log"]["result"] == "whole"
    delete(site, next(hit for hit in hits(site) if hit["_source"]["message"] == "a fresh file"))
    delete(site, next(hit for hit in hits(site) if hit["_source"]["log"]["offset"] == 2122))
    by_name = {Path(one["path"]).name: one for one in audited(site, expect=1)["sources"]}
    assert by_name["app.log"]["missing"] == [{"start": 2122, "end": 2124}]
    assert by_name["app.log"]["expired"] == [{"start": 0, "end": 2100}]
    assert by_name["fresh.log"]["missing"] == [{"start": 0, "end": 13}]


@pytest.mark.parametrize("deleted", ["", ".audit"])
def test_what_retention_took_from_one_of_two_streams_is_not_called_missing(site: Site, deleted: str) -> None:
    """Filters send some lines elsewhere, and each stream is deleted on days of its own."""
    site.inputs[0]["filters"] = [{"when": 'message == "audit"', "route": {"dataset": site.name + ".audit"}}]
    shipped(site, "one\naudit\ntwo\naudit\nthree\n")
    stream = f"logs-{site.name}{deleted}-default"
    assert audited(site)["totals"]["stored"]["records"] == 5
    (old,) = site.elastic(f"/{stream}/_settings")
    site.elastic(f"/{stream}/_rollover", {}, method="POST")
    site.elastic(f"/{old}", method="DELETE")
    (source,) = audited(site)["sources"]
    assert source["result"] == "expired"
    assert sum(one["end"] - one["start"] for one in source["expired"]) == (12 if deleted else 14)


def test_what_may_be_in_a_closed_index_is_not_called_missing(site: Site) -> None:
    """All is there, and nobody can look: a note names the index, and no repair sends it again."""
    shipped(site, LINES)
    first = hits(site)[0]["_index"]
    site.elastic(f"/{site.stream}/_rollover", {}, method="POST")
    shipped(site, "later\n")
    site.elastic(f"/{first}/_close", method="POST")
    found = audited(site, expect=1)
    (source,) = found["sources"]
    assert (source["result"], source["missing"]) == ("waiting", [])
    assert source["waiting"] == [{"start": 0, "end": 2100}]
    (note,) = found["notes"]
    assert note.startswith(f"Closed: {first}. ")
    said = site.finish("audit", "--wait", "0", log="table", expect=1)
    assert "2.1 KiB are not seen: they may be in a closed index" in said
    site.elastic(f"/{first}/_open", method="POST")
    assert audited(site)["whole"] is True


def test_a_closed_index_of_another_stream_hides_no_loss(site: Site) -> None:
    """Each stream has indices of its own."""
    site.inputs.append({"paths": [f"{site.logs}/*.txt"], "dataset": f"{site.name}.other"})
    append(site.logs / "other.txt", LINES.upper())
    shipped(site, LINES)
    delete(site, hits(site)[41])
    (other,) = site.elastic(f"/logs-{site.name}.other-default/_settings")
    site.elastic(f"/logs-{site.name}.other-default/_rollover", {}, method="POST")
    site.elastic(f"/{other}/_close", method="POST")
    results = {Path(one["path"]).name: one["result"] for one in audited(site, expect=1)["sources"]}
    assert results == {"app.log": "missing", "other.txt": "waiting"}


TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x()\nValueError: no\n'


def odd(site: Site) -> Path:
    """A file with blank lines, traces, a line that is too long, and lines that were cut where they had no end yet."""
    site.shipper |= {"max_line_bytes": 65_536, "chunk_bytes": 65_536}
    file = shipped(site, "\n\nfirst\n" + TRACE + "  \n\nbehind the trace\nan unfinished")
    for more in (" line\n\nwhole\n" + "long " * 40_000 + "\n" + TRACE, "an unfinished", " line\n" + TRACE + "last\n\n"):
        shipped(site, more)
    return file


def test_a_file_of_all_that_is_odd_is_whole_and_can_be_repaired(site: Site) -> None:
    """Each record that is taken away comes back as it was, where those beside it say where it began and ended."""
    file = odd(site)
    assert audited(site, "--full")["whole"] is True
    before = hits(site)
    flags = {flag for hit in before for flag in hit["_source"]["log"].get("flags", [])}
    assert "truncated" in flags
    assert any("stack_trace" in hit["_source"].get("error", {}) for hit in before)
    ids = [hit["_id"] for hit in before]
    for first in (0, 1):
        for hit in before[first::2]:
            site.elastic(f"/{hit['_index']}/_doc/{hit['_id']}", method="DELETE")
        plan = audited(site, expect=1)
        assert repaired(site, plan)["records"] == len(before[first::2])
        site.finish("index", "--once")
        assert [hit["_id"] for hit in hits(site)] == ids
        assert audited(site)["whole"] is True
    messages = [hit["_source"]["message"] for hit in before]
    assert [hit["_source"]["message"] for hit in hits(site)] == messages
    # Of all of it nobody knows any more where it was cut; it is whole all the same, and stays so.
    for hit in hits(site):
        site.elastic(f"/{hit['_index']}/_doc/{hit['_id']}", method="DELETE")
    plan = audited(site, expect=1)
    assert plan["totals"]["missing_bytes"] == file.stat().st_size - 1
    for _ in range(2):
        repaired(site, plan)
    site.finish("index", "--once")
    assert audited(site, "--full")["whole"] is True


def test_a_rotated_and_compressed_file_is_repaired_from_its_sibling(site: Site) -> None:
    """Though another file stands under its name; what cannot be read any more is named with the reason."""
    file = shipped(site, LINES)
    delete(site, hits(site)[41])
    with gzip.open(site.logs / "app.log.1.gz", "wb") as packed:
        packed.write(file.read_bytes())
    file.unlink()
    shipped(site, "another file\n")
    plan = audited(site, expect=1)
    done = repaired(site, plan)
    assert done["done"][0]["file"] == str(site.logs / "app.log.1.gz")
    site.finish("index", "--once")
    assert audited(site)["whole"] is True
    delete(site, hits(site)[41])
    (site.logs / "app.log.1.gz").unlink()
    done = repaired(site, audited(site, expect=1), expect=1)
    assert (done["complete"], done["left_bytes"], done["records"]) == (False, 21, 0)
    assert "neither" in done["done"][0]["reason"]
    assert site.stored() == 100


def test_only_a_plan_for_this_host_is_followed(site: Site) -> None:
    """A plan names hosts; what is no plan is refused, and so are bytes that were never shipped."""
    shipped(site, LINES)
    delete(site, hits(site)[41])
    plan = audited(site, expect=1)
    other = {**plan, "sources": [{**plan["sources"][0], "host": "another"}]}
    assert repaired(site, other)["ranges"] == 0
    assert "another" in site.finish("ship", "--repair", str(site.folder / "plan.json"), log="repair")
    wrong = {**plan, "sources": [{**plan["sources"][0], "missing": [{"start": 2000, "end": 99_999}]}]}
    assert "have been shipped" in repaired(site, wrong, expect=1)["done"][0]["reason"]
    strange = {**plan, "sources": [{**plan["sources"][0], "source": "nobody"}]}
    assert "does not know" in repaired(site, strange, expect=1)["done"][0]["reason"]
    file = site.folder / "plan.json"
    file.write_text("no plan")
    assert "no plan" in site.finish("ship", "--repair", str(file), log="repair", expect=1)
    assert len(site.shipped()) == 100
