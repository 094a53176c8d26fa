"""One file per format: a line to fields. No I/O.

A format takes a line's bytes (without its delimiter) and a fresh document, fills the document and returns True; or it
returns False, leaving the document as it was, when the line is not of the format.
"""

from collections.abc import Callable

from shipper.ecs import Document
from shipper.formats import auto, json, plain

Format = Callable[[bytes, Document], bool]

FORMATS: dict[str, Format] = {"json": json.fields, "plain": plain.fields, "auto": auto.fields}
