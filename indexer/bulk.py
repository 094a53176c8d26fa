"""What to say to ``_bulk``, and what its answer means. No I/O.

An answer is read whole: there is a verdict for each action that was sent, or the outcome of all of them is unknown.
"""

import enum
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from indexer.halves import whole
from tailrace.causes import NO_JSON

PATH = "/_bulk?require_data_stream=true&filter_path=errors,items.*.status,items.*.error,items.*.failure_store"
"""``require_data_stream``: without a template, Elasticsearch would make a plain index of the stream's name."""


EMPTY = b"\n"
"""A request of no action, which whoever takes requests here answers with 400: it changes nothing."""


class Outcome(enum.Enum):
    """What happened to one action."""

    STORED = "stored"
    EXISTS = "exists"
    """Its id is in the write index already."""
    FULL = "full"
    """The node had no room for it (429): certainly not stored, to be sent again."""
    REJECTED = "rejected"
    """The document's own fault: it will never be stored as it is."""
    DIVERTED = "diverted"
    """It went to the failure store."""
    ODD = "odd"
    """Refused with 400, not known to be for the document's own fault: it is, if others of its stream are stored."""
    REFUSED = "refused"
    """The cluster's fault, or nobody knows: to be sent again, and looked up before."""


class Verdict(NamedTuple):
    """An outcome, with what Elasticsearch said of it."""

    outcome: Outcome
    error_type: str = ""
    text: str = ""
    field: str = ""


class Whole(enum.Enum):
    """What an answer says of the request as a whole."""

    ALL_STORED = "stored"
    MIXED = "mixed"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    """Elasticsearch cannot read the request (400): one of its documents is to blame, or something between us."""
    FAILED = "failed"
    """No answer, or none that says what was done: every action's outcome is unknown."""
    BROKEN = "broken"
    """The same, because the connection ended before an answer began."""


class Reading(NamedTuple):
    """The meaning of an answer; ``verdicts`` has one for each action if ``whole`` is MIXED, else none."""

    whole: Whole
    verdicts: Sequence[Verdict] = ()
    text: str = ""

    @property
    def has_odd(self) -> bool:
        """Whether some record was refused for what may be its own fault."""
        return any(verdict.outcome is Outcome.ODD for verdict in self.verdicts)


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    reason: str | None = ""
    caused_by: "_Error | None" = None


class _Item(msgspec.Struct, frozen=True):
    status: int
    error: _Error | None = None
    failure_store: str = ""


class _Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    create: _Item


class _Answer(msgspec.Struct, frozen=True):
    errors: bool
    items: list[_Action]


class _Failure(msgspec.Struct, frozen=True):
    error: _Error | str = ""


_Form = TypeVar("_Form")
_answer = msgspec.json.Decoder(_Answer)
_failure = msgspec.json.Decoder(_Failure)
_GOOD = b'{"create":{"status":201}}'
_DOCUMENT_FAULTS = frozenset(
    {
        "document_parsing_exception",
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
        "x_content_parse_exception",
        "json_parse_exception",
        "parsing_exception",
        "stream_constraints_exception",
        "invalid_index_name_exception",
        "action_request_validation_exception",
        "max_bytes_length_exceeded_exception",
    }
)
_FAULTY_ARGUMENT = re.compile(
    r"Malformed content, found extra data|Limit of (?:total fields|mapping depth|nested fields|field name length)|"
    r"immense term|[Mm]apper (?:for )?\[.*cannot be changed|can't merge|cannot be changed from type|"
    r"number of nested documents has exceeded|data stream timestamp field|field name cannot|object mapping for \[|"
    r"data_stream \[.*(?:must |too long)|failed to parse|document's? timestamp \[|id .* is too long",
    re.DOTALL,
)
"""Elasticsearch has one type for many faults, illegal_argument_exception: these texts are about the document."""
_WANTED = "fail_processor_exception"
"""Whoever wrote the ingest pipeline says so of the document, with status 500."""
_CLUSTER_FAULTS = frozenset(
    {
        "index_closed_exception",
        "invalid_index_template_exception",
        "resource_already_exists_exception",
        "validation_exception",
    }
)
_CLUSTER_FAULT = re.compile(
    r"number of documents in the (?:index|shard) cannot exceed|Validation Failed: \d+: this action would add |"
    r"(?:enrich )?(?:pipeline|policy)[^\[]{0,40}\[[^\]]*\] does not exist|no enrich index exists"
)
"""What is refused with 400 and mended without the document, though others of its stream may be stored meanwhile.

By how it begins: further on it may quote the document.
"""
_QUOTED = re.compile(r"\[[^\[\]]*\]")
_MOST_TEXT = 10_000
"""So many characters of a reason are read: what it quotes may be long."""
_FIELD = re.compile(
    r"(?:field|object mapping(?: for)?|[Mm]apper(?: for)?|introduction of|in field=)[ =]?[\[\"]([^\]\"]{1,300})"
)


def body(lines: Sequence[bytes], documents: Sequence[bytes]) -> bytes:
    """The request of these action lines (with their newline) and documents (without)."""
    parts = [b"\n"] * (3 * len(lines))
    parts[0::3] = lines
    parts[1::3] = documents
    return b"".join(parts)


def read(status: int, answer: bytes, count: int, *, broken: bool = False) -> Reading:
    """The meaning of an HTTP status (0 if there was no answer) and body, given to ``count`` actions.

    ``broken`` if there was none because the connection had ended.
    """
    if broken:
        return Reading(Whole.BROKEN, text=failure_text(answer))
    if status == 200:
        return _read_items(answer, count)
    text = f"HTTP {status}: {failure_text(answer)}".removesuffix(": ") if status else failure_text(answer)
    if status == 413:
        return Reading(Whole.TOO_LARGE, text=text)
    if status == 400:
        error = _failure_of(answer)
        if isinstance(error, _Error) and is_document_fault(error.type, error.reason or ""):
            return Reading(Whole.MALFORMED, text=text)
    return Reading(Whole.FAILED, text=text)


def is_reached(status: int, answer: bytes) -> bool:
    """Whether this answer to the empty request is Elasticsearch's own."""
    return status == 400 and isinstance(_failure_of(answer), _Error)


def is_document_fault(error_type: str, text: str) -> bool:
    """Whether an error is the document's own: everything that is not known to be is the cluster's."""
    if error_type == "illegal_argument_exception":
        return _FAULTY_ARGUMENT.search(_QUOTED.sub("[]", text[:_MOST_TEXT])) is not None
    return error_type in _DOCUMENT_FAULTS


def failure_text(answer: bytes) -> str:
    """What an answer that is not 200 says, in one line of at most 300 characters."""
    error = _failure_of(answer)
    if isinstance(error, _Error):
        return f"{error.type}: {error.reason}"[:300]
    return (error or answer[:300].decode("utf-8", "replace")).replace("\n", " ")[:300]


def _failure_of(answer: bytes) -> _Error | str:
    try:
        return _decoded(_failure, answer).error
    except NO_JSON:
        return ""


def _decoded(decoder: "msgspec.json.Decoder[_Form]", answer: bytes) -> _Form:
    """What an answer says, which may quote a record that holds half a character: JSON that has one is not decoded."""
    try:
        return decoder.decode(answer)
    except NO_JSON:
        return decoder.decode(whole(answer))


def _read_items(answer: bytes, count: int) -> Reading:
    # An answer in which every item was stored is known to the byte, so comparing it reads every item.
    if len(answer) == 26 + 26 * count and answer == b'{"errors":false,"items":[' + b",".join([_GOOD] * count) + b"]}":
        return Reading(Whole.ALL_STORED)
    try:
        items = _decoded(_answer, answer).items
    except NO_JSON as error:
        return Reading(Whole.FAILED, text=f"the answer to a bulk request makes no sense: {error}")
    if len(items) != count:
        return Reading(Whole.FAILED, text=f"{count} actions were answered with {len(items)} items")
    return Reading(Whole.MIXED, [_verdict(item.create) for item in items])


def _verdict(item: _Item) -> Verdict:
    error = item.error or _Error()
    text = error.reason or ""
    if item.failure_store == "used":
        return Verdict(Outcome.DIVERTED, "failure_store", text or "the document is in the failure store")
    if 200 <= item.status < 300:
        return Verdict(Outcome.STORED)
    if item.status == 409 and error.type == "version_conflict_engine_exception":
        return Verdict(Outcome.EXISTS)
    if item.status == 429:
        return Verdict(Outcome.FULL, error.type, text)
    return Verdict(_whose_fault(item.status, error), error.type, _with_causes(error), _field(error))


def _whose_fault(status: int, error: _Error) -> Outcome:
    text = error.reason or ""
    if error.type == _WANTED or (status == 400 and is_document_fault(error.type, text)):
        return Outcome.REJECTED
    is_odd = status == 400 and error.type and error.type not in _CLUSTER_FAULTS and not _CLUSTER_FAULT.match(text)
    return Outcome.ODD if is_odd else Outcome.REFUSED


def _with_causes(error: _Error) -> str:
    texts: list[str] = []
    cause: _Error | None = error
    while cause is not None and len(texts) < 5:
        if cause.reason and not any(cause.reason in text for text in texts):
            texts.append(cause.reason)
        cause = cause.caused_by
    return "; ".join(texts)


def _field(error: _Error) -> str:
    found = _FIELD.search(error.reason or "")
    return found[1] if found else ""
