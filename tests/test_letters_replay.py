"""Dead letters on the real Kafka and Elasticsearch: looked at, mended, sent again, and each stored exactly once."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from processes import until
from test_indexer_edge import TIME, Load, Sent, exactly_once

from tailrace.cli import cli
from tailrace.stack import Stack

pytestmark = pytest.mark.edge


class Letters(Load):
    """A site with records whose ``n`` is no number, which its template wants it to be."""

    def conflicts(self, count: int, start: int = 0, **more: Any) -> list[Sent]:
        """Records that the mapping refuses."""
        fields = {"@timestamp": TIME, "service": {"name": "playback"}, "host": {"name": "web-1"}, "n": "many", **more}
        return [
            one._replace(value=json.dumps({**fields, "message": f"line {number}"}).encode())
            for number, one in enumerate(self.records(count, start), start)
        ]

    def letters_command(self, *arguments: str, code: int = 0, typed: str | None = None) -> Result:
        """``tailrace dead-letters``, in this process."""
        command = ["dead-letters", *arguments, "--config", str(self.write_settings())]
        result = CliRunner().invoke(cli, command, input=typed)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def told(self, *arguments: str, code: int = 0) -> Any:
        """What a command says for programs."""
        return json.loads(self.letters_command(*arguments, "--json", code=code).stdout)

    def counts(self) -> dict[str, int]:
        """Letters by what became of them."""
        said = self.told("stats")
        return {name: said[name] for name in ("open", "replayed", "dropped")}

    def records_in_topic(self) -> int:
        """How many records there are in the record topic."""
        return len(self.topic_records())

    def topic_records(self) -> list[Any]:
        """All records of the record topic."""
        import asyncio

        from test_indexer_edge import read

        return asyncio.run(read(self.bootstrap_servers, self.topic))


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Letters]:
    """Topics, a group, streams and a template of this test's own."""
    one = Letters(tmp_path, stack, names)
    one.prepare()
    yield one
    one.end()


def test_killed_in_the_middle_and_run_again_each_letter_is_one_document(site: Letters) -> None:
    """Mended in two ways, across rollovers, with a kill -9 in the middle of it: as many documents as distinct ids."""
    records = site.conflicts(900)
    good = site.records(30, start=5000)
    site.send([*records, *good])
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (30, 900)
    site.roll_over()
    command = ("dead-letters", "replay", "--where", "field=n", "--set", "n=0", "--rate", "300")
    first = site.run(*command)
    until(lambda: 300 <= site.records_in_topic() - 930 < 900)
    first.kill()
    sent = site.records_in_topic() - 930
    left = site.counts()
    assert 0 < left["open"] < 900, "killed too late to show anything"
    assert left["open"] + left["replayed"] == 900
    site.index_once()  # what was sent is stored before a rollover, and comes again behind it
    site.roll_over()
    again = site.told(*command[1:-2], "--where", "offset<150", "--where", "host=web-1", "--remove", "n")
    assert again["left"] == []
    site.roll_over()
    site.told(*command[1:-2])
    assert sent + left["open"] >= 900
    found = site.index_once()
    assert found["dead"] == 0
    exactly_once(site, [*records, *good])
    assert site.counts() == {"open": 0, "replayed": 900, "dropped": 0}
    before = site.records_in_topic()
    assert site.told("replay", "--all")["chosen"] == 0
    assert site.records_in_topic() == before


def test_sent_again_without_need_nothing_is_stored_twice(site: Letters) -> None:
    """``--again`` sends what was settled; the ids are found in an older index, and no document is added."""
    records = site.conflicts(60)
    site.send(records)
    site.index_once()
    mend = ("--all", "--set", "n=1")
    assert site.told("replay", *mend)["replayed"] == 60
    assert site.index_once()["stored"] == 60
    site.roll_over()
    assert site.told("replay", *mend, "--again")["replayed"] == 60
    found = site.index_once()
    assert (found["stored"], found["already"]) == (0, 60)
    exactly_once(site, records)


def test_a_letter_that_is_refused_again_is_a_new_letter(site: Letters) -> None:
    """Sent unchanged it comes back, once; nothing is lost and nothing is counted as done."""
    site.send(site.conflicts(20))
    site.index_once()
    site.told("replay", "--all")
    assert site.index_once()["dead"] == 20
    assert site.counts() == {"open": 20, "replayed": 20, "dropped": 0}
    site.told("replay", "--all", "--set", "n=3")
    site.index_once()
    assert site.counts() == {"open": 0, "replayed": 40, "dropped": 0}
    exactly_once(site, site.conflicts(20))
    assert Counter(dict(letter.headers).get("tailrace.settled") for letter in site.letters()) == {
        None: 40,
        b"replayed": 40,
    }
