"""A format of another package to one that can do no harm. No I/O.

What it raises, or returns that is no JSON, costs its line the flags ``plugin`` and ``format``: the line is then shipped
as text.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from shipper import ecs
from shipper.formats.fill import finish_untimed, text_of
from tailrace.formats import ChunkFormat, Fields, LineFormat

FLAG = "plugin"
KNOWN: dict[str, LineFormat | ChunkFormat] = {}
"""By name, those that were loaded (``shipper/foreign.py``)."""
FAULTS: dict[str, str] = {}
"""By name, the first thing that went wrong in one."""


class Foreign:
    """The format of that name, for the lines of one source."""

    def __init__(self, name: str) -> None:
        self._name = name
        found = KNOWN[name]
        self._chunk = found.chunk if isinstance(found, ChunkFormat) else None
        self._line = None if isinstance(found, ChunkFormat) else found
        self._made: dict[bytes, dict[str, Any] | None] = {}

    def learn(self, lines: Sequence[bytes]) -> None:
        """Have the lines that come next made all at once, where the format can do that."""
        if self._chunk is None:
            return
        fresh = [line for line in lines if line and not line.isspace()]
        try:
            made = self._chunk([text_of(line) for line in fresh])
            self._made = {line: _plain(fields) for line, fields in zip(fresh, made, strict=True)}
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever somebody else's code may raise
            # Each line for itself then: so only those are flagged of which it is true.
            self._fail(error)
            self._made = {}

    def __call__(self, line: bytes, document: ecs.Document) -> bool:
        """Fill the document with the fields that the format finds; False if it refuses the line or fails."""
        text = text_of(line)
        try:
            fields = self._made[line] if line in self._made else _plain(self._one(text))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            self._fail(error)
            document.flags.append(FLAG)
            return False
        if fields is None:
            return False
        document.walk("", fields, 0)
        document.fields.setdefault("message", text)
        return finish_untimed(document, line)

    def _one(self, text: str) -> Fields | None:
        if self._line is not None:
            return self._line(text)
        if self._chunk is None:
            raise TypeError(self._name)
        (fields,) = self._chunk([text])
        return fields

    def _fail(self, error: BaseException) -> None:
        FAULTS.setdefault(self._name, f"{type(error).__name__}: {error}")


def _plain(fields: Fields | None) -> dict[str, Any] | None:
    """The fields as JSON has them, so that what cannot be written is found here and not when the document is.

    Raises:
        TypeError: something among them is no JSON.
    """
    return None if fields is None else dict(orjson.loads(orjson.dumps({**fields})))
