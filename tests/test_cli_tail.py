"""``tailrace tail`` on a real Kafka: what passes, what was there, and how it ends."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from click.testing import CliRunner, Result
from conftest import MakeTopic

from tailrace.cli import cli
from tailrace.stack import Stack

TAILRACE = str(Path(sys.executable).parent / "tailrace")


def record(number: int, level: str = "info", service: str = "playback") -> bytes:
    """A record's value; the number is in its message and its time."""
    stamp = f"2026-11-23T10:00:{number % 60:02d}.000Z"
    document = {"@timestamp": stamp, "message": f"line {number}", "log": {"level": level}, "service": {"name": service}}
    return json.dumps(document).encode()


def produce(stack: Stack, topic: str, values: list[bytes | None], partitions: int = 1) -> None:
    """Send values to the partitions in turn, a millisecond apart."""

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers) as producer:
            futures = [
                await producer.send(topic, value, key=b"k", partition=number % partitions, timestamp_ms=1000 + number)
                for number, value in enumerate(values)
            ]
            await asyncio.gather(*futures)

    asyncio.run(send())


@pytest.fixture
def config(stack: Stack, tmp_path: Path, names: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file for the stack, with topics of this test's own."""
    file = tmp_path / "tailrace.toml"
    file.write_text(
        f'[kafka]\nbootstrap_servers = ["{stack.bootstrap_servers}"]\n'
        f'[shipper]\ntopic = "{names}.logs"\n[indexer]\ntopics = ["{names}.logs"]\n'
    )
    monkeypatch.setenv("TAILRACE_CONFIG", str(file))
    return file


def tail(*arguments: str) -> Result:
    """Run it in this process, up to where the topic ends."""
    return CliRunner().invoke(cli, ["tail", "--no-follow", *arguments])


def messages(result: Result) -> list[str]:
    """The messages of what was printed with ``--json``."""
    return [json.loads(line)["message"] for line in result.stdout.splitlines()]


@pytest.mark.edge
def test_the_last_records_are_shown_in_order_of_time(
    config: Path, stack: Stack, names: str, make_topic: MakeTopic
) -> None:
    """Across partitions; filters choose among the last ten thousand of each."""
    topic = make_topic(f"{names}.logs", 3)
    levels = ["error" if number % 10 == 0 else "info" for number in range(200)]
    produce(stack, topic, [record(number, level) for number, level in enumerate(levels)], 3)
    assert messages(tail("--json", "-n", "5")) == [f"line {number}" for number in range(195, 200)]
    assert messages(tail("--json", "-n", "2", "--level", "warn")) == ["line 180", "line 190"]
    assert messages(tail("--json", "-n", "3", "LINE 19")) == ["line 197", "line 198", "line 199"]
    assert messages(tail("--json", "-n", "9", "/line 1[89]0/", "--service", "play*")) == ["line 180", "line 190"]
    assert messages(tail("--json", "--from-beginning")) == [f"line {number}" for number in range(200)]
    assert tail("-n", "0").stdout == ""
    assert tail("--utc", "-n", "1").stdout == "2026-11-23 10:00:19.000 INFO  playback     line 199\n"


@pytest.mark.edge
def test_records_of_others_are_shown_as_well_as_can_be(
    config: Path, stack: Stack, names: str, make_topic: MakeTopic
) -> None:
    """Text, broken or odd JSON, bytes; a tombstone is no record; nothing reaches the terminal raw."""
    topic = make_topic(f"{names}.logs")
    odd: list[bytes | None] = [
        b"plain \x1b[2J text",
        b'{"a": NaN}',
        b"\xff\x00",
        None,
        b"[1]",
        b"[" * 20_000,
        b'{"a":1}',
    ]
    produce(stack, topic, odd)
    result = tail("-n", "9", "--utc")
    shown = [line[24:].split(None, 2) for line in result.stdout.splitlines()]
    assert [text for _level, _service, text in shown[:4]] == [
        "plain \\u001b[2J text",
        '{"a": NaN}',
        "\ufffd\\u0000",
        "[1]",
    ]
    assert len(shown) == 6
    assert all(line.startswith("1970-01-01 00:00:01.") for line in result.stdout.splitlines())
    for line in tail("-n", "9", "--json").stdout.splitlines():
        json.loads(line)


@pytest.mark.edge
def test_what_passes_is_followed_until_ctrl_c(config: Path, stack: Stack, names: str, make_topic: MakeTopic) -> None:
    """From now on, not what was there; Ctrl-C ends it quietly with 0, and no consumer group is left behind."""
    topic = make_topic(f"{names}.logs", 2)
    produce(stack, topic, [record(1)])
    with subprocess.Popen(
        [TAILRACE, "tail", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stderr.readline() == f"Following {topic} (2 partitions); Ctrl-C ends.\n"
        groups = asyncio.run(group_names(stack))
        produce(stack, topic, [record(2), record(3)], 2)
        seen = sorted(json.loads(running.stdout.readline())["message"] for _ in range(2))
        running.send_signal(signal.SIGINT)
        rest = running.communicate(timeout=30)
    assert seen == ["line 2", "line 3"]
    assert rest == ("", "")
    assert running.returncode == 0
    assert not any(names in group for group in groups)


async def group_names(stack: Stack) -> list[str]:
    """All consumer groups of the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        return [str(group) for group, *_ in await admin.list_consumer_groups()]
    finally:
        await admin.close()


@pytest.mark.edge
def test_a_reader_that_goes_away_ends_it_quietly(config: Path, stack: Stack, names: str, make_topic: MakeTopic) -> None:
    """``tail | head -1`` ends although nothing more comes; no traceback."""
    topic = make_topic(f"{names}.logs")
    produce(stack, topic, [record(1), record(2)])
    command = f"'{TAILRACE}' tail --from-beginning | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0
    assert ended.stdout.endswith("line 1\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.edge
def test_a_topic_that_is_not_there_names_setup_and_is_not_made(config: Path, stack: Stack, names: str) -> None:
    """Asking must not create it."""
    result = tail()
    assert result.exit_code == 1
    assert str(result.exception) == (
        f"Kafka has no topic {names}.logs; run `tailrace setup`, or name another with --topic."
    )
    assert f"{names}.logs" not in asyncio.run(topic_names(stack))


async def topic_names(stack: Stack) -> list[Any]:
    """All topics of the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


def test_a_broker_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    """With its address and the next step; no traceback, no log lines of the client."""
    file = tmp_path / "tailrace.toml"
    file.write_text('[kafka]\nbootstrap_servers = ["127.0.0.1:9"]\n')
    ended = subprocess.run([TAILRACE, "tail", "-c", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: Kafka does not answer at 127.0.0.1:9 (connection refused); is it running")
    assert ended.stderr.count("\n") == 1


def test_a_bad_regular_expression_is_a_usage_error(tmp_path: Path) -> None:
    """Exit code 2."""
    file = tmp_path / "tailrace.toml"
    file.write_text("")
    result = tail("-c", str(file), "/(/")
    assert result.exit_code == 2
    assert "/(/ is no regular expression" in result.stderr
