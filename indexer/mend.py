"""A document and what is to be changed in it to the changed document. No I/O."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

_FLAT = ("labels", "numeric_labels")
"""Objects whose keys have dots of their own: the template maps them with ``subobjects: false``."""


class Set(NamedTuple):
    """Give a field a value, whether it is there or not."""

    field: str
    value: Any


class Remove(NamedTuple):
    """Take a field away, with all that is in it, and the objects that hold nothing without it."""

    field: str


class Rename(NamedTuple):
    """Move a value to another field, which must not be there; nothing happens where there is no such value."""

    field: str
    to: str


Mend = Set | Remove | Rename


class Digits:
    """A number as it was written (``text``), where no float is written so."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class CannotMend(ValueError):
    """A mend that a document leaves no room for; the text says which and why."""


def parse_set(text: str) -> Set:
    """``FIELD=VALUE``; what is JSON is that (``5``, ``true``, ``"5"``, ``null``), all else is text.

    Raises:
        ValueError: there is no field or no ``=``.
    """
    field, sign, value = text.partition("=")
    if not sign or not field.strip():
        message = f"{text!r} sets nothing; write FIELD=VALUE, as labels.retries=3."
        raise ValueError(message)
    try:
        return Set(field.strip(), json.loads(value, parse_float=_number, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return Set(field.strip(), value)


def parse_rename(text: str) -> Rename:
    """``OLD=NEW``.

    Raises:
        ValueError: one of them is missing, or they are the same.
    """
    old, _, new = (part.strip() for part in text.partition("="))
    if not old or not new or old == new:
        message = f"{text!r} renames nothing; write OLD=NEW, as usr=user.name."
        raise ValueError(message)
    return Rename(old, new)


def parse_remove(text: str) -> Remove:
    """``FIELD``.

    Raises:
        ValueError: it is empty, or has a ``=``.
    """
    if not text.strip() or "=" in text:
        message = f"{text!r} removes nothing; write the name of a FIELD, as labels.retries."
        raise ValueError(message)
    return Remove(text.strip())


def decode(value: bytes) -> dict[str, Any] | None:
    """A JSON object, its numbers exact whatever their size; None if it is none."""
    try:
        found = json.loads(value, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def encode(document: dict[str, Any]) -> bytes:
    """A document as one line of JSON; halves of characters stay the escapes that they were.

    Raises:
        CannotMend: it has more objects within each other than can be written.
    """
    try:
        try:
            return _text(document, ascii_only=False).encode()
        except UnicodeEncodeError:
            return _text(document, ascii_only=True).encode()
    except RecursionError:
        message = "its objects are nested too deeply"
        raise CannotMend(message) from None


def mend(document: dict[str, Any], mends: Sequence[Mend]) -> None:
    """Carry the mends out on a document, one after another; names find nested objects and dotted keys alike.

    Raises:
        CannotMend: there is no room for a value; the document is then half mended.
    """
    for one in mends:
        if isinstance(one, Set):
            _set(document, one.field, one.value)
        elif isinstance(one, Remove):
            _remove(document, one.field)
        else:
            _rename(document, one)


def _set(document: dict[str, Any], field: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    holder, key = _place(document, field) or _room(document, field)
    holder[key] = value


def _remove(document: dict[str, Any], field: str) -> None:
    while _take(document, field):
        pass
    for key in [key for key in document if key.startswith(field + ".")]:
        del document[key]


def _rename(document: dict[str, Any], rename: Rename) -> None:
    place = _place(document, rename.field)
    if place is None:
        return
    if _place(document, rename.to) is not None:
        message = f"cannot rename {rename.field}: the field {rename.to} is there already"
        raise CannotMend(message)
    holder, key = place
    value = holder[key]
    _take(document, rename.field)
    _set(document, rename.to, value)


def _take(document: dict[str, Any], field: str) -> bool:
    """Take one field away, and the objects that then hold nothing; says whether there was one."""
    if field in document:
        del document[field]
        return True
    for dot in _dots(field):
        inner = document.get(field[:dot])
        if isinstance(inner, dict) and _take(inner, field[dot + 1 :]):
            if not inner:
                del document[field[:dot]]
            return True
    return False


def _place(document: dict[str, Any], field: str) -> tuple[dict[str, Any], str] | None:
    """The object that a field stands in, and its key there; None if there is no such field."""
    if field in document:
        return document, field
    for dot in _dots(field):
        inner = document.get(field[:dot])
        if isinstance(inner, dict) and (found := _place(inner, field[dot + 1 :])) is not None:
            return found
    return None


def _room(document: dict[str, Any], field: str) -> tuple[dict[str, Any], str]:
    """The object that a new field belongs in, made where it is missing, and the field's key there."""
    for dot in reversed(_dots(field)):
        inner = document.get(field[:dot])
        if isinstance(inner, dict):
            rest = field[dot + 1 :]
            return (inner, rest) if field[:dot] in _FLAT else _room(inner, rest)
        if inner is not None:
            message = f"cannot set {field}: {field[:dot]} is no object but {_text(inner, ascii_only=True)[:60]}"
            raise CannotMend(message)
    first, _, rest = field.partition(".")
    if not rest:
        return document, field
    made: dict[str, Any] = {}
    document[first] = made
    return (made, rest) if first in _FLAT else _room(made, rest)


def _dots(field: str) -> list[int]:
    return [found.start() for found in re.finditer(r"\.", field)]


def _number(text: str) -> float | Digits:
    found = float(text)
    return found if repr(found) == text else Digits(text)


def _text(value: Any, *, ascii_only: bool) -> str:  # noqa: ANN401 - any JSON value
    try:
        return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    except TypeError:  # digits somewhere in it
        return _pieces(value, ascii_only=ascii_only)


def _pieces(value: Any, *, ascii_only: bool) -> str:  # noqa: ANN401 - as above
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(k, ensure_ascii=ascii_only)}:{_pieces(v, ascii_only=ascii_only)}" for k, v in value.items()
        )
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, Digits):
        return value.text
    if isinstance(value, list):
        return "[" + ",".join(_pieces(one, ascii_only=ascii_only) for one in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def _refuse(constant: str) -> None:
    message = f"{constant} is no JSON"
    raise ValueError(message)
