"""The agent killed and stopped at its worst moments: truncations half remembered, deleted files, full work."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from conftest import create_topic
from processes import Site, append, chain, until

from tailrace.stack import Stack

pytestmark = [pytest.mark.crash, pytest.mark.edge]


def lines(first: int, last: int) -> list[str]:
    """The messages of these numbers."""
    return [f"line {number:06d}" for number in range(first, last)]


def as_text(messages: list[str]) -> str:
    """Lines as they stand in a file."""
    return "".join(f"{one}\n" for one in messages)


def sources(site: Site) -> list[tuple[tuple[int, int], bool]]:
    """Place and end of all sources in the registry."""
    with contextlib.closing(sqlite3.connect(f"file:{site.state}/registry.sqlite?mode=ro", uri=True)) as database:
        rows = database.execute("select device, inode, ended from sources").fetchall()
    return [((device, inode), bool(ended)) for device, inode, ended in rows]


def test_a_kill_at_a_truncation_leaves_one_source_of_each_place(site: Site) -> None:
    """The end of the old source is as durable as the beginning of the new one: the next start knows which to go on."""
    path = site.logs / "a.log"
    written = 0
    for turn in range(1, 5):
        agent = site.agent()
        append(path, as_text(lines(written, written + 50)))
        written += 50
        until(lambda: site.registered("records") == written, every=0.01)  # noqa: B023 - called at once
        path.write_text(as_text(lines(written, written + 1)))
        written += 1
        until(lambda: len(sources(site)) > turn, every=0.002)  # noqa: B023 - called at once
        agent.kill()
        living = Counter(place for place, ended in sources(site) if not ended)
        assert max(living.values()) == 1, f"two sources of one place go on: {sources(site)}"
    site.finish("ship", "--once")
    records = site.shipped()
    assert sorted({record.message for record in records}) == lines(0, written)
    assert len(chain(records)) == 5


def test_a_stop_counts_what_a_truncation_took_on_its_way(breakable_stack: Stack, tmp_path: Path, names: str) -> None:
    """Sent, not acknowledged, and no longer in the file: said with its bytes at the stop, and not begun again."""
    site = Site(tmp_path, breakable_stack, names)
    for topic in (site.topic, site.ledger):
        asyncio.run(create_topic(breakable_stack.bootstrap_servers, topic))
    site.shipper["drain_seconds"] = 1.0
    path = site.logs / "a.log"
    path.write_text(as_text(lines(0, 10)))
    agent = site.agent()
    try:
        until(lambda: site.registered("position") == 120)
        breakable_stack.pause("kafka")
        reach = site.registered("reach")
        append(path, as_text(lines(10, 30)))
        append(path, "x" * (reach - 120) + "\n")  # too far for the reach: what the registry says tells that it is sent
        until(lambda: site.registered("reach") > reach)
        path.write_text(as_text(lines(30, 40)))
        until(lambda: any(line["message"] == "file was truncated" for line in site.said()))
        assert agent.stop() == 0
        breakable_stack.resume("kafka")
        site.finish("ship", "--once")  # which first looks for a copy
        (lost,) = [line for line in site.said() if line["message"].startswith("unread bytes are lost")]
        assert (lost["bytes"], lost["path"]) == (240 + reach - 119, str(path))
        assert sum(ended for _place, ended in sources(site)) == 1
        site.finish("ship", "--once")
        arrived = {record.message for record in site.shipped()}
        assert arrived >= {*lines(0, 10), *lines(30, 40)}
    finally:
        site.end()


def test_a_deleted_file_is_read_to_its_end(site: Site) -> None:
    """Its writer goes on for a while; its name is taken by another file: of both every line comes, once."""
    path = site.logs / "a.log"
    path.touch()
    agent = site.agent()
    with path.open("a", encoding="utf-8") as deleted:
        until(lambda: agent.has_open(path), every=0.01)
        deleted.write(as_text(lines(0, 50_000)))
        deleted.flush()
        path.unlink()
        path.write_text(as_text(lines(50_000, 50_100)))
        deleted.write(as_text(lines(50_100, 50_200)))
        deleted.flush()
        until(lambda: site.registered("records") == 50_200)
        deleted.write(as_text(lines(50_200, 50_300)))
        deleted.flush()
        until(lambda: site.registered("records") == 50_300)
    assert agent.stop() == 0
    records = site.shipped()
    assert sorted(record.message for record in records) == lines(0, 50_300)
    assert not any(record.may_repeat for record in records)
    assert len(chain(records)) == 2
