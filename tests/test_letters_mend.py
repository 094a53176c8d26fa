"""Mends, and the record that is sent in place of a letter."""

import json
from typing import Any

import pytest
from fakes import FakePolled
from hypothesis import given
from hypothesis import strategies as st
from test_letters_where import MS, NOW, a_letter

from indexer.dead_letters import letter as written
from indexer.documents import Translator
from indexer.mend import CannotMend, Mend, Remove, Rename, Set, decode, encode, mend, parse_rename, parse_set
from indexer.mend_file import mends_for, rules
from indexer.ownership import Origin
from indexer.revive import Revived, Unfit, Wish, revive
from tailrace.letters import Letter, Subject, read

WISH = Wish(streams={})
AS_TEXT = Wish(streams={}, as_text=True)
HEADER = ("t", b"1|r|logs-play-default|s:1")


@pytest.mark.parametrize(
    ("mends", "after"),
    [
        ([Set("n", 0)], {"n": 0, "labels": {"user.id": "u"}, "a": {"b": {"c": 1}}, "x.y": 2}),
        ([Set("labels.more.dots", "v")], {"n": "many", "labels": {"user.id": "u", "more.dots": "v"}}),
        ([Set("labels.user.id", "v")], {"labels": {"user.id": "v"}}),
        ([Set("a.b.d", [])], {"a": {"b": {"c": 1, "d": []}}}),
        ([Set("x.y", None)], {"x.y": None}),
        ([Set("new.deep.field", 1)], {"new": {"deep": {"field": 1}}}),
        ([Remove("labels.user.id")], {"labels": ...}),
        ([Remove("a.b.c")], {"a": ..., "n": "many"}),
        ([Set("a.d", 1), Remove("a.b.c")], {"a": {"d": 1}}),
        ([Rename("a.b.c", "z")], {"a": ..., "z": 1}),
        ([Remove("x")], {"x.y": ...}),
        ([Remove("not.there")], {"n": "many"}),
        ([Rename("n", "labels.n")], {"n": ..., "labels": {"user.id": "u", "n": "many"}}),
        ([Rename("not.there", "n")], {"n": "many"}),
        ([Rename("x.y", "z"), Remove("n"), Set("n", 1)], {"x.y": ..., "z": 2, "n": 1}),
    ],
)
def test_mends_find_fields_however_they_are_nested(mends: list[Mend], after: dict[str, Any]) -> None:
    """Objects and dotted keys alike; labels are flat. An object goes with the last that it held."""
    document = {"n": "many", "labels": {"user.id": "u"}, "a": {"b": {"c": 1}}, "x.y": 2}
    mend(document, mends)
    for key, value in after.items():
        assert document.get(key, ...) == value


@pytest.mark.parametrize(
    ("one", "said"),
    [(Set("n.deep", 1), "n is no object but 5"), (Rename("n", "m"), "the field m is there already")],
)
def test_a_mend_that_would_lose_something_is_refused(one: Mend, said: str) -> None:
    """Nothing that was written is overwritten by the way."""
    with pytest.raises(CannotMend, match=said):
        mend({"n": 5, "m": 6}, [one])


def test_values_are_json_or_text() -> None:
    """As typed on the command line."""
    assert [parse_set(f"a={text}").value for text in ("5", "true", '"5"', "null", "five", "", "NaN", "a=b")] == [
        5, True, "5", None, "five", "", "NaN", "a=b",
    ]  # fmt: skip
    for wrong in ("a", "=5", " =5"):
        with pytest.raises(ValueError, match="FIELD=VALUE"):
            parse_set(wrong)
    for wrong in ("a", "a=", "=b", "a=a"):
        with pytest.raises(ValueError, match="OLD=NEW"):
            parse_rename(wrong)


_LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
_TREES = st.recursive(_LEAVES, lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=8)
_TEXTS = st.dictionaries(st.text(max_size=3), st.text(max_size=3))


@given(_TREES)
def test_what_is_not_mended_comes_through_unchanged(tree: Any) -> None:
    """Whole numbers of any size, halves of characters, every float."""
    document = {"big": 10**30, "half": "\ud800", "tree": tree}
    assert decode(encode(document)) == document
    assert b"\n" not in encode(document)


def test_a_record_keeps_its_id_and_says_that_it_may_repeat() -> None:
    """Not a byte of the value changes where nothing is mended; other headers stay."""
    value = b'{ "big":123456789012345678901234567890, "e":1e400}'
    headers = (("trace", b"x"), ("t", b"1||logs-play-default|s:1"))
    assert revive(a_letter(value, headers=headers), [], WISH) == Revived(b"k", value, [HEADER, ("trace", b"x")])
    mended = revive(a_letter({"n": "x"}), [Set("n", 1)], WISH)
    assert mended == Revived(b"k", b'{"n":1}', [HEADER])


@pytest.mark.parametrize("number", ["1234567890.12345678901", "1e400", "-0.10", "1E5", "5e-324", str(10**30), "0.1"])
def test_numbers_that_no_mend_names_keep_their_digits(number: str) -> None:
    """Also those that no float holds; they may be set, too."""
    value = b'{"n":"x","a":[{"b":%s}],"\xc3\xa9":"\\ud800"}' % number.encode()
    mended = revive(a_letter(value), [parse_set(f"n={number}")], WISH)
    assert isinstance(mended, Revived)
    assert mended.value == b'{"n":%s,"a":[{"b":%s}],"\\u00e9":"\\ud800"}' % (number.encode(), number.encode())


def test_what_is_nested_too_deeply_has_to_stay() -> None:
    """A reason, and no traceback."""
    for leaf, limit in ((b"1", 900), (b"1.10", 150)):
        value = b'{"n":"x","a":%s}' % (b'{"a":' * limit + leaf + b"}" * limit)
        found = revive(a_letter(value), [Set("n", 1)], WISH)
        assert isinstance(found, Revived)
        assert found.value == value.replace(b'"x"', b"1")
    value = b'{"n":"x","a":%s}' % (b'{"a":' * 900 + b"1.10" + b"}" * 900)
    found = revive(a_letter(value), [Set("n", 1)], WISH)
    assert isinstance(found, Unfit)
    assert "too deeply" in found.text


@pytest.mark.parametrize(
    ("found", "mends", "said"),
    [
        (a_letter(b'{"a":1}', length=9000), [], "only the first 7 of its 9,000 bytes are left"),
        (a_letter(b"text", reason="json"), [Set("a", 1)], "nothing to mend in it: not JSON"),
        (a_letter(b'{"a":' * 1000 + b"1" + b"}" * 1000), [Set("b", 1)], "nested too deeply to be changed"),
        (a_letter({"a": 1}, headers=(("t", b"9|x"),), stream="", record_id=""), [], "its header t cannot be read"),
        (a_letter({"a": 1}), [Set("a.b", 1)], "a is no object"),
        (a_letter(b"\xff", headers=(), reason="json"), [], "--as-text sends it as a message"),
        (a_letter({"a": 1}, headers=(), reason="time", subject=Subject("t", 0, 1, -1)), [], "--set @timestamp"),
        (a_letter({"data_stream": {"dataset": "A B"}}, headers=(), reason="stream"), [], "is no data stream's name"),
    ],
)  # fmt: skip
def test_a_letter_that_can_have_no_record_says_why(found: Letter, mends: list[Mend], said: str) -> None:
    """And what would help."""
    answer = revive(found, mends, WISH)
    assert isinstance(answer, Unfit)
    assert said in answer.text


@pytest.mark.parametrize(
    "one", [Remove("log"), Remove("log.offset"), Rename("tailrace", "x"), Set("tailrace.bytes", 9)]
)
def test_which_line_a_document_is_cannot_be_mended(one: Mend) -> None:
    """The audit would call it missing; of records of others these fields are as good as any."""
    line = {"tailrace": {"source": "s", "bytes": 5, "skipped": 0}, "log": {"offset": 10, "file": {"path": "/x"}}}
    answer = revive(a_letter(line), [one], WISH)
    assert isinstance(answer, Unfit)
    assert "no mend may change" in answer.text
    assert isinstance(revive(a_letter(line), [Remove("log.file")], WISH), Revived)
    assert isinstance(revive(a_letter(line, headers=()), [one], WISH), Revived)


def test_a_record_of_others_becomes_what_the_indexer_would_have_made_of_it() -> None:
    """The same id, stream and document, only mended; of a refused stream, the one that it names now."""
    foreign = a_letter({"n": "x"}, headers=(), stream="logs-theirs-default", record_id="logs-2-7")
    mended = revive(foreign, [Remove("n"), Set("a", 1)], WISH)
    assert isinstance(mended, Revived)
    assert mended.headers == [("t", b"1|r|logs-theirs-default|logs-2-7")]
    stream = {"type": "logs", "dataset": "theirs", "namespace": "default"}
    assert json.loads(mended.value) == {"@timestamp": "2026-11-23T18:00:00.000Z", "data_stream": stream, "a": 1}
    moved = revive(a_letter({}, headers=(), reason="stream", stream="bad", record_id="i"),
                   [Set("data_stream.dataset", "shop")], WISH)  # fmt: skip
    assert isinstance(moved, Revived)
    assert moved.headers == [("t", b"1|r|logs-shop-default|i")]


@pytest.mark.parametrize(
    ("reason", "mends", "stream"),
    [
        ("stream", [Set("data_stream.type", "metrics")], "metrics-shop-default"),
        ("stream", [Set("data_stream.dataset", "cart")], "traces-cart-default"),
        ("stream", [Rename("data_stream.dataset", "labels.was")], "traces-t-default"),
        ("stream", [Rename("zone", "data_stream.namespace")], "traces-shop-eu"),
        ("stream", [Set("a", 2)], "traces-old-default"),
        ("stream", [], "traces-old-default"),
        ("mapping", [Set("data_stream.type", "metrics")], "traces-old-default"),
    ],
)
def test_a_refused_stream_can_be_changed_however_often_the_letter_was_sent(
    reason: str, mends: list[Mend], stream: str
) -> None:
    """A replay gives a record our header, which must not bind it to a stream that it never was in; else it must."""
    value = {"zone": "eu", "data_stream": {"type": "traces", "dataset": "shop"}}
    headers = (("t", b"1|r|traces-old-default|t-2-0"),)
    answer = revive(a_letter(value, headers=headers, reason=reason, subject=Subject("t", 2, 9, 0)), mends, WISH)
    assert isinstance(answer, Revived)
    assert answer.headers == [("t", f"1|r|{stream}|t-2-0".encode())]


def test_a_line_of_ours_stays_in_its_stream() -> None:
    """It may be stored there already: the setting that refused it can be newer."""
    headers = (("t", b"1||logs-app-prod|s:0000000000000001:00000000"),)
    found = a_letter({}, headers=headers, reason="stream", subject=Subject("t", 2, 9, 0))
    answer = revive(found, [Set("data_stream.dataset", "cart")], WISH)
    assert isinstance(answer, Revived)
    assert answer.headers[0][1].startswith(b"1|r|logs-app-prod|")


def test_a_stream_is_not_changed_to_what_is_none() -> None:
    """It would come back again."""
    headers = (("t", b"1|r|traces-old-default|t-2-0"),)
    found = a_letter({}, headers=headers, reason="stream", subject=Subject("t", 2, 9, 0))
    answer = revive(found, [Set("data_stream.dataset", "A B")], WISH)
    assert isinstance(answer, Unfit)
    assert "is no data stream's name" in answer.text


@pytest.mark.parametrize("headers", [(), (("t", b"1||logs-play-default|s:1"),), (("t", b"9|future"),)])
def test_as_text_anything_can_be_sent(headers: tuple[tuple[str, bytes], ...]) -> None:
    """Whoever sent it; with a time, which a data stream wants."""
    answer = revive(a_letter(b"caf\xe9", headers=headers, reason="json"), [Set("a", 1)], AS_TEXT)
    assert isinstance(answer, Revived)
    said = json.loads(answer.value)
    said.pop("data_stream", None)
    assert said == {"@timestamp": "2026-11-23T18:00:00.000Z", "message": "caf\ufffd", "a": 1}


@given(st.binary(max_size=40) | _TEXTS.map(encode), st.booleans())
def test_what_is_sent_again_is_taken_or_refused_but_never_another_record(value: bytes, ours: bool) -> None:
    """Whatever was refused and is sent again: the indexer sees the same id, and that it may be stored already."""
    headers = (("t", b"1||nowhere-a-b|s:1"),) if ours else ()
    translator = Translator(["logs-x-*"], {})
    (refusal,) = translator.translate([FakePolled(value, headers, offset=7)], Origin("logs", 2)).refusals
    whole = written(refusal, MS)
    found = read(0, FakePolled(whole.value, whole.headers, whole.key))
    assert isinstance(found, Letter)
    answer = revive(found, [], WISH)
    if isinstance(answer, Revived):
        again = Translator(["*"], {}).translate([FakePolled(answer.value, answer.headers)], Origin("logs", 2))
        assert again.repeats in ([True], [])
        assert all(found.record_id.encode() in line for line in again.lines)
        assert all(one.record_id == found.record_id for one in again.refusals)


def test_a_file_of_mends_says_which_letters_they_are_for() -> None:
    """Conditions hold up to the next ones; mends before any are for all."""
    text = "# all\nset a=1\n\nwhere reason=json\nwhere topic=logs\nremove b\nrename c=d\n"
    text += "where reason=mapping\n set e=x y \n"
    found = rules(text, NOW)
    assert mends_for(a_letter(), found) == [Set("a", 1), Set("e", "x y")]
    assert mends_for(a_letter(reason="json"), found) == [Set("a", 1), Remove("b"), Rename("c", "d")]
    assert rules("# nothing\n", NOW) == []
    for wrong, said in (("\nput a=1", "line 2: 'put' is none of"), ("where x", "line 1: 'x' is no condition"),
                        ("set a", "line 1: 'a' sets nothing"), ("remove", "line 1: ''"),
                        ("where reason!=maping", "line 1: 'maping' is no reason; did you mean mapping")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            rules(wrong, NOW)
