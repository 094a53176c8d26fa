"""``tailrace tail``: the lines that pass through Kafka, as they pass."""

import asyncio
import json
import re
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple

import click
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from indexer.foreign import iso
from tailrace import kafka
from tailrace.cli.lines import LineCommand, Printer, line_options, quiet_pipe
from tailrace.cli.options import config_option
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.daemon import set_up_log
from tailrace.errors import RunSetup
from tailrace.query import Wanted, matcher, matches
from tailrace.settings import Settings
from tailrace.topics import written
from tailrace.words import several

_WINDOW = 10_000
"""So many records of each partition are looked through for the last lines that match."""

_UNKNOWN = "1970-01-01T00:00:00.000Z"
"""Where neither a record nor Kafka says when it was."""

_QUIET_SECONDS = 10
"""While no record comes, the brokers are asked so often whether they are still there."""

_EPILOG = """\b
Examples:
  tailrace tail
  tailrace tail -n 20 --level warn
  tailrace tail timeout --service 'play*'
  tailrace tail '/time(d )?out/' --field labels
  tailrace tail --topic tailrace.dead-letters --from-beginning --no-follow
  tailrace tail --json | jq -r .host.name

\b
Exit codes: 0 also after Ctrl-C, 1 Kafka or a topic is not there, 2 a mistake in the settings.
"""


class _Choice(NamedTuple):
    """Which records to show: those that match, from where on, and whether to wait for more."""

    wanted: Wanted
    pattern: re.Pattern[str]
    last: int
    from_beginning: bool
    follow: bool


class _Found(NamedTuple):
    """A record that matches: sent at so many milliseconds, its offset, its document."""

    sent: int
    offset: int
    document: Mapping[str, Any]


@click.command(cls=LineCommand, epilog=_EPILOG)
@click.argument("text", nargs=-1)
@config_option
@click.option("-n", "count", default=0, show_default=True, type=click.IntRange(0), help="Begin with the last so many.")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest record that is still there.")
@click.option("--no-follow", is_flag=True, help="End where the topic ended at the start.")
@click.option("--topic", "topics", multiple=True, metavar="NAME", help="Another topic than those of the settings.")
@line_options
def tail(
    text: tuple[str, ...],
    settings: Settings,
    count: int,
    from_beginning: bool,
    no_follow: bool,
    topics: tuple[str, ...],
    services: tuple[str, ...],
    hosts: tuple[str, ...],
    level: str,
    fields: tuple[str, ...],
    utc: bool,
    colour: bool | None,
    as_json: bool,
) -> None:
    """Follow the lines that pass through Kafka, from now on; Ctrl-C ends.

    TEXT must be in the message or the stack trace, in any case; /TEXT/ is a regular expression. No consumer group is
    used, so that nothing of it stays behind and no indexer notices.
    """
    try:
        pattern = matcher(" ".join(text))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    set_up_log(settings.log)
    choice = _Choice(Wanted(" ".join(text), services, hosts, level), pattern, count, from_beginning, not no_follow)
    printer = Printer(as_json=as_json, colour=colour, utc=utc, fields=fields)
    with quiet_pipe():
        asyncio.run(_tail(settings, topics, choice, printer))


async def _tail(settings: Settings, topics: tuple[str, ...], choice: _Choice, printer: Printer) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    consumer = AIOKafkaConsumer(
        **kafka.options(settings.kafka), group_id=None, enable_auto_commit=False, auto_offset_reset="latest"
    )
    following = asyncio.create_task(_follow(settings, consumer, topics, choice, printer))
    stopped = asyncio.create_task(stop.wait())
    async with kafka_errors(settings):
        try:
            await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (following, stopped):
                task.cancel()
            await asyncio.gather(following, stopped, return_exceptions=True)
            await kafka.stop(consumer)
        if not following.cancelled():
            following.result()


async def _follow(
    settings: Settings, consumer: AIOKafkaConsumer, topics: tuple[str, ...], choice: _Choice, printer: Printer
) -> None:
    topics = topics or tuple(dict.fromkeys([*await kafka.record_topics(settings), *written(settings)]))
    partitions = await _partitions(settings, topics)
    await consumer.start()
    consumer.assign(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    await _seek(consumer, ends, choice)
    if choice.last or choice.from_beginning or not choice.follow:
        await _show_past(consumer, ends, choice, printer)
    if not choice.follow:
        return
    click.echo(f"Following {', '.join(topics)} ({several(len(partitions), 'partition')}); Ctrl-C ends.", err=True)
    quiet, away = 0, False
    while True:
        polled = await consumer.getmany(timeout_ms=1000, max_records=2000)
        printer.show(one.document for one in _found(polled, choice))
        printer.check()
        quiet = 0 if polled else quiet + 1
        if quiet % _QUIET_SECONDS == 1 and away != (away := not await _answers(consumer, partitions)):
            said = "Kafka does not answer; waiting for it." if away else "Kafka answers again."
            click.secho(said, fg="yellow", err=True)


async def _partitions(settings: Settings, topics: tuple[str, ...]) -> list[TopicPartition]:
    """All partitions of the topics; none is asked for by name before it is known, for that might create it.

    Raises:
        RunSetup: a topic is not there.
    """
    admin = AIOKafkaAdminClient(**kafka.options(settings.kafka))
    try:
        await admin.start()
        there = await admin.list_topics()
        for topic in topics:
            if topic not in there:
                raise RunSetup(f"Kafka has no topic {topic}; run `tailrace setup`, or name another with --topic.")
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]]


async def _seek(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], choice: _Choice) -> None:
    begins = await consumer.beginning_offsets(list(ends))
    narrowed = choice.wanted != Wanted()
    back = max(choice.last, _WINDOW) if choice.last and narrowed else choice.last
    for partition, end in ends.items():
        first = begins[partition]
        consumer.seek(partition, first if choice.from_beginning else max(first, end - back))


async def _show_past(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], choice: _Choice, printer: Printer
) -> None:
    """Show what was there at the start: all of it as it comes, or the ``last`` ones that match, in order of time."""
    kept: list[_Found] = []
    while not await _at_end(consumer, ends):
        found = _found(await consumer.getmany(timeout_ms=1000, max_records=2000), choice)
        if choice.last:
            kept = sorted([*kept, *found], key=_when)[-choice.last :]
        else:
            printer.show(one.document for one in found)
    printer.show(one.document for one in kept)


async def _at_end(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


async def _answers(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> bool:
    try:
        await asyncio.wait_for(consumer.end_offsets(partitions), _QUIET_SECONDS)
    except (KafkaError, TimeoutError):
        return False
    return True


def _found(polled: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]], choice: _Choice) -> list[_Found]:
    """What matches in one poll, in order of time across partitions."""
    documents = (
        _Found(record.timestamp, record.offset, document)
        for records in polled.values()
        for record in records
        if (document := _document(record)) is not None
    )
    return sorted((one for one in documents if matches(choice.wanted, choice.pattern, one.document)), key=_when)


def _when(found: _Found) -> tuple[int, str, int]:
    """When a record was sent; of those of one batch, which have one time, what their documents say."""
    return found.sent, str(found.document["@timestamp"]), found.offset


def _document(record: ConsumerRecord[bytes, bytes]) -> Mapping[str, Any] | None:
    """The record's document; of a foreign record what the indexer would make of it; None of a tombstone."""
    if record.value is None:
        return None
    try:
        document = json.loads(record.value, parse_constant=_refused)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        document = {"message": record.value.decode("utf-8", "replace")}
    if "@timestamp" not in document:
        document = {"@timestamp": iso(record.timestamp) or _UNKNOWN, **document}
    return document


def _refused(constant: str) -> None:
    message = f"{constant} is no JSON"
    raise ValueError(message)
