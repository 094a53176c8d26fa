"""Records that were made only to be looked at, to a report on how well a file is understood. No I/O."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import orjson

from shipper.constants import NOTHING, Surroundings
from shipper.filters.sieve import Rules
from shipper.formats import guessed, is_telling
from shipper.formats.auto import Fits
from shipper.formats.json import fields as json_fields
from shipper.identity import Place
from shipper.multiline import joiner_of
from shipper.records import Encoder
from shipper.routed import topic_of
from shipper.source import Source, Step, fresh_row
from tailrace.settings import Input, Shipper

_SAMPLES = 3
_DOUBTS = frozenset({"format", "time", "auto", "encoding"})
"""Flags of records that were not understood."""
_SURE = 0.8
_PATTERNED = ("regex", "grok")
_OF_APACHE = re.compile("(?<![a-z])(?:apache|httpd|access_log)")
"""In a path, what says that Apache wrote the file; lighttpd is another."""


def source_of(
    entry: Input, path: str, host: str, limits: Shipper, rules: Rules | None = None, around: Surroundings = NOTHING
) -> Source:
    """A source of that path as the agent would read it, whose records nobody sends."""
    joiner = joiner_of(entry, limits.read_bytes)
    encoder = Encoder(
        entry, "try", path, {"name": host}, limits.max_record_bytes, limits.max_line_bytes, joiner, rules, around
    )
    return Source(fresh_row("try", path, Place(0, 0)), encoder, b"")


def steps_of(source: Source, read_at: Callable[[int, int], bytes], most: int, now: Callable[[], int]) -> Iterator[Step]:
    """All records of a source in the agent's steps, as it makes them; a last line without its end counts as it is.

    ``read_at`` gives at most so many bytes from that offset on; ``now`` is in nanoseconds since 1970.
    """
    while True:
        back = len(source.anchor)
        window = read_at(most + back, source.at - back)
        full = len(window) == most + back
        step = source.read(window, now(), full=full)
        if step is not None:
            yield step
        elif not full and source.open_bytes:
            source.make_cut()
        elif not full:
            return


class Fit(msgspec.Struct, frozen=True):
    """A format and the share of records that are of it."""

    format: str
    share: float
    sure: bool = True
    """Whether it is enough to name the format by."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A data stream and a topic, and how many records go there; ``share`` is of all records."""

    dataset: str
    namespace: str
    topic: str
    records: int
    share: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a file would be shipped."""

    path: str
    format: str
    bytes: int
    records: int
    parsed: float | None
    """Share of records without a doubt about format, time or encoding; None without records."""
    timed: int
    """How many records have a time of their own, and not that of reading."""
    flags: dict[str, int]
    levels: dict[str, int]
    first: str
    last: str
    """The earliest and the latest time that stands in a record, RFC 3339; empty if none does."""
    doubtful: list[str]
    """Some messages of records that were not understood."""
    targets: list[Target]
    """Where the records go, most of them first; one if no rule sends any elsewhere."""
    dropped: dict[str, int]
    """Records that filters left out, by rule; they are not among the others."""
    redacted: dict[str, dict[str, int]]
    """Values that filters made unreadable, by rule and kind."""
    documents: list[dict[str, Any]]
    fits: list[Fit]
    """The formats that fit the first records, best first."""
    better: Fit | None
    """Another format that would understand more, and which share."""
    suggested: str
    """The format to name in the settings."""
    damage: str
    """Why a compressed file gave no more than this; empty if that was all."""


class Tally:
    """Counts records as they are made; ``topic`` is that of those which no rule sends to another."""

    def __init__(self, topic: str) -> None:
        self.records = 0
        self._topic = topic
        self._doubtful = 0
        self._timed = 0
        self._flags: Counter[str] = Counter()
        self._levels: Counter[str] = Counter()
        self._targets: Counter[tuple[str, str, str]] = Counter()
        self._dropped: Counter[str] = Counter()
        self._redacted: dict[str, Counter[str]] = {}
        self._first, self._last = "", ""
        self._odd: list[str] = []
        self._documents: list[dict[str, Any]] = []

    def add(self, step: Step) -> None:
        """Count the records of a step, and what filters did."""
        self._dropped.update({rule: records for rule, (records, _) in step.dropped.items()})
        for (rule, kind), count in step.redacted.items():
            self._redacted.setdefault(rule, Counter())[kind] += count
        for record in step.records:
            document = orjson.loads(record[1])
            log, stream = document["log"], document["data_stream"]
            flags = log.get("flags", ())
            self.records += 1
            self._targets[stream["dataset"], stream["namespace"], topic_of(record, self._topic)] += 1
            self._flags.update(flags)
            self._levels[log.get("level", "")] += 1
            time = document["@timestamp"]
            if time != document["event"]["created"]:
                self._timed += 1
                self._first = min(self._first or time, time)
                self._last = max(self._last, time)
            if not _DOUBTS.isdisjoint(flags):
                self._doubtful += 1
                if len(self._odd) < _SAMPLES:
                    self._odd.append(str(document.get("message", "")))
            elif len(self._documents) < _SAMPLES:
                self._documents.append(document)

    @property
    def parsed(self) -> float | None:
        """Share of records without a doubt; None without records."""
        return 1 - self._doubtful / self.records if self.records else None

    def report(
        self, path: str, entry: Input, size: int, fits: list[Fit], better: Fit | None = None, damage: str = ""
    ) -> Report:
        """What was counted, and what the file's first lines say of its format."""
        best = next((one.format for one in fits if one.sure), "plain")
        targets = [
            Target(dataset=dataset, namespace=namespace, topic=topic, records=count, share=count / self.records)
            for (dataset, namespace, topic), count in self._targets.most_common()
        ]
        levels = {level or "none": count for level, count in self._levels.most_common()}
        return Report(
            path=path,
            format=entry.format,
            bytes=size,
            records=self.records,
            parsed=self.parsed,
            timed=self._timed,
            flags=dict(self._flags.most_common()),
            levels=levels,
            first=self._first,
            last=self._last,
            doubtful=self._odd,
            targets=targets,
            dropped=dict(self._dropped.most_common()),
            redacted={rule: dict(kinds.most_common()) for rule, kinds in self._redacted.items()},
            documents=self._documents,
            fits=fits,
            better=better,
            suggested=better.format if better else best if entry.format == "auto" else entry.format,
            damage=damage,
        )


def fits_of(lines: Sequence[bytes], path: str) -> list[Fit]:
    """How well each format fits the first lines of a file, each with its own way of joining lines; best first.

    Where several fit as well, as those of access logs do, that comes first which the path speaks for.
    """
    found: list[Fit] = []
    for name, fields in {**guessed(), "json": json_fields}.items():
        joiner = joiner_of(Input(paths=[], dataset="x", format=name), 2**30)
        records = joiner.join([*lines], b"", final=True).records if joiner is not None else lines
        counted = Fits({name: fields}, is_telling)
        counted.add(records)
        share = counted.share(name)
        if share:
            found.append(Fit(name, share, share >= _SURE or counted.is_sure(name)))
    named = _named(path.lower())
    return sorted(found, key=lambda one: (-one.share, one.format != named))


def _named(path: str) -> str:
    """The format that a path speaks for; empty if it speaks for none."""
    return "nginx" if "nginx" in path else "apache" if _OF_APACHE.search(path) else ""


def advice(report: Report, entry: Input) -> str:
    """The input to paste into the settings file."""
    paths, quoted, columns, delimiter = (
        orjson.dumps(value).decode() for value in ([report.path], entry.pattern, entry.csv.columns, entry.csv.delimiter)
    )
    more = f"pattern = {quoted}\n" if report.suggested in _PATTERNED else ""
    if report.suggested == "csv":
        more = f"\n[shipper.inputs.csv]\ncolumns = {columns}\ndelimiter = {delimiter}\n"
    return f'[[shipper.inputs]]\npaths = {paths}\ndataset = "{entry.dataset}"\nformat = "{report.suggested}"\n{more}'
