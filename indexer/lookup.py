"""Ids that may be stored already to whether they are, in all backing indices: a stream only checks its write index."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from indexer import bulk
from indexer.transport import Answer, Transport
from tailrace.causes import NO_JSON

_CHUNK = 1000


class _Stream(msgspec.Struct, frozen=True):
    backing_indices: list[str]


class _Resolved(msgspec.Struct, frozen=True):
    data_streams: list[_Stream] = []


class _Document(msgspec.Struct, frozen=True):
    found: bool | None = None


class _Documents(msgspec.Struct, frozen=True):
    docs: list[_Document]


class Unanswered(NamedTuple):
    """Nobody knows; ``text`` says why. To be asked again: it never means absent."""

    text: str


async def look_up(transport: Transport, addresses: Sequence[tuple[str, str]]) -> list[bool] | Unanswered:
    """Whether each (stream, id) is stored in any backing index of its stream, as of now (realtime, no refresh)."""
    found = [False] * len(addresses)
    for stream in sorted({stream for stream, _ in addresses}):
        numbers = [number for number, (name, _) in enumerate(addresses) if name == stream]
        indices = await _backing_indices(transport, stream)
        if isinstance(indices, Unanswered):
            return indices
        for index in reversed(indices):
            for start in range(0, len(numbers), _CHUNK):
                asked = numbers[start : start + _CHUNK]
                there = await _exist(transport, index, [addresses[number][1] for number in asked])
                if isinstance(there, Unanswered):
                    return there
                for number, one in zip(asked, there, strict=True):
                    found[number] = one
            numbers = [number for number in numbers if not found[number]]
            if not numbers:
                break
    return found


async def _backing_indices(transport: Transport, stream: str) -> list[str] | Unanswered:
    """The names of a stream's indices, oldest first; none if there is no such stream yet."""
    answer = await transport.request("GET", f"/_resolve/index/{quote(stream)}?expand_wildcards=all")
    if answer.status == 404:
        return [] if bulk.failure_text(answer.body).startswith("index_not_found_exception:") else _unanswered(answer)
    if answer.status != 200:
        return _unanswered(answer)
    try:
        streams = msgspec.json.decode(answer.body, type=_Resolved).data_streams
    except NO_JSON:
        return _unanswered(answer)
    if len(streams) != 1:
        return Unanswered(f"{stream} is no data stream; run `tailrace setup`")
    return streams[0].backing_indices


async def _exist(transport: Transport, index: str, ids: Sequence[str]) -> list[bool] | Unanswered:
    path = f"/{quote(index)}/_mget?_source=false&filter_path=docs.found,docs.error"
    answer = await transport.request("POST", path, msgspec.json.encode({"ids": ids}))
    if answer.status != 200:
        return _unanswered(answer)
    try:
        docs = msgspec.json.decode(answer.body, type=_Documents).docs
    except NO_JSON:
        return _unanswered(answer)
    if len(docs) != len(ids):
        return Unanswered(f"{len(ids)} ids were answered with {len(docs)} documents")
    there = [one.found for one in docs if one.found is not None]
    return there if len(there) == len(ids) else Unanswered(f"{index} cannot say which ids it has")


def _unanswered(answer: Answer) -> Unanswered:
    text = bulk.failure_text(answer.body)
    return Unanswered(f"HTTP {answer.status}: {text}" if answer.status else text)
