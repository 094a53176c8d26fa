"""What programs read: JSON of anything that a command may have found."""

import enum
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.cli.programs import to_json


class _Mark(enum.Enum):
    GOOD = "good"


class _Found(msgspec.Struct):
    name: str
    mark: _Mark = _Mark.GOOD


@given(st.text() | st.text(st.characters(categories=("Cs", "Cc", "Cf"))))
def test_any_text_comes_through_in_one_line_of_utf_8(text: str) -> None:
    """Also half a character, as in a name that is no UTF-8; and nothing that a terminal would obey."""
    said = to_json({"found": [_Found(text)]})
    assert json.loads(said) == {"found": [{"name": json.loads(json.dumps(text)), "mark": "good"}]}
    assert b"\n" not in said


@pytest.mark.parametrize("text", ["\ud800", "caf\udce9.log", "\x1b[31m", "\x9b31m", "\u202e"])
def test_what_is_odd_is_escaped(text: str) -> None:
    """And what is not stays readable."""
    assert to_json(["é" + text]).decode("utf-8").isprintable()
    assert to_json("é") == '"é"'.encode()
