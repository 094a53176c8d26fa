"""A dead letter to the record that is sent again in its place, or to why there can be none. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from indexer.cloud_events import with_json
from indexer.foreign import foreign, iso, stream_of, why_no_object
from indexer.mend import CannotMend, Mend, decode, encode, mend
from indexer.reasons import Reason
from tailrace.letters import Letter
from tailrace.record import HEADER, Header, header_prefix, is_record_id, is_stream, parse_header
from tailrace.show import lookup

_PROOF = ("tailrace.source", "tailrace.bytes", "tailrace.skipped", "log.offset")
"""By these the audit knows which bytes of a file a document is."""


class Revived(NamedTuple):
    """A record for the topic and partition of the letter's subject.

    Its header has the document's old id and the flag that it may be stored already, so that it is looked up first:
    sent twice, it is stored once.
    """

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Unfit(NamedTuple):
    """The letter must stay; ``text`` says why, and what would help."""

    text: str


class Wish(msgspec.Struct, frozen=True):
    """How letters are to be sent again: ``streams`` as in the settings, ``as_text`` also what is no JSON object."""

    streams: Mapping[str, str]
    as_text: bool = False


def revive(letter: Letter, mends: Sequence[Mend], wish: Wish) -> Revived | Unfit:
    """The record of a letter, changed by these mends."""
    if letter.is_cut:
        return Unfit(
            f"only the first {len(letter.value):,} of its {letter.length:,} bytes are left; all of it stood in "
            f"{letter.subject}, which is gone"
        )
    ours = [value or b"" for name, value in letter.headers if name == HEADER]
    header = parse_header(ours[0]) if len(ours) == 1 else None
    if ours and header is None and not wish.as_text:
        return Unfit("its header t cannot be read: start an indexer of its version, or send it with --as-text")
    value = _mended(letter, header, mends, wish)
    if isinstance(value, Unfit):
        return value
    if header is None:
        found = _as_foreign(letter, value, wish)
        if isinstance(found, Unfit):
            return found
        header, value = found
    elif _may_move(letter, header, mends):
        stream = stream_of(letter.subject.topic, decode(value), wish.streams)
        if not is_stream(stream):
            return Unfit(_no_stream(stream))
        header = header._replace(stream=stream)
    flagged = header_prefix(header.stream, may_repeat=True) + header.record_id
    others = [(name, said) for name, said in letter.headers if name != HEADER]
    return Revived(letter.key, value, [(HEADER, flagged.encode()), *others])


def _mended(letter: Letter, header: Header | None, mends: Sequence[Mend], wish: Wish) -> bytes | Unfit:
    """The value; where nothing is changed in it, its very bytes."""
    foreign = not any(name == HEADER for name, _ in letter.headers)
    broken = Reason.JSON.value == letter.reason and wish.as_text
    if not mends and not broken:
        return letter.value
    document = decode(letter.value)
    if document is None:
        if not wish.as_text:
            helps = "; --as-text sends it as a message" if foreign else ""
            return Unfit(f"there is nothing to mend in it: {why_no_object(letter.value)}{helps}")
        document = {"message": letter.value.decode("utf-8", "replace")}
        if time := iso(letter.subject.timestamp):
            document["@timestamp"] = time
    proof = _proof(document)
    try:
        mend(document, mends)
        value = encode(document)
    except CannotMend as error:
        return Unfit(str(error))
    if header is not None and header.record_id.startswith(f"{proof[0]}:") and _proof(document) != proof:
        return Unfit("log.offset and tailrace.* say which line of its file it is, so no mend may change them")
    return value


def _proof(document: Mapping[str, Any]) -> list[Any]:
    return [lookup(document, name) for name in _PROOF]


def _may_move(letter: Letter, header: Header, mends: Sequence[Mend]) -> bool:
    """Whether mends choose the stream of a record of others that has our header only because it was sent again."""
    named = {name.partition(".")[0] for one in mends for name in (one.field, getattr(one, "to", ""))}
    theirs = header.record_id.rpartition("-")[0] == f"{letter.subject.topic}-{letter.subject.partition}"
    return letter.reason == Reason.STREAM.value and theirs and "data_stream" in named


def _as_foreign(letter: Letter, value: bytes, wish: Wish) -> tuple[Header, bytes] | Unfit:
    """What the indexer makes of a record of others: the id of its first place, and a whole document."""
    topic, partition, offset, timestamp = letter.subject
    # Of no other stream than the letter's, or a second run could choose another one.
    kept = letter.stream if letter.reason != Reason.STREAM.value and is_stream(letter.stream) else ""
    headers = letter.headers if value == letter.value else with_json(letter.headers)
    found = foreign(value, headers, timestamp, topic, wish.streams, stream=kept)
    if found.fault is not None:
        helps = "; --as-text sends it as a message" if found.fault.reason is Reason.JSON else "; --set @timestamp=…"
        return Unfit(found.fault.text + helps)
    if not is_stream(found.stream):
        return Unfit(_no_stream(found.stream))
    record_id = letter.record_id or f"{topic}-{partition}-{offset}"
    if not is_record_id(record_id):
        return Unfit(f"{record_id[:100]!r} cannot be a document's id")
    return Header(may_repeat=True, stream=found.stream, record_id=record_id), found.document


def _no_stream(name: str) -> str:
    return f"{name[:100]!r} is no data stream's name; --set data_stream.dataset=…"
