"""Half a character in the JSON of others becomes what the shipper makes of it; all else stays to the byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.halves import loads, whole

_TEXT = st.lists(st.sampled_from(["\ud83d", "\ude00", "\\", "\\u", "ud83d", '"', "x", "é", "😀"])).map("".join)


@given(st.dictionaries(_TEXT, _TEXT), st.booleans())
def test_each_half_is_one_replacement_character(fields: dict[str, str], upper: bool) -> None:
    """Two halves that belong together are a character, and what only looks like an escape is none."""
    text = json.dumps(fields)
    value = (text.replace("ud83d", "uD83D") if upper else text).encode()
    plain = json.dumps(json.loads(value), ensure_ascii=False)
    assert loads(value) == json.loads(plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


@pytest.mark.parametrize(
    ("value", "then"),
    [
        (rb'{"n":1.0e5, "a":"\ud83d"}', rb'{"n":1.0e5, "a":"\ufffd"}'),
        (rb'["\uD83D\uDE00\ud83d\ud83d\ude00\ude00"]', rb'["\uD83D\uDE00\ufffd\ud83d\ude00\ufffd"]'),
        (rb'["\\ud83d\\\ud83d"]', rb'["\\ud83d\\\ufffd"]'),
        (b'["\\', b'["\\'),
    ],
)
def test_all_else_stays_as_it_was_written(value: bytes, then: bytes) -> None:
    """Numbers have their digits, and room stays where it is."""
    assert whole(value) == then
