"""The meaning of Elasticsearch's answers, as a table."""

import orjson
import pytest

from indexer import bulk
from indexer.bulk import Outcome, Whole


def _answer(*creates: dict[str, object]) -> bytes:
    return orjson.dumps(
        {"errors": any("error" in one for one in creates), "items": [{"create": one} for one in creates]}
    )


def _error(status: int, kind: str, reason: str = "", **more: object) -> dict[str, object]:
    return {"status": status, "error": {"type": kind, "reason": reason, **more}}


def test_a_body_is_the_lines_and_documents_in_turn() -> None:
    """Every action line is followed by its document, and the last line ends, too."""
    assert bulk.body([b"a\n", b"b\n"], [b"1", b"2"]) == b"a\n1\nb\n2\n"


@pytest.mark.parametrize("count", [1, 2, 5000])
def test_an_answer_that_says_stored_to_all_is_known_by_its_bytes(count: int) -> None:
    """The usual answer is compared, not parsed; one other byte, or one item more or less, and it is not that."""
    good = _answer(*[{"status": 201}] * count)
    assert bulk.read(200, good, count).whole is Whole.ALL_STORED
    assert bulk.read(200, good, count + 1).whole is Whole.FAILED
    assert bulk.read(200, good.replace(b"201", b"409", 1), count).whole is Whole.MIXED


@pytest.mark.parametrize(
    ("create", "outcome"),
    [
        ({"status": 201}, Outcome.STORED),
        ({"status": 200}, Outcome.STORED),
        ({"status": 201, "failure_store": "used"}, Outcome.DIVERTED),
        (_error(409, "version_conflict_engine_exception"), Outcome.EXISTS),
        (_error(409, "something_else"), Outcome.REFUSED),
        (_error(429, "es_rejected_execution_exception"), Outcome.FULL),
        (_error(429, "circuit_breaking_exception"), Outcome.FULL),
        (_error(400, "document_parsing_exception", "failed to parse field [n] of type [long]"), Outcome.REJECTED),
        (_error(400, "strict_dynamic_mapping_exception"), Outcome.REJECTED),
        (_error(400, "illegal_argument_exception", "Limit of total fields [30] has been exceeded"), Outcome.REJECTED),
        (_error(400, "illegal_argument_exception", "Malformed content, found extra data after it"), Outcome.REJECTED),
        (_error(400, "illegal_argument_exception", "Document contains at least one immense term"), Outcome.REJECTED),
        (_error(400, "illegal_argument_exception", "pipeline with id [x] does not exist"), Outcome.REFUSED),
        (_error(400, "illegal_argument_exception", "number of documents in the index cannot exceed"), Outcome.REFUSED),
        (_error(400, "validation_exception", "this action would add [2] shards"), Outcome.REFUSED),
        (_error(403, "cluster_block_exception", "index [x] blocked"), Outcome.REFUSED),
        (_error(403, "security_exception"), Outcome.REFUSED),
        (_error(404, "index_not_found_exception"), Outcome.REFUSED),
        (_error(503, "unavailable_shards_exception"), Outcome.REFUSED),
        (_error(500, "document_parsing_exception"), Outcome.REFUSED),
        (_error(400, "illegal_argument_exception", "unable to parse date [yesterday]"), Outcome.ODD),
        (_error(400, "illegal_argument_exception", "field value: [failed to parse this]"), Outcome.ODD),
        (_error(400, "illegal_argument_exception", "[x]: policy [arn:x] does not exist"), Outcome.ODD),
        (_error(400, "illegal_argument_exception", "[ERROR pipeline [x] does not exist]"), Outcome.ODD),
        (_error(400, "illegal_argument_exception", "[" * 20_000), Outcome.ODD),
        (_error(400, "illegal_argument_exception", "mapper [n] cannot be changed from type [long]"), Outcome.REJECTED),
        (_error(400, "illegal_argument_exception", "data_stream [x] must not contain"), Outcome.REJECTED),
        (_error(400, "illegal_argument_exception", "no enrich index exists for policy with name [x]"), Outcome.REFUSED),
        (_error(400, "illegal_argument_exception", "Validation Failed: 1: this action would add [2]"), Outcome.REFUSED),
        (_error(400, "index_closed_exception", "closed"), Outcome.REFUSED),
        (_error(400, "script_exception", "runtime error"), Outcome.ODD),
        (_error(500, "fail_processor_exception", "no"), Outcome.REJECTED),
        ({"status": 300}, Outcome.REFUSED),
        ({"status": 400}, Outcome.REFUSED),
    ],
)
def test_each_item_has_its_outcome(create: dict[str, object], outcome: Outcome) -> None:
    """Only what is known to be the document's fault is rejected; what may be, is odd; the rest is the cluster's."""
    reading = bulk.read(200, _answer({"status": 201}, create), 2)
    assert reading.whole is Whole.MIXED or outcome is Outcome.STORED
    if reading.verdicts:
        assert [verdict.outcome for verdict in reading.verdicts] == [Outcome.STORED, outcome]


def test_half_a_character_in_a_reason_hides_no_verdict() -> None:
    """Elasticsearch quotes the record that it refuses, whatever is in it; in its other answers, too."""
    why = b'"error":{"type":"document_parsing_exception","reason":"failed to parse date field [\\ud800] \\\\ud800"}'
    reading = bulk.read(200, b'{"errors":true,"items":[{"create":{"status":400,%s}}]}' % why, 1)
    (verdict,) = reading.verdicts
    assert (verdict.outcome, verdict.text) == (Outcome.REJECTED, "failed to parse date field [\ufffd] \\ud800")
    assert bulk.failure_text(b"{%s}" % why).startswith("document_parsing_exception: failed to parse")


@pytest.mark.parametrize(
    ("status", "answer", "whole"),
    [
        (200, b"", Whole.FAILED),
        (200, b"<html>", Whole.FAILED),
        (200, b"{}", Whole.FAILED),
        (200, b'{"errors":false,"items":[]}', Whole.FAILED),
        (200, b'{"errors":false,"items":[{"index":{"status":201}}]}', Whole.FAILED),
        (200, b'{"errors":false,"items":[{"create":{"status":"201"}}]}', Whole.FAILED),
        (200, b"[" * 100_000, Whole.FAILED),
        (0, b"timed out", Whole.FAILED),
        (401, b"", Whole.FAILED),
        (429, b'{"error":{"type":"circuit_breaking_exception","reason":"x"}}', Whole.FAILED),
        (502, b"<html>", Whole.FAILED),
        (503, b"\xff", Whole.FAILED),
        (503, '{"error":"Service indisponible, réessayez"}'.encode("latin-1"), Whole.FAILED),
        (200, b'{"errors":true,"items":[{"create":{"status":503,"error":{"reason":"\xff"}}}]}', Whole.FAILED),
        (413, b"", Whole.TOO_LARGE),
        (400, b"nonsense", Whole.FAILED),
        (400, b'{"error":{"type":"illegal_argument_exception","reason":"pipeline"}}', Whole.FAILED),
        (400, b'{"error":{"type":"action_request_validation_exception","reason":"id is too long"}}', Whole.MALFORMED),
        (307, b"", Whole.FAILED),
        (201, b"", Whole.FAILED),
    ],
)
def test_an_answer_that_does_not_say_what_was_done_is_no_answer(status: int, answer: bytes, whole: Whole) -> None:
    """Nothing is ever taken for stored that Elasticsearch did not say was."""
    assert bulk.read(status, answer, 1).whole is whole


def test_a_connection_that_ended_is_told_from_an_answer_that_did_not_come() -> None:
    """What was done is unknown after both; only the first may be for the request's size, or for what is in it."""
    assert bulk.read(0, b"it closed the connection", 1, broken=True) == bulk.Reading(
        Whole.BROKEN, text="it closed the connection"
    )
    assert bulk.read(0, b"no answer in time", 1).whole is Whole.FAILED


@pytest.mark.parametrize(
    ("status", "answer", "reached"),
    [
        (400, b'{"error":{"type":"action_request_validation_exception","reason":"no requests added"}}', True),
        (400, b"<html>Bad Request</html>", False),
        (503, b'{"error":{"type":"x","reason":"y"}}', False),
        (0, b"it closed the connection", False),
    ],
)
def test_who_answers_the_empty_request(status: int, answer: bytes, reached: bool) -> None:
    """Elasticsearch refuses it in words of its own; whatever else comes back is somebody between."""
    assert bulk.is_reached(status, answer) is reached


def test_a_rejection_names_its_field_and_all_its_causes() -> None:
    """The dead letter says which field, and what lies beneath."""
    cause = {"type": "illegal_argument_exception", "reason": 'For input string: "abc"'}
    reason = "[1:45] failed to parse field [n] of type [long] in document with id 'x'"
    reading = bulk.read(200, _answer(_error(400, "document_parsing_exception", reason, caused_by=cause)), 1)
    verdict = reading.verdicts[0]
    assert verdict.field == "n"
    assert verdict.text == f'{reason}; For input string: "abc"'


@pytest.mark.parametrize(
    ("reason", "field"),
    [
        ("[1:45] object mapping for [o] tried to parse field [o] as object", "o"),
        ("mapping set to strict, dynamic introduction of [zz] within [strict] is not allowed", "zz"),
        ('Document contains at least one immense term in field="kw" (whose', "kw"),
        ("failed to parse", ""),
    ],
)
def test_the_field_is_found_in_elasticsearchs_sentences(reason: str, field: str) -> None:
    """Elasticsearch has no field for the field; its sentences are these."""
    reading = bulk.read(200, _answer(_error(400, "document_parsing_exception", reason)), 1)
    assert reading.verdicts[0].field == field
