"""The agent as a real process, on real files and the real Kafka: what is shipped once, what is said when it cannot."""

import asyncio
import json
import os
import sqlite3
import time
from collections import Counter

import pytest
from conftest import MakeTopic
from processes import Site, append, chain, read_records, until

from tailrace.stack import Stack

pytestmark = pytest.mark.edge


def lines(first: int, last: int) -> list[str]:
    """The messages of these numbers."""
    return [f"line {number:06d}" for number in range(first, last)]


def as_text(messages: list[str]) -> str:
    """Lines as they stand in a file."""
    return "".join(f"{one}\n" for one in messages)


def test_once_ships_each_line_once_and_a_second_run_adds_nothing(site: Site) -> None:
    """All that is there is in Kafka when ``--once`` returns, and it is remembered."""
    for number in range(3):
        (site.logs / f"{number}.log").write_text(as_text(lines(number * 1000, number * 1000 + 1000)))
    site.finish("ship", "--once")
    first = site.shipped()
    assert sorted(record.message for record in first) == lines(0, 3000)
    assert not any(record.may_repeat for record in first)
    assert chain(first)
    site.finish("ship", "--once")
    assert len(site.shipped()) == 3000


def test_the_ledger_says_what_was_shipped_of_each_source(site: Site, stack: Stack) -> None:
    """Before ``--once`` returns, and for a source that a truncation ended too: position, records and bytes."""
    path = site.logs / "a.log"
    path.write_text(as_text(lines(0, 1000)) + "\n\n")
    site.finish("ship", "--once")
    agent = site.agent()
    path.write_text(as_text(lines(1000, 1010)))
    until(lambda: len(site.shipped()) == 1010)
    agent.stop()
    found = asyncio.run(read_records(stack.bootstrap_servers, site.ledger))
    last = {record.key: json.loads(record.value) for record in found}
    told = sorted(
        (one["position"], one["records"], one["bytes"], one["trailing_skipped_bytes"]) for one in last.values()
    )
    assert told == [(120, 10, 120, 0), (12002, 1000, 12000, 2)]
    assert {one["position"] for one in last.values() if one["ended"]} == {12002}


def test_a_line_without_its_end_is_cut_and_the_cut_is_kept(site: Site) -> None:
    """Its first half is shipped by ``--once``; its rest is the next record, a late line end none: no byte twice."""
    path = site.logs / "a.log"
    path.write_bytes(b"whole\nfirst half")
    site.finish("ship", "--once")
    assert site.messages() == ["first half", "whole"]
    append(path, ", second half")
    site.finish("ship", "--once")
    append(path, "\r\nnext\n")
    site.finish("ship", "--once")
    site.finish("ship", "--once")
    records = site.shipped()
    assert sorted(record.message for record in records) == [", second half", "first half", "next", "whole"]
    assert list(chain(records).values()) == [path.stat().st_size]


def test_a_cut_is_kept_over_a_kill(site: Site) -> None:
    """A half line that was sent and not yet remembered is cut there again, though it has grown meanwhile."""
    path = site.logs / "a.log"
    path.write_bytes(b"whole\n")
    agent = site.agent()
    until(lambda: site.registered("position") == 6)
    append(path, "first half")
    until(lambda: "first half" in site.messages(), every=0.01)
    agent.kill()
    append(path, ", second half\n")
    site.finish("ship", "--once")
    records = site.shipped()
    assert {record.message for record in records} == {"whole", "first half", ", second half"}
    assert list(chain(records).values()) == [path.stat().st_size]


def test_what_is_appended_slowly_is_shipped_soon(site: Site) -> None:
    """A running agent ships a line within a second of its being written, and half a line once it has been still."""
    path = site.logs / "a.log"
    path.touch()
    agent = site.agent()
    for number in range(5):
        append(path, f"slow {number}\n")
        until(lambda number=number: f"slow {number}" in site.messages(), 3)  # type: ignore[misc]
    append(path, "half")
    until(lambda: "half" in site.messages(), 5)
    append(path, "\nnext\n")
    until(lambda: "next" in site.messages(), 5)
    assert agent.stop() == 0
    records = site.shipped()
    assert len(records) == 7
    assert list(chain(records).values()) == [path.stat().st_size]


def test_rotation_by_renaming_loses_and_repeats_nothing(site: Site) -> None:
    """While it is written to, while the agent runs and while it is stopped, within and out of sight of the patterns."""
    path = site.logs / "a.log"
    written = 0

    def write(count: int) -> None:
        nonlocal written
        append(path, as_text(lines(written, written + count)))
        written += count

    write(100)
    agent = site.agent()
    for turn in range(6):
        until(lambda: agent.has_open(path), every=0.005)
        write(50)
        path.rename(site.logs / (f"a.log.{turn}" if turn % 2 else f"a-{turn}.log"))
        write(50)
    until(lambda: len(site.shipped()) >= written)
    assert agent.stop() == 0
    write(50)
    path.rename(site.logs / "a.log.6")
    append(site.logs / "a.log.6", as_text(lines(written, written + 10)))
    written += 10
    write(50)
    agent = site.agent()
    write(50)
    until(lambda: len(site.shipped()) >= written)
    assert agent.stop() == 0
    records = site.shipped()
    assert sorted(record.message for record in records) == lines(0, written)
    assert not any(record.may_repeat for record in records)
    assert chain(records)


def test_a_truncated_file_is_a_new_source(site: Site) -> None:
    """As copytruncate leaves it: what is written after the truncation is shipped whole, under ids of its own."""
    path = site.logs / "a.log"
    path.write_text(as_text(lines(0, 100)))
    agent = site.agent()
    until(lambda: len(site.shipped()) == 100)
    os.truncate(path, 0)
    append(path, as_text(lines(100, 150)))
    until(lambda: len(site.shipped()) >= 150)
    assert agent.stop() == 0
    records = site.shipped()
    assert sorted(record.message for record in records) == lines(0, 150)
    assert len(chain(records)) == 2


def test_a_file_that_regrew_past_the_position_is_noticed(site: Site) -> None:
    """Truncated and rewritten, with the same first lines and longer than before, while the agent was down."""
    path = site.logs / "a.log"
    banner = as_text([f"banner {number}" for number in range(200)])
    path.write_text(banner + as_text(lines(0, 100)))
    site.finish("ship", "--once")
    path.write_text(banner + as_text(lines(200, 400)))
    site.finish("ship", "--once")
    counts = Counter(record.message for record in site.shipped())
    assert {message for message in counts if message.startswith("line")} == {*lines(0, 100), *lines(200, 400)}
    assert set(counts.values()) == {1, 2}


def test_two_agents_never_share_a_state_folder(site: Site) -> None:
    """The second says so in one sentence and exits 1; the first goes on."""
    agent = site.agent()
    said = site.finish("ship", "--once", log="second", expect=1)
    assert "Another agent uses the state folder" in said
    assert "Traceback" not in said
    append(site.logs / "a.log", "still here\n")
    until(lambda: site.messages() == ["still here"])
    assert agent.stop() == 0


def test_a_stop_drains_and_the_next_start_repeats_nothing(site: Site) -> None:
    """SIGTERM in full work: exit code 0 within seconds, and no line carries the flag afterwards."""
    path = site.logs / "a.log"
    path.write_text(as_text(lines(0, 80_000)))
    agent = site.agent()
    until(lambda: site.registered("reach") > 0, every=0.005)
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 5
    assert 0 < site.registered("position") < path.stat().st_size, "not in full work"
    site.finish("ship", "--once")
    records = site.shipped()
    assert len(records) == 80_000
    assert not any(record.may_repeat for record in records)
    assert list(chain(records).values()) == [path.stat().st_size]


def test_once_ends_though_its_file_shrinks(site: Site) -> None:
    """It does not wait for bytes that will not come again; it says what was taken, and ships what is there instead."""
    path = site.logs / "a.log"
    path.write_text(as_text(lines(0, 150_000)))
    agent = site.run("ship", "--once")
    until(lambda: site.state.joinpath("registry.sqlite").exists() and agent.has_open(path), every=0.005)
    until(lambda: registered(site) > 0, every=0.005)
    path.write_text("a new beginning\n")
    agent.wait(60)
    assert [line["message"] for line in site.said()].count("file was truncated") == 1
    assert any(line["message"].startswith("unread bytes are lost") for line in site.said())
    records = site.shipped()
    assert 1 < len(records) < 150_001, "not under way"
    assert [record.message for record in records].count("a new beginning") == 1
    chain(records)


def registered(site: Site) -> int:
    """How far the registry is, which may just be made."""
    try:
        return site.registered("position")
    except sqlite3.OperationalError:
        return 0


def test_a_missing_topic_names_setup(site: Site) -> None:
    """One sentence, exit code 1, whether it is the records' topic or the ledger's."""
    (site.logs / "a.log").write_text("x\n")
    right = site.topic, site.ledger
    for topic, ledger in ((f"{site.name}.nowhere", right[1]), (right[0], f"{site.name}.nowhere")):
        site.topic, site.ledger = topic, ledger
        said = site.finish("ship", "--once", expect=1)
        assert f"The topic {site.name}.nowhere does not exist; create it with `tailrace setup`." in said
        assert "Traceback" not in said


def test_once_without_a_broker_says_so(site: Site) -> None:
    """One sentence with the address, exit code 1, after the time-out of a request."""
    (site.logs / "a.log").write_text("x\n")
    site.kafka["request_timeout_seconds"] = 1.0
    settings = site.write_settings(bootstrap_servers="127.0.0.1:1")
    said = site.finish("ship", "--once", expect=1, settings=settings)
    assert "Kafka does not answer at 127.0.0.1:1" in said
    assert "Traceback" not in said


def test_a_stop_does_not_wait_for_a_broker_that_never_came(site: Site) -> None:
    """An agent that waits for Kafka ends at SIGTERM at once, with exit code 0."""
    settings = site.write_settings(bootstrap_servers="127.0.0.1:1")
    agent = site.run("ship", settings=settings)
    until(lambda: any(line["message"] == "waiting for Kafka" for line in site.said()))
    assert agent.stop(3) == 0


def test_a_state_folder_that_cannot_be_used_says_so(site: Site) -> None:
    """One sentence each: a file in its place, and a registry that is damaged."""
    site.state.write_text("not a folder")
    said = site.finish("ship", "--once", expect=1)
    assert "Cannot use the state folder" in said
    site.state.unlink()
    (site.logs / "a.log").write_text(as_text(lines(0, 10)))
    site.finish("ship", "--once")
    registry = site.state / "registry.sqlite"
    size = registry.stat().st_size
    registry.write_bytes(registry.read_bytes()[:100] + b"\xff" * (size - 100))
    for leftover in site.state.glob("registry.sqlite-*"):
        leftover.unlink()
    said += site.finish("ship", "--once", expect=1)
    assert "is damaged" in said
    assert "Traceback" not in said


def test_a_record_fits_the_smallest_topic(site: Site, make_topic: MakeTopic) -> None:
    """A record larger than the topic's ``max.message.bytes`` is cut to it and flagged, and holds nothing up."""
    site.topic = make_topic(f"{site.name}.small", 1, max_message_bytes="20000")
    noise = os.urandom(60_000).hex()
    (site.logs / "a.log").write_text(f"before\n{noise}\nafter\n")
    site.finish("ship", "--once")
    records = site.shipped()
    before, long, after = (record.document for record in records)
    assert (before["message"], after["message"]) == ("before", "after")
    assert long["log"]["flags"] == ["truncated"]
    assert long["tailrace"]["bytes"] == len(noise) + 1
    assert noise.startswith(long["message"][:-1])
    assert len(long["message"]) > 15_000
