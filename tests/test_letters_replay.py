"""Dead letters on the real Kafka and Elasticsearch: looked at, mended, sent again, and each stored exactly once."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.errors import KafkaError
from click.testing import CliRunner, Result
from conftest import create_topic, delete_topic
from processes import until
from test_indexer_edge import TIME, Load, Sent, admin, exactly_once, prepared, read

from indexer.replay import Replay
from tailrace import letter_topic
from tailrace.cli import cli
from tailrace.errors import RunSetup, SayYes
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
        return asyncio.run(read(self.bootstrap_servers, self.topic))


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Letters]:
    """Topics, a group, streams and a template of this test's own."""
    yield from prepared(Letters(tmp_path, stack, names))


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
    until(lambda: 300 <= site.records_in_topic() - 930 < 900 and site.counts()["open"] < 900)
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
    again = site.told("replay", "--all")
    assert (again["chosen"], again["passed_over"]) == (0, 900)
    assert site.records_in_topic() == before


def test_ended_between_sending_and_settling_each_letter_is_one_document(
    site: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: all of it is in the topic, none of it is settled; stored, rolled over, it is sent again."""
    records = site.conflicts(80)
    site.send(records)
    site.index_once()

    async def die(*_arguments: object) -> None:
        raise KafkaError

    with monkeypatch.context() as patched:
        patched.setattr(Replay, "settle", die)
        site.letters_command("replay", "--all", "--set", "n=1", code=1)
    assert site.counts() == {"open": 80, "replayed": 0, "dropped": 0}
    assert site.index_once()["stored"] == 80
    site.roll_over()
    assert site.told("replay", "--all", "--remove", "n")["replayed"] == 80
    found = site.index_once()
    assert (found["stored"], found["already"], found["looked_up"]) == (0, 80, 80)
    exactly_once(site, records)
    places = Counter((dict(one.headers)["t"].rpartition(b"|")[2], one.partition) for one in site.topic_records())
    assert set(places.values()) == {3}, "each copy behind the one before it, in its partition"
    assert site.counts() == {"open": 0, "replayed": 80, "dropped": 0}


def test_two_who_replay_at_the_same_time_store_each_letter_once(site: Letters) -> None:
    """Neither knows of the other; both copies stand in one partition, and the second is looked up behind the first."""
    records = site.conflicts(400)
    site.send(records)
    site.index_once()
    command = ("dead-letters", "replay", "--all", "--set", "n=1")
    both = [site.run(*command, log=f"replay{number}") for number in (1, 2)]
    assert [one.wait() for one in both] == [0, 0]
    assert site.records_in_topic() > 400
    site.index_once(slice_actions=50)
    exactly_once(site, records)
    assert site.counts()["open"] == 0


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


def test_a_letter_that_was_written_twice_is_one(site: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """An indexer that was killed before its commit writes it again, maybe after it was settled; strangers write too."""
    monkeypatch.setattr(letter_topic, "_AT_ONCE", 2)  # the copies come in other pieces than the letters
    site.send(site.conflicts(5))
    site.index_once()

    async def write_again() -> None:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=site.bootstrap_servers) as producer:
            for one in await read(site.bootstrap_servers, site.dead):
                await producer.send_and_wait(site.dead, one.value, one.key, headers=list(one.headers))
            await producer.send_and_wait(site.dead, b"no letter")

    asyncio.run(write_again())
    assert site.counts() == {"open": 5, "replayed": 0, "dropped": 0}
    assert site.told("replay", "--all", "--set", "n=1")["replayed"] == 5
    assert site.records_in_topic() == 10
    asyncio.run(write_again())
    assert site.counts() == {"open": 0, "replayed": 5, "dropped": 0}


def test_a_letter_says_everything_and_marks_what_is_wrong(site: Letters) -> None:
    """In a table of groups, in a block for people, and as JSON; control characters do not reach the terminal."""
    site.send([*site.conflicts(3), *site.conflicts(1, 50, service={"name": "\x1b[31mbad"})])
    site.index_once()
    lines = site.letters_command("stats").stdout.splitlines()
    assert lines[0].split() == ["letters", "reason", "field", "dataset", "service", "host", "first", "last"]
    assert lines[1].split()[:6] == ["3", "mapping", "n", site.name, "playback", "web-1"]
    assert lines[3].startswith("4 open, 0 replayed, 0 dropped; retention may delete the oldest open one in 30 d")
    (group,) = site.told("stats", "--by", "field", "--where", "service=playback")["groups"]
    assert (group["field"], group["letters"]) == ("n", 3)
    assert "failed to parse field [n] of type [long]" in group["example"]
    shown = site.letters_command("show", "--where", "service!=playback").stdout
    assert "\x1b" not in shown
    assert [line for line in shown.splitlines() if line.startswith("▶")] == ['▶ n             "many"']
    said = json.loads(site.letters_command("show", "--json", "-n", "1").stdout)
    assert (said["reason"], said["field"], said["topic"], said["settled"]) == ("mapping", "n", site.topic, None)
    assert said["document"]["n"] == "many"
    assert "latest 2 of 4" in site.letters_command("show", "-n", "2").stderr


def test_a_dropped_letter_says_who_and_why_and_is_not_sent(site: Letters) -> None:
    """Only after the question was answered; it can still be seen, and sent if somebody insists."""
    site.send(site.conflicts(12))
    site.index_once()
    drop = ("drop", "--where", "field=n", "--where", "offset<2", "--note", "load test")
    assert site.told(*drop, "--dry-run")["dropped"] == 6
    assert site.letters_command(*drop, typed="n\n").stdout == ""
    assert isinstance(site.letters_command(*drop, typed="", code=1).exception, SayYes)
    assert site.counts()["open"] == 12
    assert site.counts()["open"] == 12
    assert "Drop 6 letters?" in site.letters_command(*drop, typed="y\n").stderr
    assert site.counts() == {"open": 6, "replayed": 0, "dropped": 6}
    shown = site.letters_command("show", "--where", "settled=dropped").stdout
    assert shown.count("load test") == 6
    assert site.told("replay", "--all", "--dry-run")["chosen"] == 6
    said = site.letters_command("replay", "--where", "settled=dropped").stdout
    assert "Settled before: 6 letters that would fit; --again sends them again." in said
    assert site.told("replay", "--where", "settled=dropped", "--again", "--set", "n=1")["replayed"] == 6


def test_only_the_letters_that_were_asked_about_are_dropped(site: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others come while somebody thinks it over."""
    site.send(site.conflicts(3))
    site.index_once()

    def agreed(question: str) -> bool:
        site.send(site.conflicts(6, 100))
        site.finish("index", "--once")
        return question == "Drop 3 letters?"

    monkeypatch.setattr("tailrace.cli.dead_letters.agreed", agreed)
    site.letters_command("drop", "--all", "--note", "load test")
    assert site.counts() == {"open": 6, "replayed": 0, "dropped": 3}


def test_a_dry_run_shows_the_difference_and_sends_nothing(site: Letters) -> None:
    """Field by field, of the first few."""
    site.send(site.conflicts(9))
    site.index_once()
    before = site.records_in_topic()
    shown = site.letters_command("replay", "--all", "--rename", "n=labels.n", "--dry-run").stdout
    assert shown.count('- n  "many"') == shown.count('+ labels.n  "many"') == 5
    assert "these are the first 5 that would change" in shown
    assert "9 letters would be replayed. Nothing was changed" in shown
    assert site.records_in_topic() == before
    assert site.counts()["open"] == 9


def test_a_dry_run_does_not_show_what_is_sent_along_anyway(site: Letters) -> None:
    """The time and the stream that a record of others gets; a letter that only gets these is not shown."""
    site.send([Sent(b'{"n":"many"}', []), Sent(b'{"n":"more"}', [])])
    site.index_once()
    shown = site.letters_command("replay", "--all", "--set", "n=5", "--dry-run").stdout
    assert (shown.count("+ n  5"), shown.count("@timestamp"), shown.count("data_stream")) == (2, 0, 0)
    shown = site.letters_command("replay", "--all", "--dry-run").stdout
    assert shown.startswith("2 letters would be replayed.")


def test_a_misspelt_name_or_reason_chooses_no_letters(site: Letters) -> None:
    """``resaon!=json`` would fit them all: what changes something refuses it, what shows says so."""
    site.send(site.conflicts(2))
    site.index_once()
    for command in (("replay", "--set", "n=1"), ("drop", "--note", "x", "--yes")):
        said = site.letters_command(*command, "--where", "resaon!=json", code=2).stderr
        assert "No letter has a field resaon; did you mean reason? Nothing was done" in said
    rules = site.folder / "mends.txt"
    rules.write_text("where servic.name!=playback\nremove n\n")
    said = site.letters_command("replay", "--all", "--filter-file", str(rules), code=2).stderr
    assert "No letter has a field servic.name; did you mean service.name? Nothing was done" in said
    for mend in (("--remove", "servic.name"), ("--rename", "servic.name=labels.x")):
        said = site.letters_command("replay", "--all", *mend, code=2).stderr
        assert "No letter has a field servic.name; did you mean service.name? Nothing was done." in said
    assert (
        "No letter has a field colour."
        in site.letters_command("replay", "--all", "--remove", "colour", "--dry-run").stderr
    )
    assert "did you mean reason?" in site.letters_command("show", "--where", "resaon=mapping").stderr
    assert "No letter has a field colour." in site.letters_command("stats", "--where", "colour=red").stderr
    assert site.told("replay", "--where", ".resaon!=json", "--set", "n=1")["replayed"] == 2


def test_an_empty_object_is_seen_and_goes_with_its_last_key(site: Letters) -> None:
    """``n: {}`` is refused as ``n: {"a": 1}`` is."""
    values = [json.dumps({"@timestamp": TIME, "n": value}).encode() for value in ({}, {"a": 1})]
    site.send([one._replace(value=value) for one, value in zip(site.records(2), values, strict=True)])
    assert site.index_once()["dead"] == 2
    shown = site.letters_command("show").stdout
    assert "▶ n           {}" in shown
    assert "▶ n.a         1" in shown
    assert "- n  {}" in site.letters_command("replay", "--all", "--remove", "n", "--dry-run").stdout
    assert site.told("replay", "--where", "n.a=1", "--remove", "n.a")["replayed"] == 1
    assert site.index_once()["stored"] == 1


def test_a_replay_that_waits_says_what_came_back(site: Letters) -> None:
    """With an indexer running; exit code 1 while something is left to do."""
    site.send([*site.conflicts(4), *site.conflicts(2, 50, service={"name": "other"})])
    site.index_once()
    site.run("index")
    said = site.told("replay", "--where", "service=other", "--wait", "60", code=1)
    assert (said["replayed"], said["indexed"], said["returned"]) == (2, True, 2)
    said = site.told("replay", "--where", "service=playback", "--set", "n=1", "--wait", "60")
    assert (said["replayed"], said["indexed"], said["returned"]) == (4, True, 0)


def test_a_letter_that_was_cut_is_sent_whole_while_its_record_is_there(site: Letters) -> None:
    """The dead letter topic takes less here; the whole stands where it came from."""
    asyncio.run(delete_topic(site.bootstrap_servers, site.dead))
    until(lambda: site.dead not in asyncio.run(topics(site)))
    asyncio.run(create_topic(site.bootstrap_servers, site.dead, max_message_bytes="2000"))
    records = [
        one._replace(
            value=(one.value or b"").replace(b"line", bytes(random.Random(7).choices(b"abcdefghij", k=20_000)))
        )
        for one in site.conflicts(2)
    ]
    large = ("trace", bytes(random.Random(8).choices(b"abcdefghij", k=20_000)))
    records[1] = records[1]._replace(headers=[*records[1].headers, large])
    site.send(records)
    site.index_once()
    (first, _) = [json.loads(line) for line in site.letters_command("show", "--json").stdout.splitlines()]
    assert "document" not in first
    assert first["bytes"] > 20_000
    assert site.told("replay", "--all", "--set", "n=1")["replayed"] == 2
    assert site.index_once()["stored"] == 2
    exactly_once(site, records)
    again = [large in one.headers for one in site.topic_records()]
    assert again.count(True) == 2, "in the record that is sent again, too"


async def topics(site: Letters) -> list[str]:
    """The names of all topics."""
    async with admin(site) as client:
        found: list[str] = await client.list_topics()
        return found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay",), "--where CONDITION"),
        (("replay", "--all", "--where", "a=b"), "or --all"),
        (("replay", "--all", "--set", "n"), "FIELD=VALUE"),
        (("replay", "--where", "n~("), "missing )"),
        (
            ("show", "--where", "reason=maping"),
            "'maping' is no reason; did you mean mapping? known are",
        ),
        (("drop", "--all", "--note", " "), "--note is empty"),
        (("stats", "--by", "colour"), "known are reason"),
        (("stat",), "Did you mean stats?"),
    ],
)
def test_a_mistake_is_said_before_anything_is_read(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2, and how it is typed."""
    (tmp_path / "t.toml").write_text("")
    result = CliRunner().invoke(cli, ["dead-letters", *arguments, "--config", str(tmp_path / "t.toml")])
    assert result.exit_code == 2
    assert said in result.stderr


def test_without_the_topic_setup_is_named(site: Letters) -> None:
    """Nothing is made by asking."""
    site.dead = f"{site.name}.none"
    result = CliRunner().invoke(cli, ["dead-letters", "stats", "--config", str(site.write_settings())])
    assert isinstance(result.exception, RunSetup)
    assert "tailrace setup" in str(result.exception)
