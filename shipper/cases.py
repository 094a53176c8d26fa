"""What lines were to become and what they became, to the differences. No I/O."""

import datetime
import difflib
import enum
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import orjson

from shipper.leaves import is_everywhere, leaves
from shipper.lines import is_blank
from shipper.routed import topic_of
from shipper.rows import Record
from tailrace.settings import Input

_FLAGS, _ABSENT, _TOPIC = "flags", "absent", "topic"
"""What may stand among the fields of an expected document and is none."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[cases]]``: lines, and what is expected of them."""

    name: str
    path: str = ""
    """The file in which the lines are thought to stand: it chooses the input."""
    dataset: str = ""
    """Or the input is chosen by its dataset; neither is needed where there is one input."""
    lines: str | list[str] = ""
    file: str = ""
    """A file with the lines, beside the file of cases; instead of ``lines``."""
    read: datetime.datetime | None = None
    """When the lines are thought to be read, for times that do not say their year; else now."""
    timezone: str = ""
    """The zone in which the host is thought to be, for an input whose ``timezone`` is ``local``."""
    exact: bool = False
    """Whether a document may have no other fields than those expected, but for those that every document has."""
    documents: list[dict[str, Any]] | None = None
    """In order; fields by dotted names or in tables; ``flags`` and ``absent``, which are lists; and ``topic``."""
    count: int | None = None
    """How many documents there are; else as many as are expected."""
    dropped: int | None = None
    """How many lines, not blank, are in no document."""
    nowhere: list[str] = []
    """Texts that no document may hold anywhere: secrets."""


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of cases."""

    settings: str = ""
    """The settings file, beside this one; ``--config`` names another."""
    inputs: list[Input] = []
    """Inputs that are tested instead of those of a settings file."""
    cases: list[Case] = []


class Kind(enum.Enum):
    """How what came out is not what was expected."""

    DIFFERS = "differs"
    MISSING = "missing"
    UNEXPECTED = "unexpected"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One value that is not as expected; ``document`` counts from 1, and is 0 for what is true of all of them."""

    document: int
    field: str
    kind: Kind
    expected: Any = None
    found: Any = None
    hint: str = ""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A case, what came out, and what of it is not as expected."""

    name: str
    path: str
    ok: bool
    differences: list[Difference]
    documents: list[dict[str, Any]]
    topics: list[str]
    """For each document the topic that it goes to."""
    topic: str
    """The topic of those which no rule sends to another; empty if the case could not be run."""
    dropped: list[str]
    """Lines that are in no document."""
    expects_nothing: bool = False
    """The case does not say yet what it expects; it fails."""
    error: str = ""
    """Why the case, or its whole file, could not be run; empty if it was."""


def unjudged(name: str, error: str, path: str = "") -> Judged:
    """What could not be run: it is neither as expected nor otherwise."""
    return Judged(
        name=name, path=path, ok=False, differences=[], documents=[], topics=[], topic="", dropped=[], error=error
    )


def judge(case: Case, path: str, content: bytes, records: Sequence[Record], topic: str) -> Judged:
    """Compare what lines became with what the case expects of them; ``topic`` as of ``Judged``."""
    documents = [orjson.loads(value) for _, value in records]
    topics = [topic_of(record, topic) for record in records]
    dropped = list(_dropped(content, documents))
    found = [*_whole(case, documents, dropped)]
    for number, (expected, document, goal) in enumerate(zip(case.documents or [], documents, topics, strict=False), 1):
        found += _compared(number, expected, document, goal, exact=case.exact)
    silent = case.documents is None and case.count is None and case.dropped is None and not case.nowhere
    return Judged(
        name=case.name,
        path=path,
        ok=not found and not silent,
        differences=found,
        documents=documents,
        topics=topics,
        topic=topic,
        dropped=dropped,
        expects_nothing=silent,
    )


def pasted(judged: Judged) -> str:
    """Documents as a case expects them, to paste into its file; the topic of those that a rule sends to another."""
    made = []
    for document, topic in zip(judged.documents, judged.topics, strict=True):
        told = [(name, value) for name, value in leaves(document) if name != "log.flags" and _is_told(name, document)]
        lines = [f"{_json(name)} = {_json(value)}" for name, value in told]
        flags = document.get("log", {}).get("flags", [])
        goal = [f"{_TOPIC} = {_json(topic)}"] if topic != judged.topic else []
        made.append("\n".join(["[[cases.documents]]", *lines, f"{_FLAGS} = {_json(flags)}", *goal, ""]))
    return "\n".join(made)


def _is_told(name: str, document: dict[str, Any]) -> bool:
    """Whether a field says something of its line: the time of reading does not."""
    is_read = name == "@timestamp" and document[name] == document["event"]["created"]
    return not is_read and not is_everywhere(name)


def _json(value: Any) -> str:  # noqa: ANN401 - values of TOML and of JSON
    return orjson.dumps(value).decode()


def _dropped(content: bytes, documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lines that no document covers, but for blank ones: a document says which bytes of the file it is of."""
    covered = [(one["log"]["offset"], one["log"]["offset"] + one["tailrace"]["bytes"]) for one in documents]
    at, turn = 0, 0
    for line in content.split(b"\n"):
        while turn < len(covered) and covered[turn][1] <= at:
            turn += 1
        if not is_blank(line) and not (turn < len(covered) and covered[turn][0] <= at):
            yield line.decode("utf-8", "replace")
        at += len(line) + 1


def _whole(case: Case, documents: Sequence[dict[str, Any]], dropped: Sequence[str]) -> Iterator[Difference]:
    """What is true of all documents together."""
    count = case.count if case.count is not None else None if case.documents is None else len(case.documents)
    if count is not None and count != len(documents):
        yield Difference(document=0, field="documents", kind=Kind.DIFFERS, expected=count, found=len(documents))
    if case.dropped is not None and case.dropped != len(dropped):
        yield Difference(document=0, field="dropped", kind=Kind.DIFFERS, expected=case.dropped, found=len(dropped))
    for number, document in enumerate(documents, 1):
        for name, value in leaves(document):
            if any(text in _text(value) or text in name for text in case.nowhere):
                yield Difference(
                    document=number, field=name, kind=Kind.UNEXPECTED, found=value, hint="holds what must be nowhere"
                )


def _compared(
    number: int, expected: dict[str, Any], document: dict[str, Any], topic: str, *, exact: bool
) -> Iterator[Difference]:
    wanted = dict(expected)
    absent = wanted.pop(_ABSENT, [])
    if _FLAGS in wanted:
        wanted["log.flags"] = wanted.pop(_FLAGS)
    wanted = dict(leaves(wanted))
    got = dict(leaves(document))
    if _TOPIC in wanted:
        got[_TOPIC] = topic  # no document has such a field: what a line calls so is a label
    for name, value in wanted.items():
        if name not in got:
            if not (name == "log.flags" and not value):
                yield Difference(
                    document=number, field=name, kind=Kind.MISSING, expected=_plain(value), hint=_hint(name, value, got)
                )
        elif not _is_same(value, got[name]):
            yield Difference(document=number, field=name, kind=Kind.DIFFERS, expected=_plain(value), found=got[name])
    for name, value in got.items():
        gone = any(name == one or name.startswith(f"{one}.") for one in absent)
        if gone or (exact and name not in wanted and _is_told(name, document)):
            hint = "must be absent" if gone else ""
            yield Difference(document=number, field=name, kind=Kind.UNEXPECTED, found=value, hint=hint)


def _is_same(wanted: Any, got: Any) -> bool:  # noqa: ANN401 - values of TOML and of JSON
    """Whether two values are the same; a number is no text, a time may be written in any way."""
    if isinstance(wanted, datetime.datetime) and isinstance(got, str):
        try:
            return datetime.datetime.fromisoformat(got) == wanted
        except (ValueError, TypeError):
            return False
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    return bool(wanted == got)


def _plain(value: Any) -> Any:  # noqa: ANN401 - as above
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _hint(name: str, value: Any, got: dict[str, Any]) -> str:  # noqa: ANN401 - as above
    """Where the value stands instead, or a field that is named alike."""
    last = name.rpartition(".")[2]
    near = [one for one in got if _is_same(value, got[one]) and not is_everywhere(one)]
    near += [one for one in got if one.rpartition(".")[2] == last]
    near += difflib.get_close_matches(name, got, n=1, cutoff=0.7)
    return f"there is {near[0]}" if near else ""


def _text(value: Any) -> str:  # noqa: ANN401 - as above
    return value if isinstance(value, str) else _json(value)
