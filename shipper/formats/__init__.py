"""One file per format: a line to fields. No I/O.

A format takes a line's bytes (without its delimiter; a CR may still be there) and a fresh document, fills the document
and returns True; or it returns False, leaving the document as it was, when the line is not of the format.
"""

from collections.abc import Callable

from shipper.ecs import Document
from shipper.formats import auto, json, plain
from tailrace.settings import Input

Format = Callable[[bytes, Document], bool]

MAKERS: dict[str, Callable[[Input], Format]] = {
    "auto": lambda _entry: auto.fields,
    "json": lambda _entry: json.fields,
    "plain": lambda _entry: plain.fields,
}
"""By the name that settings give it: what makes a format from the input's options."""
