"""What will conflict in a data stream, told before it does."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from processes import in_loop

from indexer import budget
from indexer.provision_elastic import shipped
from tailrace.drift.findings import Facts, Finding, What, findings
from tailrace.drift.kinds import Kind, Kinds
from tailrace.drift.mapping import Fields, fields
from tailrace.settings import Settings

DYNAMIC = [
    {"labels": {"path_match": "labels.*", "mapping": {"type": "keyword"}}},
    {"strings": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}},
]
LABELS = {"labels": {"type": "object", "subobjects": False}, "numeric_labels": {"type": "object", "subobjects": False}}


def _fields(rules: Any = DYNAMIC, **properties: Any) -> Fields:
    shown = {name: {"type": one} if isinstance(one, str) else one for name, one in properties.items()}
    return fields({"dynamic_templates": rules, "properties": {**LABELS, **shown}})


def _undated(**properties: Any) -> Fields:
    """As ``_fields``, but texts never become dates."""
    return msgspec.structs.replace(_fields(**properties), dates=False)


def _kinds(*documents: Mapping[str, Any]) -> Kinds:
    kinds = Kinds({"labels", "numeric_labels"})
    for one in documents:
        kinds.add(one)
    return kinds


def _found(*indices: Fields, **facts: Any) -> dict[str, Finding]:
    """Findings by field."""
    named = {f".ds-s-00000{number}": one for number, one in enumerate(indices, 1)}
    known = {"name": "s", "limit": 1000, "next_index": _fields(), "kinds": _kinds(), "ignored": {}, **facts}
    found = findings(Facts(indices=named, **known))
    assert len({one.field for one in found}) == len(found)
    return {one.field: one for one in found}


def test_what_is_the_same_everywhere_is_not_told() -> None:
    """Types that are searched alike are the same, and new fields that come as they are."""
    found = _found(
        _fields(a="keyword", t="text", at="date"),
        _fields(a="wildcard", t="match_only_text", at="date_nanos", n="long"),
        kinds=_kinds({"a": "x", "n": 3, "new": 1.5, "labels": {"x.y": "v", "x": "w"}}),
    )
    assert found == {}


def test_a_field_with_two_types_in_the_indices_of_a_stream() -> None:
    """With the indices of each, so that one knows when it will have aged out."""
    found = _found(_fields(a="long"), _fields(a="long"), _fields(a="keyword"))
    assert found["a"].what is What.DIFFERS
    assert found["a"].types == {"long": [".ds-s-000001", ".ds-s-000002"], "keyword": [".ds-s-000003"]}
    assert found["a"].text == "long in 000001, 000002, keyword in 000003"
    assert found["a"].is_conflict


def test_an_object_that_was_a_value_differs_too() -> None:
    """Objects have a type as well."""
    found = _found(_fields(a="long"), _fields(a={"properties": {"b": {"type": "keyword"}}}))
    assert found["a"].types == {"long": [".ds-s-000001"], "object": [".ds-s-000002"]}


def test_a_template_that_was_changed_since() -> None:
    """It acts at the next rollover."""
    found = _found(_fields(a="long"), next_index=_fields(a="keyword"))
    assert (found["a"].what, found["a"].text) == (What.CHANGES, "long now, keyword by the template")


def test_values_that_are_no_longer_what_they_were() -> None:
    """The type of a field that nobody named is that of the first value in the next index."""
    found = _found(_fields(a="long"), kinds=_kinds({"a": "x"}, {"a": "y"}))
    assert found["a"].what is What.CHANGES
    assert found["a"].text == "long now, keyword by the latest (text in 2)"
    assert found["a"].seen == {"text": 2}


@pytest.mark.parametrize(
    ("before", "coming", "documents", "text"),
    [
        ({"labels.x": "long"}, {}, [{"labels": {"x": 3}}], "long in 000001, keyword in 000002 as soon as it comes"),
        ({"labels.x": "long"}, {}, [], "long in 000001, keyword in 000002 as soon as it comes"),
        ({"a": "long"}, {"a": "keyword"}, [], "long in 000001, keyword by the template"),
        ({"a": "long"}, {}, [{"a": "x"}], "long in 000001, keyword in 000002 as soon as it comes"),
        ({"a": "ip"}, {}, [], "ip in 000001, boolean or float or keyword or long in 000002 as soon as it comes"),
        ({"a": "long"}, {"a": {"properties": {}}}, [], "long in 000001, object by the template"),
    ],
)
def test_a_field_that_the_newest_index_lacks(before: Any, coming: Any, documents: list[Any], text: str) -> None:
    """Older indices have it, and whatever comes will make another type of it: told before the first does."""
    found = _found(_fields(**before), _undated(), next_index=_undated(**coming), kinds=_kinds(*documents))
    (name,) = before
    assert {field: (one.what, one.text) for field, one in found.items()} == {name: (What.CHANGES, text)}
    assert found[name].types == {before[name]: [".ds-s-000001"]}


@pytest.mark.parametrize(
    ("before", "newest", "documents"),
    [
        ("keyword", _fields(), []),
        ("long", _fields(), []),
        ("long", _fields(), [{"a": 3}]),
        ("object", _fields(), []),
        ("date", _fields(), []),
        ("date", _fields(), [{"a": "2026-11-27"}]),
        ("long", fields({"dynamic": "false"}), [{"a": "x"}]),
        ("ip", fields({"dynamic": "strict"}), []),
    ],
)
def test_a_field_that_may_come_again_as_it_was(before: str, newest: Fields, documents: list[Any]) -> None:
    """Nothing is said where a value may give it the old type, nor where it is not mapped at all."""
    assert _found(_fields(a=before), newest, next_index=newest, kinds=_kinds(*documents)) == {}


def test_a_field_that_the_newest_index_lacks_without_the_templates() -> None:
    """The newest index's own rules are known, too."""
    found = _found(_fields(**{"labels.x": "long"}), _fields(), next_index=None)
    assert found["labels.x"].what is What.CHANGES


@pytest.mark.parametrize(
    ("values", "seen", "refused"),
    [
        (["x", "y", 3], {"text": 2, "integer": 1}, False),
        ([1, 1.5], {"integer": 1, "number": 1}, False),
        ([{"b": 1}, 7], {"object": 1, "integer": 1}, True),
        ([True, "x"], {"boolean": 1, "text": 1}, False),
        ([[1, "x"]], {"integer": 1, "text": 1}, False),
    ],
)
def test_values_of_several_types(values: list[Any], seen: dict[str, int], *, refused: bool) -> None:
    """Which type it will be is left to chance; an object and a value cannot both be stored."""
    found = _found(_fields(), kinds=_kinds(*({"a": value} for value in values)))
    assert found["a"].what is What.MIXED
    assert found["a"].seen == seen
    assert ("refused" in found["a"].text) is refused


def test_what_the_template_names_cannot_be_mixed() -> None:
    """Its type is given; what does not fit is malformed, and counted there."""
    mixed = _kinds({"a": 1, "f": {"x": 1}, "off": {"y": 1}}, {"a": "x", "f": {"x": "z"}, "off": {"y": "z"}})
    named = _fields(a="long", f="flattened", off={"type": "object", "enabled": False})
    assert _found(named, next_index=named, kinds=mixed) == {}
    closed = fields({"dynamic": "false"})
    assert _found(closed, next_index=closed, kinds=mixed) == {}


def test_fields_that_were_not_indexed() -> None:
    """Told apart: no number, too long, no room."""
    beyond = {f"labels.{letter}": 5 for letter in "abcdef"}
    found = _found(_fields(n="long", t="keyword"), ignored={"n": 3, "t": 4, **beyond})
    assert {name: one.what for name, one in found.items()} == {"n": What.MALFORMED, "t": What.LONG, "": What.FULL}
    assert [name for name, one in found.items() if one.is_conflict] == ["n", ""]
    assert found["n"].text == "no long in 3 of the newest index's documents"
    assert found[""].text == "4 of 1,000 fields; 6 not indexed: labels.a, labels.b, labels.c, labels.d, labels.e, …"
    assert found[""].seen == beyond
    assert "" not in _found(_fields(t="text"), ignored={"t.keyword": 4}), "a multi-field that is too long"


def test_a_label_that_is_a_text_and_a_number() -> None:
    """No conflict, since each has a field of its own; but who searches one misses the other."""
    found = _found(_fields(), kinds=_kinds({"labels": {"code.x": "a"}}, {"numeric_labels": {"code.x": 7}}))
    assert found["labels.code.x"].what is What.SPLIT
    assert not found["labels.code.x"].is_conflict


@pytest.mark.parametrize(("limit", "what"), [(1000, None), (10, None), (7, What.NEAR), (6, What.FULL), (5, What.FULL)])
def test_the_budget_of_fields(limit: int, what: What | None) -> None:
    """From four fifths on it is told, with what takes the room."""
    index = _fields(a="long", b={"properties": {"c": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}})
    found = _found(index, limit=limit, next_index=index)
    assert (found[""].what if found else None) is what
    if what:
        assert found[""].text == f"6 of {limit} fields (b 3)"


def test_without_the_templates_only_what_is_there_is_judged() -> None:
    """We may not be allowed to see them: then nothing is said of what will be."""
    found = _found(_fields(a="long"), next_index=None, kinds=_kinds({"a": "x"}), ignored={"a": 1})
    assert {name: one.what for name, one in found.items()} == {"a": What.MALFORMED}


def test_kinds_are_counted_by_document() -> None:
    """Lists by their elements, nested and dotted names alike, nothing of ``null`` and what is empty."""
    kinds = _kinds({"a": [1, 2, "x"], "b": [{"c": 1}, {"c": 2}], "d.e": True, "f": None, "g": {}, "h": []})
    assert kinds.fields == {
        "a": Counter({Kind.INTEGER: 1, Kind.TEXT: 1}),
        "b": Counter({Kind.OBJECT: 1}),
        "b.c": Counter({Kind.INTEGER: 1}),
        "d": Counter({Kind.OBJECT: 1}),
        "d.e": Counter({Kind.BOOLEAN: 1}),
    }


@pytest.mark.parametrize(
    ("rule", "kind", "made"),
    [
        ({"match_mapping_type": "long", "mapping": {"type": "double"}}, Kind.INTEGER, "double"),
        ({"match_mapping_type": ["long", "double"], "mapping": {"type": "double"}}, Kind.NUMBER, "double"),
        ({"match_mapping_type": "*", "mapping": {"type": "{dynamic_type}"}}, Kind.NUMBER, "float"),
        ({"match": "c*", "mapping": {"type": "ip"}}, Kind.TEXT, "ip"),
        ({"match": "c", "unmatch": "*", "mapping": {"type": "ip"}}, Kind.TEXT, "text"),
        ({"path_match": "a.*", "mapping": {"type": "wildcard"}}, Kind.TEXT, "keyword"),
        ({"path_match": "a.*", "path_unmatch": ["x", "*.c"], "mapping": {"type": "ip"}}, Kind.TEXT, "text"),
        ({"match": "^c|d$", "match_pattern": "regex", "mapping": {"type": "ip"}}, Kind.TEXT, "ip"),
        ({"match": "(", "match_pattern": "regex", "mapping": {"type": "ip"}}, Kind.TEXT, "text"),
        ({"match": "c", "mapping": {"type": "ip"}}, Kind.OBJECT, "object"),
        ({"match": "c", "mapping": {"type": "flattened"}}, Kind.OBJECT, "flattened"),
    ],
)
def test_dynamic_templates_say_what_a_field_becomes(rule: Any, kind: Kind, made: str) -> None:
    """As Elasticsearch reads them."""
    assert _fields([{"r": rule}]).type_for("a.b.c", kind) == made


def test_our_own_templates_leave_little_to_chance() -> None:
    """Measurements and activity have numbers of one type, whole or not; labels cannot be mixed."""
    mappings = {name: shipped()[f"tailrace@{name}"]["template"]["mappings"] for name in ("mappings", "metrics")}
    logs = fields(mappings["mappings"])
    rules = [*mappings["mappings"]["dynamic_templates"], *mappings["metrics"]["dynamic_templates"]]
    metrics = fields({"dynamic_templates": rules})
    assert {logs.type_for("labels.x", kind) for kind in (Kind.TEXT, Kind.INTEGER)} == {"keyword"}
    assert {metrics.type_for("x.y", kind) for kind in (Kind.INTEGER, Kind.NUMBER)} == {"double"}
    assert logs.flat == {"labels", "numeric_labels"}


@in_loop
async def test_an_answer_of_another_form_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's, which says that it is Elasticsearch's: it would end the indexer."""
    nonsense = [KeyError("mappings"), IndexError(), TypeError("not subscriptable"), AttributeError("get"), ValueError()]
    errors = iter([*nonsense, asyncio.CancelledError()])

    async def look(_settings: Settings) -> None:
        raise next(errors)

    monkeypatch.setattr(budget, "look", look)
    monkeypatch.setattr(budget, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(budget, "_ASK_SECONDS", 0.0)
    with pytest.raises(asyncio.CancelledError):
        await budget.watch(Settings(), lambda: True)
