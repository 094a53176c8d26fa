"""A line of a file whose format nobody named: JSON if it is an object, else plain. No I/O."""

from shipper import ecs
from shipper.formats import json, plain


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document as JSON where the line is an object, else as text."""
    if line[:1] == b"{":
        if json.fields(line, document):
            return True
        if line[:2] == b'{"':
            document.flags.append("format")
    return plain.fields(line, document)
