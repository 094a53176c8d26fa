"""Bytes that are no text to what they look like. No I/O."""

import re

_BINARY = re.compile(rb"[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f]")
"""What no text has: control characters other than white space, backspace and escape, which colours begin with."""


def why_no_text(value: bytes) -> str:
    """What a value is that is no text; empty if it is text."""
    if value[:1] == b"\x00" and len(value) > 5:
        schema = int.from_bytes(value[1:5], "big")
        return f"it begins as a schema registry's Avro, Protobuf or JSON does (magic byte 0, schema {schema})"
    if value.startswith(b"Obj\x01"):
        return "it begins as an Avro file does (Obj, 1)"
    if value.startswith(b"\xc3\x01"):
        return "it begins as a single Avro object does (bytes C3 01)"
    if found := _BINARY.search(value):
        return f"it is binary, perhaps Protobuf (byte {value[found.start()]:02X} at {found.start()})"
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"it is no UTF-8 (byte {value[error.start]:02X} at {error.start})"
    return ""
