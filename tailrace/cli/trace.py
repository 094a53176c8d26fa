"""``tailrace trace``: where one line of a file is now."""

import asyncio
import datetime
from collections.abc import Mapping
from pathlib import Path

import click
from aiokafka import TopicPartition
from elasticsearch import AsyncElasticsearch

from shipper import registry_file
from shipper.names import is_packed
from shipper.registry_row import Row
from shipper.repair import host_of
from shipper.scan import place_of
from shipper.times import from_nanoseconds
from tailrace.audit import topics
from tailrace.audit.chain import Kept
from tailrace.audit.entry import Entry
from tailrace.audit.line import State, Told, Trace, judge, told_by
from tailrace.audit.seek import Documents, Wish, letters, sent
from tailrace.audit.stored import Stored
from tailrace.cli.once import Telling
from tailrace.cli.options import config_option, json_option
from tailrace.cli.programs import to_json
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.daemon import set_up_log
from tailrace.errors import MendInputs
from tailrace.settings import Settings
from tailrace.show import in_line
from tailrace.words import several

_STATES = {
    State.STORED: ("stored", "green"),
    State.DOUBLED: ("stored more than once", "red"),
    State.DEAD: ("in the dead letters", "yellow"),
    State.SKIPPED: ("it gave no record: blank, or left out by a rule", "cyan"),
    State.WAITING: ("on its way: the indexers have not finished it", "yellow"),
    State.UNREAD: ("not shipped", "yellow"),  # _unread says more
    State.UNKNOWN: ("nobody can know: it is not found, and an index of its data stream is closed", "yellow"),
    State.MISSING: ("missing: `tailrace audit --json` makes a plan for `tailrace ship --repair`", "red"),
}
_MOST_MESSAGE = 200
_LAST_OFFSET = 2**63 - 1
"""No file has a byte behind it, and no search understands a number behind it."""

_EPILOG = """\b
Examples:
  tailrace trace web-1 /var/log/playback/app.log 862        the line that has this byte
  tailrace trace web-1 /var/log/playback/app.log --text 'connection refused'
  tailrace trace - /var/log/playback/app.log 0 --json       of this host

\b
Exit codes: 0 it is known where the line is, 1 it is missing or stored more than once, or nobody can know, or knows such
a file; 2 a mistake on the command line or in the settings.
"""


@click.command(epilog=_EPILOG)
@click.argument("host")
@click.argument("path")
@click.argument("offset", required=False, type=click.IntRange(0, _LAST_OFFSET))
@click.option("--text", default="", metavar="TEXT", help="Instead of an offset: what the line says.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="With --text: at most so many lines, the newest.",
)
@json_option
@config_option
@click.pass_context
def trace(
    context: click.Context,
    settings: Settings,
    *,
    host: str,
    path: str,
    offset: int | None,
    text: str,
    number: int,
    as_json: bool,
) -> None:
    """Say where one line of a file is: registry, ledger, Kafka, Elasticsearch or dead letters.

    HOST is the host's name as documents have it (- is this one), PATH the file's, OFFSET a byte in the line. On the
    host itself its registry is read too. Where no index has the line, its partition is read through, and all copies
    of its record are named; of a stored one the first since it was read.
    """
    if offset is not None and text:
        raise click.UsageError("Say which line in one way: an OFFSET or --text TEXT, not both.")
    if offset is None and not text:
        raise click.UsageError("Say which line: an OFFSET, or --text TEXT.")
    if not path.startswith("/"):
        raise click.UsageError(f"PATH must be whole, as documents have it in log.file.path: not {path!r}.")
    set_up_log(settings.log)
    host = host_of(settings) if host == "-" else host
    found = asyncio.run(_trace(settings, host, path, offset, text, number))
    if as_json:
        click.echo(to_json(found))
    else:
        for place, one in enumerate(found):
            click.echo("\n" * bool(place), nl=False)
            _show(one)
    context.exit(1 if any(one.state in (State.MISSING, State.DOUBLED, State.UNKNOWN) for one in found) else 0)


async def _trace(settings: Settings, host: str, path: str, offset: int | None, text: str, number: int) -> list[Trace]:
    telling = Telling(settings.log, dict, _words)
    async with telling, elasticsearch_client(settings) as client, kafka_errors(settings):
        search = _Search(settings, client, host, path)
        await search.begin()
        places = (
            await search.saying(text, number) if offset is None else [(name, offset) for name in sorted(search.names)]
        )
        found = [await search.line(source, at) for source, at in places]
    for note in search.notes:
        click.secho(f"! {note}", fg="yellow", err=True)
    read = [one for one in found if one.state is not State.UNREAD]
    if not found:
        what = "No line that was shipped says so" if search.names else "Nobody knows such a file"
        raise MendInputs(f"{what}: {path} of {host}. {await search.advice()}")
    return sorted(read or found, key=lambda one: one.told, reverse=True)


class _Search:
    """Looks for lines of one file, which may have been several sources.

    ``notes`` are what its reader must know besides.
    """

    def __init__(self, settings: Settings, client: AsyncElasticsearch, host: str, path: str) -> None:
        self._settings = settings
        self._stored = Stored(client, settings.indexer.allowed_streams)
        self._documents = Documents(client, self._stored.index)
        self._host = host
        self._path = path
        self._entries: dict[str, Entry] = {}
        self._rows: dict[str, Row] = {}
        self.names: set[str] = set()
        self.notes: list[str] = []

    async def begin(self) -> None:
        """Find out which sources had this path."""
        self._entries = await topics.ledger(self._settings, lambda one: one.host == self._host)
        streams = {stream for one in self._entries.values() for stream in (one.data_stream, *one.routes)}
        await self._stored.begin(streams, [self._host])
        self.notes += self._stored.notes
        self._documents.index = self._stored.index
        folder = Path(self._settings.shipper.state_dir)
        if self._host == host_of(self._settings) and folder.is_dir():
            stored = registry_file.read(folder)
            self._rows = {row.source: row for row in stored.rows} if stored is not None else {}
        self.names = {name for name, one in self._entries.items() if one.path == self._path}
        self.names |= {name for name, row in self._rows.items() if row.path == self._path}
        self.names.update(await self._documents.sources(self._host, self._path))

    async def advice(self) -> str:
        """Where to look instead, when nothing was found."""
        if self._entries:
            return f"`tailrace audit --host {self._host}` shows what was shipped."
        near = await topics.hosts(self._settings, self._host)
        others = f", but of {', '.join(near)}" if near else ""
        return f"The ledger tells of no such host{others}; `tailrace audit` shows what was shipped."

    async def saying(self, text: str, number: int) -> list[tuple[str, int]]:
        """The lines that have a text in them, each by its source and offset; of stored or dead ones so many."""
        found = await self._documents.saying(self._host, self._path, text, number + 1)
        places = [(one.source, one.kept.offset) for one in found]
        if not places:
            dead = await letters(self._settings, Wish("", text=text), self.names)
            places = list(dict.fromkeys((name.partition(":")[0], _offset(name)) for _, name, _ in reversed(dead)))
        if len(places) > number:
            self.notes.append(f"more lines say so; these are the newest {number:,} (-n N shows more)")
        if places:
            return list(dict.fromkeys(places[:number]))
        passing = [(name, await sent(self._settings, Wish(name, text=text))) for name in sorted(self.names)]
        return [(name, kept.offset) for name, (records, _) in passing for kept, _ in records]

    async def line(self, source: str, offset: int) -> Trace:
        """All that is known of the line at a byte of a source."""
        one = await self._line(source, offset)
        if one.state is State.MISSING:
            await self._stored.refresh()
            if await self._documents.at(source, offset):  # it was stored while we looked
                one = await self._line(source, offset)
        if one.state is State.MISSING and self._is_closed(source):
            one.state = State.UNKNOWN
        return one

    async def _line(self, source: str, offset: int) -> Trace:
        one = self._known(source, offset)
        if _trails(self._entries.get(source), offset):
            one.state = State.SKIPPED
            return one
        stored = await self._documents.at(source, offset)
        one.documents = [found.document for found in stored]
        kept, read = (stored[0].kept, stored[0].read) if stored else (None, None)
        if kept is None and await self._documents.skips(source, offset):
            one.state = State.SKIPPED
            return one
        for covered, name, why in await letters(self._settings, _wish(source, offset, kept), [source]):
            kept = kept or covered or Kept(name, _offset(name), 0, 0)
            one.letters.append(why)
        if kept is None and one.is_unread:
            one.state = State.UNREAD
            return one
        records, one.kafka = await sent(self._settings, _wish(source, offset, kept)._replace(read=read))
        one.sent = [record for _, record in records]
        newest = records[-1][0] if records else None
        if kept is None or not kept.bytes:  # of a letter that was cut only the beginning is known
            kept = newest or kept
        if newest is not None and not (one.letters or one.documents):
            cut = await letters(self._settings, Wish(source, newest.record_id), [source])
            one.letters = [why for _, _, why in cut]
        goal = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in one.sent}
        waits = bool(goal) and bool(await topics.left(self._settings, goal))
        if kept is not None:
            one.record_id = newest.record_id if newest is not None else kept.record_id
            one.start, one.end = kept.offset, kept.offset + kept.bytes
        one.state = judge(one, waits=waits)
        if one.state is State.MISSING and one.shipped is None and offset >= await self._documents.end(source):
            one.state = State.UNREAD  # nobody says that there is such a byte
        return one

    def _is_closed(self, source: str) -> bool:
        """Whether what a source has may be in a closed index."""
        entry = self._entries.get(source)
        return self._stored.may_hide(
            self._stored.closed.values() if entry is None else (entry.data_stream, *entry.routes)
        )

    def _known(self, source: str, offset: int) -> Trace:
        """What the ledger and the registry say."""
        entry, row = self._entries.get(source), self._rows.get(source)
        one = Trace(host=self._host, path=self._path, source=source, offset=offset)
        one.ledger = None if entry is None else told_by(entry)
        if row is not None:
            one.registry = Told(row.position, row.reach, row.ended, from_nanoseconds(row.updated * 10**9), row.path)
            one.size = _size(row)
        return one


def _size(row: Row) -> int | None:
    """How long the file of a row is now; None if it is not where it was, or compressed."""
    if is_packed(row.path) or place_of(row.path) != row.place:
        return None
    return Path(row.path).stat().st_size


def _wish(source: str, offset: int, kept: Kept | None) -> Wish:
    """What to look for in Kafka and the dead letters: an id of Elasticsearch's making is in neither."""
    is_ours = kept is not None and kept.record_id.startswith(f"{source}:")
    return Wish(source, kept.record_id if kept is not None and is_ours else "", offset)


def _trails(entry: Entry | None, offset: int) -> bool:
    """Whether a byte is among those behind the last record that gave none."""
    return entry is not None and entry.chain_end <= offset < entry.position


def _offset(record_id: str) -> int:
    offset = record_id.split(":")[1:2]
    return int(offset[0]) if offset and offset[0].isdecimal() else 0


def _show(one: Trace) -> None:
    state, colour = _STATES[one.state]
    state += _unread(one) if one.state is State.UNREAD else ""
    click.echo(f"{in_line(one.path)} of {in_line(one.host)}, byte {one.offset:,}: {click.style(state, fg=colour)}")
    lines = [("source", one.source)]
    if one.record_id and one.start is not None and one.end is not None:
        lines.append(("record", f"bytes {one.start:,} to {one.end:,}, id {in_line(one.record_id)}"))
    said = {"registry": (one.registry, "stored"), "ledger": (one.ledger, "told")}
    lines += [(name, _told(told, word)) for name, (told, word) in said.items() if told]
    for record in one.sent:
        again = ", may be a repetition" if record.may_repeat else ""
        place = f"{record.topic}, partition {record.partition}, offset {record.offset}"
        lines.append(("kafka", f"{place}, sent {_clock(record.time)}{again}"))
    if one.kafka:
        lines.append(("kafka", one.kafka))
    lines += [("stored", f"{in_line(document.data_stream)}, in {document.index}") for document in one.documents]
    for letter in one.letters:
        field = f" (field {in_line(letter.field)})" if letter.field else ""
        settled = f"; {letter.settled}" if letter.settled else ""
        where = f"partition {letter.partition}, offset {letter.offset} of the dead letters"
        lines.append(("dead", f"{letter.reason}: {in_line(letter.error)}{field}; {where}{settled}"))
    lines += [("message", in_line(document.message[:_MOST_MESSAGE])) for document in one.documents[:1]]
    for name, text in lines:
        click.echo(f"  {click.style(name.ljust(9), dim=True)} {in_line(text)}")


def _unread(one: Trace) -> str:
    """Behind what a byte is that was not shipped."""
    if one.size is not None and one.offset >= one.size:
        return f": behind the end of the file, which has {several(one.size, 'byte')}"
    if one.shipped is None:
        return ": behind all that is known of the file"
    return f": behind the {several(one.shipped, 'byte')} that were"


def _clock(time: str) -> str:
    """A time of any precision with three digits of it, so that times can be compared by eye."""
    try:
        moment = datetime.datetime.fromisoformat(time)
    except ValueError:  # not as we write it: as it is
        return time
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(told: Told, word: str) -> str:
    reach = "" if told.reach is None else f", reach {told.reach:,}"
    time = f", {word} {_clock(told.time)}" if told.time else ""
    return f"position {told.position:,}{reach}{time}{', ended' if told.ended else ''}, {in_line(told.path)}"


def _words(_counts: Mapping[str, int], seconds: float) -> str:
    """The line that is shown while it works."""
    return f"Looking for it, {seconds:.0f} s"
