"""A line of values between delimiters to the fields that a person named its columns. No I/O.

Quotes are those of RFC 4180: a value in quotes may hold delimiters, line ends and, doubled, quotes. The multiline rule
of this format joins the lines of such a value.
"""

import csv
import re
from collections.abc import Callable
from typing import Literal

from shipper import ecs
from shipper.formats.fill import text_of
from shipper.formats.typed import field_of, fill_all
from tailrace.settings import Csv


def make(settings: Csv, time_format: str) -> Callable[[bytes, ecs.Document], bool]:
    """A format whose lines have exactly these columns; one without a name is not kept."""
    fields = [field_of(name, settings.types.get(name, "text")) for name in settings.columns]
    kept = [number for number, name in enumerate(settings.columns) if name]
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if settings.quote else csv.QUOTE_NONE

    def taken(line: bytes, document: ecs.Document) -> bool:
        text = text_of(line)
        try:
            rows = [
                *csv.reader([text], delimiter=settings.delimiter, quotechar=settings.quote or None, quoting=quoting)
            ]
        except csv.Error:  # a value of more than 128 KiB, or a bare CR
            return False
        if len(rows) != 1 or len(rows[0]) != len(fields):
            return False
        row = rows[0]
        return fill_all(document, line, text, ((fields[number], row[number]) for number in kept), time_format)

    return taken


class Quotes:
    """Says whether a line ends within a value in quotes, so that the next one belongs to it."""

    def __init__(self, settings: Csv) -> None:
        self._quote, self._delimiter = settings.quote.encode(), settings.delimiter.encode()
        quote = re.escape(self._quote)
        self._inside = re.compile(b"(?:(?!%b).|%b%b)*+" % (quote, quote, quote), re.DOTALL)

    def is_open(self, line: bytes, *, was_open: bool) -> bool:
        """Whether it does, given whether the line before it did."""
        if self._quote not in line:
            return was_open
        at = -1
        while True:
            if was_open or line.startswith(self._quote, at + 1):
                begin = 0 if was_open else at + 1 + len(self._quote)
                found = self._inside.match(line, begin)
                at = len(line) if found is None else found.end()
                if at == len(line):
                    return True
                was_open = False
            at = line.find(self._delimiter, at + 1)
            if at < 0:
                return False
