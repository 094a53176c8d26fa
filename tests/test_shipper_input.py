"""Files that are no clean logs, in one run of the real agent: each shipped as well as it can be, or named.

All of it goes on into the real Elasticsearch with the product's own templates: nothing may end in the dead letters.
"""

import asyncio
import os
import random
import secrets
import shutil
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import create_topic
from processes import Shipped, Site, chain, read_records, until

from tailrace.stack import Stack

pytestmark = pytest.mark.edge

RANDOM = random.Random(7)
HUGE = 50_000_000
"""Bytes of the longest line."""
HOLE = 5_000_000
"""Bytes of the hole at the end of a file."""


def deep(levels: int) -> bytes:
    """An object within an object, and so on."""
    return b'{"a":' * levels + b"1" + b"}" * levels


FILES: dict[str, bytes] = {
    "binary": RANDOM.randbytes(300_000),
    "utf8": b'plain \xff\xfe bytes\n{"message":"json \xff","level":"info"}\nfine\n',
    "nul": b"first\n" + b"\0" * 100_000 + b"after the hole\n" + b"\0" * 10 + b"\nlast\0one\n",
    "cut": b'{"level":"info","message":"x"}\n' * 3 + b'{"level":"in',
    "deep": b"".join(deep(levels) + b"\n" for levels in (10_000, 1020, 1000, 500, 101, 100, 20)),
    "deeplist": b"".join(b'{"a":' + b"[" * n + b"]" * n + b"}\n" for n in (10_000, 1020, 990, 300, 99)),
    "twice": b'{"a":1,"a":"two","message":"first","message":"second"}\n',
    "numbers": b'{"a":1e999,"b":1' + b"0" * 40 + b',"c":NaN,"d":-Infinity,"e":[1e999,2],"f":9007199254740993,'
    b'"message":"x"}\n'
    b'{"level":NaN,"duration":1e400,"http.response.status_code":1e30,"process.pid":99999999999999999999}\n'
    b'{"a":1' + b"0" * 5000 + b"}\n",
    "manynumbers": b"{" + b",".join(b'"n%d":1e300' % number for number in range(5_000)) + b"}\n",
    "manykeys": b"{" + b",".join(b'"%x":"v"' % RANDOM.getrandbits(64) for _ in range(5_000)) + b"}\n",
    "longlist": b'{"n":[' + b",".join(b"%d" % number for number in range(150_000)) + b'],"message":"numbers"}\n',
    "longkey": b'{"' + b"k" * 900_000 + b'":1,"message":"key"}\n',
    "escapes": bytes(range(1, 9)) * 120_000 + b"\n",
    "times": b"".join(
        b'{"timestamp":%s,"message":"t"}\n' % time
        for time in (
            b'"0000-01-01T00:00:00Z"', b'"275760-09-13T00:00:00Z"', b'"2262-04-12T00:00:00Z"',
            b'"1969-12-31T23:59:59Z"',
            b'"yesterday"', b'""', b"null", b"[]", b"{}", b"-1", b"1e308",
            b"true", b'"2026-02-30T00:00:00Z"', b"99999999999999999999999",
            b'"9999-12-31T23:59:59-23:59"', b'"0001-01-01T00:00:00+23:59"', b'"2026-11-23T18:00:00"',
        )
    ),
    "names": b'{"":1," ":2,".":3,"..":4,"a.":5,".b":6,"a..b":7,"*":8,"\\u0000":9,'
    b'"a":{"":{"":1}},"_id":"x","_source":{"x":1}}\n'
    b'{"labels":"text","numeric_labels":1,"log":"x","host":"y","tailrace":{"source":"z"},"data_stream":"no","ecs":1}\n'
    b'{"@timestamp":{"a":1},"message":{"a":1},"error":[1],"service":{"name":{"x":1}},"event":{"dataset":[1]}}\n',
    "kinds": b'{"x":1}\n{"x":"text"}\n{"x":{"y":1}}\n{"x":[1,"a",null,{"b":2}]}\n'
    b'{"x":true}\n{"x":null}\n[1,2]\n"text"\n7\nnull\n',
    "surrogates": b'{"message":"\\ud800 alone","\\udfff":"\\ud83d\\ude00"}\n',
    "crlf": b"one\r\ntwo\r\n\r\n \t\r\nthree\r",
    "separators": "a\u2028b\u2029c\u0085d\x0be\x0cf\n".encode(),
    "empty": b"",
}  # fmt: skip


class Run:
    """What one run of the agent and one of the indexer made of all these files."""

    def __init__(self, site: Site, peak_mb: float, unreadable: float) -> None:
        self.site = site
        self.peak_mb = peak_mb
        self.unreadable = unreadable
        self.said = site.said()
        self.records: dict[str, list[Shipped]] = defaultdict(list)
        for record in site.shipped(60):
            self.records[Path(record.document["log"]["file"]["path"]).stem].append(record)

    def documents(self, name: str) -> list[dict[str, Any]]:
        """The documents of a file, in the order of its lines."""
        return sorted((record.document for record in self.records[name]), key=lambda one: one["log"]["offset"])

    def reasons(self, path: str) -> list[str]:
        """What the agent said of a path: each warning once."""
        return [f"{one['message']}: {one.get('reason', '')}" for one in self.said if one.get("path") == path]


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The one run: the agent follows all of it while another file is written to, then everything is indexed."""
    site = Site(tmp_path_factory.mktemp("input"), stack, f"t{secrets.token_hex(4)}")
    for topic, partitions in ((site.topic, 3), (site.ledger, 1), (site.dead, 1)):
        asyncio.run(create_topic(stack.bootstrap_servers, topic, partitions))
    wanted = write_files(site.logs)
    site.inputs.append({"paths": [f"{site.folder}/nothing/*.log"], "dataset": site.name})
    site.serve_metrics()
    agent = site.agent(prefix=_UNPRIVILEGED)
    healthy = site.logs / "healthy.log"

    def all_acknowledged() -> bool:
        with healthy.open("a") as file:
            file.write(f"{time.time()}\n")
        return site.registered("position") >= wanted + healthy.stat().st_size - 100

    try:
        until(all_acknowledged, 90)
        peak_mb = agent.peak_mb
        unreadable = site.metric("tailrace_shipper_unreadable_files")
        assert agent.stop() == 0
        site.finish("setup")
        site.finish("index", "--once", seconds=120)
        yield Run(site, peak_mb, unreadable)
    finally:
        site.end()
        shutil.rmtree(site.logs)


_UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Root may read what nobody may, unless these capabilities are taken from it."""


def write_files(logs: Path) -> int:
    """Everything that is wrong with files; how many bytes of it can be read."""
    for name, content in FILES.items():
        (logs / f"{name}.log").write_bytes(content)
    with (logs / "huge.log").open("wb") as file:
        file.writelines([b"before\n", *(b"x" * 1_000_000 for _ in range(HUGE // 1_000_000)), b"\nafter\n"])
    os.truncate(logs / "nul.log", len(FILES["nul"]) + HOLE)
    wanted = sum(path.stat().st_size for path in logs.iterdir()) - HOLE  # that is room for lines that nobody writes
    (logs / "secret.log").write_text("nobody may read this\n")
    (logs / "secret.log").chmod(0)
    (logs / "folder.log").mkdir()
    os.mkfifo(logs / "fifo.log")
    (logs / "dangling.log").symlink_to("nowhere")
    (logs / "loop.log").symlink_to("loop.log")
    (logs / "linked.log").symlink_to("twice.log")
    return wanted


def test_nothing_ends_in_the_dead_letters(run: Run) -> None:
    """Every record, whatever it was made of, is stored by the real Elasticsearch with the product's templates."""
    letters = asyncio.run(read_records(run.site.bootstrap_servers, run.site.dead))
    assert [(letter.headers, letter.value[:200]) for letter in letters] == []
    assert run.site.stored() == sum(map(len, run.records.values()))


def test_every_byte_of_every_file_is_accounted_for(run: Run) -> None:
    """The records of each file cover it from its first byte to its last, once: bytes shipped and bytes skipped."""
    for name, records in run.records.items():
        (end,) = chain(records).values()
        size = (run.site.logs / f"{name}.log").stat().st_size
        if name == "nul":
            size -= HOLE  # at its end, where no record follows that could tell of it
        assert end == size or name == "healthy", name  # it was still written to when the agent was stopped
    assert run.records.keys() == {*FILES, "huge", "healthy", "linked"} - {"empty", "twice"}


def test_a_healthy_file_is_not_delayed(run: Run) -> None:
    """Each of its lines is sent within seconds of being written, while all the others are read."""
    delays = [record.sent - float(record.message) for record in run.records["healthy"]]
    assert len(delays) >= 10
    assert max(delays) < 3


def test_memory_stays_bounded(run: Run) -> None:
    """Whatever the lines are: also while one of fifty megabytes goes by."""
    assert run.peak_mb < 150


def test_what_is_no_log_file_is_named_once_with_its_reason(run: Run) -> None:
    """A directory, a FIFO, links to nowhere, a file that may not be read, a pattern that nothing matches."""
    logs = run.site.logs
    assert {name: run.reasons(f"{logs}/{name}.log") for name in ("folder", "fifo", "dangling", "loop", "secret")} == {
        "folder": ["not a log file, left alone: it is a directory"],
        "fifo": ["not a log file, left alone: it is a FIFO"],
        "dangling": ["not a log file, left alone: its link points nowhere"],
        "loop": ["not a log file, left alone: Too many levels of symbolic links"],
        "secret": ["cannot read file: Permission denied"],
    }
    assert run.reasons(f"{run.site.folder}/nothing/*.log") == ["no file matches yet: "]
    assert run.unreadable == 5


def test_a_file_of_two_names_is_shipped_once(run: Run) -> None:
    """Under the first of its names that matches."""
    assert [document["message"] for document in run.documents("linked")] == ["second"]
    assert run.records["twice"] == []


def test_bytes_that_are_no_text_are_replaced_and_flagged(run: Run) -> None:
    """A binary file is shipped line by line; lines of bad UTF-8 keep what is good, JSON stays JSON."""
    binary = run.documents("binary")
    assert all("encoding" in document["log"]["flags"] for document in binary if "\ufffd" in document["message"])
    assert len(binary) > 1000
    plain, parsed, fine = run.documents("utf8")
    assert (plain["message"], plain["log"]["flags"]) == ("plain \ufffd\ufffd bytes", ["encoding"])
    assert (parsed["message"], parsed["log"]["level"]) == ("json \ufffd", "info")
    assert parsed["log"]["flags"] == ["encoding"]
    assert "flags" not in fine["log"]
    (separators,) = run.documents("separators")
    assert separators["message"] == "a\u2028b\u2029c\u0085d\x0be\x0cf"
    (alone,) = run.documents("surrogates")
    assert (alone["message"], alone["labels"]) == ("\ufffd alone", {"\ufffd": "\U0001f600"})


def test_holes_are_skipped_and_what_stands_behind_them_is_not(run: Run) -> None:
    """The NULs that a truncation left are covered and not shipped; NULs within a line are text."""
    first, behind, last = run.documents("nul")
    assert (first["message"], behind["message"], last["message"]) == ("first", "after the hole", "last\0one")
    assert behind["log"]["flags"] == ["hole"]
    assert behind["tailrace"]["bytes"] == 100_000 + len("after the hole\n")
    assert last["tailrace"]["skipped"] == 11


def test_a_line_of_fifty_megabytes_keeps_its_beginning(run: Run) -> None:
    """Flagged, with the length of the whole, the checksum of the whole in its id, and its neighbours unharmed."""
    before, huge, after = run.documents("huge")
    assert (before["message"], after["message"]) == ("before", "after")
    assert huge["log"]["flags"] == ["truncated"]
    assert huge["tailrace"]["bytes"] == HUGE + 1
    assert huge["message"].rstrip("…") == "x" * (len(huge["message"]) - 1)
    assert len(huge["message"]) > 800_000
    record = next(record for record in run.records["huge"] if b"truncated" in record.value)
    assert record.record_id.endswith(f":{zlib.crc32(b'x' * HUGE):08x}")


def test_json_that_cannot_be_parsed_is_shipped_as_text(run: Run) -> None:
    """Cut in half, or nested too deep to be walked through: the whole line is the message, flagged ``format``."""
    *whole, half = run.documents("cut")
    assert [document["log"]["level"] for document in whole] == ["info"] * 3
    assert (half["message"], half["log"]["flags"]) == ('{"level":"in', ["format"])
    for document, levels in zip(run.documents("deep"), (10_000, 1020, 1000, 500, 101), strict=False):
        assert document["message"] == deep(levels).decode()
        assert document["log"]["flags"] == ["format"]
    assert [document["log"].get("flags") for document in run.documents("deep")[5:]] == [None, None]
    lists = run.documents("deeplist")
    assert [document["log"].get("flags") for document in lists] == [["format"]] * 4 + [None]
    assert lists[-1]["labels"] == {"a": "[" * 99 + "]" * 99}


def test_of_a_key_that_stands_twice_the_last_counts(run: Run) -> None:
    """As the parser of any service would have it."""
    (document,) = run.documents("linked")
    assert (document["message"], document["labels"]) == ("second", {"a": "two"})


def test_numbers_keep_their_digits_and_conflict_with_nothing(run: Run) -> None:
    """What no double can hold is text; what is no number is text; a field of ECS takes only what fits it."""
    first, second, third = run.documents("numbers")
    assert first["labels"] == {
        "a": "1e999", "b": "1" + "0" * 40, "c": "nan", "d": "-inf", "e": first["labels"]["e"],
        "f": "9007199254740993",
    }  # fmt: skip
    assert second["labels"]["http.response.status_code"] == "1e30"
    assert second["labels"]["process.pid"] == "99999999999999999999"
    assert second["labels"]["duration"] == "1e400"
    assert "numeric_labels" not in second
    assert third["message"].endswith("0" * 5000 + "}")
    (many,) = run.documents("manynumbers")
    assert many["labels"] == {f"n{number}": "1e300" for number in range(5_000)}
    (numbers,) = run.documents("longlist")
    assert numbers["log"]["flags"] == ["truncated"]
    assert numbers["labels"]["n"].startswith("[0,1,2,")


def test_times_that_are_none_are_labels_and_the_line_has_the_time_of_reading(run: Run) -> None:
    """Year 0, year 275760, before 1970, no day of the calendar, no time at all: flagged ``time``, kept as written."""
    *strange, good = run.documents("times")
    assert len(strange) == 16
    for document in strange:
        assert document["log"]["flags"] == ["time"]
        assert document["@timestamp"] == document["event"]["created"]
    kept = [document["labels"]["timestamp"] for document in strange if "labels" in document]
    assert "275760-09-13T00:00:00Z" in kept
    assert "flags" not in good["log"]


def test_values_of_any_kind_under_one_key_live_together(run: Run) -> None:
    """Number, text, object, list, truth; and lines that are JSON but no object."""
    messages = [document.get("message") for document in run.documents("kinds")]
    assert messages == [None] * 6 + ["[1,2]", '"text"', "7", "null"]


def test_names_that_are_ours_cannot_be_taken(run: Run) -> None:
    """A line that says it is another source, host or stream says so in labels."""
    _, ours, _ = run.documents("names")
    assert ours["labels"]["tailrace.source"] == "z"
    assert ours["labels"]["host"] == "y"
    assert ours["host"]["name"] == f"{run.site.name}-host"


def test_lines_may_end_as_on_windows(run: Run) -> None:
    """The CR belongs to the line end; blank lines are skipped and counted."""
    documents = run.documents("crlf")
    assert [document["message"] for document in documents] == ["one", "two", "three"]
    assert documents[-1]["tailrace"]["skipped"] == 6
