"""What of a case is not as expected to lines that people read. No I/O."""

import difflib
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import click
import msgspec

from shipper.cases import Difference, Judged, Kind, pasted
from tailrace.show import neutral

_WIDTH = 200
_MOST_DROPPED = 5


def told(judged: Judged) -> Iterator[str]:
    """The differences of a case, document by document; ``-`` is expected, ``+`` came out; styled."""
    if judged.error:
        yield from (
            click.style(line, fg="red") for line in neutral(f"It could not be run: {judged.error}").splitlines()
        )
        return
    if judged.expects_nothing:
        yield click.style("It expects nothing yet. This came out; paste what is right into the case:", fg="red")
        yield ""
        yield from neutral(pasted(judged)).splitlines()
        if not judged.documents:
            yield "count = 0"
        return
    for number, differences in groupby(judged.differences, key=lambda one: one.document):
        if number:
            message = str(judged.documents[number - 1].get("message", "")).partition("\n")[0]
            yield f"document {number} of {len(judged.documents)}  {click.style(_cut(message), dim=True)}"
        for one in differences:
            yield from _difference(one, judged, "  " if number else "")


def _difference(one: Difference, judged: Judged, indent: str) -> Iterator[str]:
    name = {"documents": "number of documents", "dropped": "number of dropped lines"}.get(one.field, one.field)
    hint = click.style(f"  ({neutral(one.hint)})", dim=True) if one.hint else ""
    yield f"{indent}{neutral(one.field) if one.document else name}{hint}"
    for line in _lines(one):
        yield f"{indent}  {line}"
    if not one.document and one.field == "documents":
        for number, document in enumerate(judged.documents, 1):
            yield click.style(f"{indent}  {number}. {_cut(_first(document))}", dim=True)
    if not one.document and one.field == "dropped":
        for line in judged.dropped[:_MOST_DROPPED]:
            yield click.style(f"{indent}  dropped: {_cut(line)}", dim=True)


def _lines(one: Difference) -> Iterator[str]:
    long = [value for value in (one.expected, one.found) if isinstance(value, str) and "\n" in value]
    if one.kind is Kind.DIFFERS and long and isinstance(one.expected, str) and isinstance(one.found, str):
        for line in difflib.ndiff(one.expected.split("\n"), one.found.split("\n")):
            if line[:1] != "?":
                yield click.style(neutral(line), fg={"-": "red", "+": "green"}.get(line[:1]))
        return
    if one.kind is not Kind.UNEXPECTED:
        yield click.style(f"- {_value(one.expected)}", fg="red")
    if one.kind is not Kind.MISSING:
        yield click.style(f"+ {_value(one.found)}", fg="green")
    elif not one.hint:
        yield click.style("+ (nothing)", fg="green")


def _value(value: Any) -> str:  # noqa: ANN401 - values of TOML and of JSON
    """As it stands in a file of cases, so that a text of digits is told from a number."""
    return neutral(msgspec.json.encode(value).decode())


def _first(document: dict[str, Any]) -> str:
    return str(document.get("message", "")).partition("\n")[0]


def _cut(text: str) -> str:
    text = neutral(text).replace("\t", " ")
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
