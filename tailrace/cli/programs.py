"""What a command found to the JSON that programs read."""

import json

import msgspec

from tailrace.show import neutral


def to_json(value: object) -> bytes:
    """One line; what is no Unicode, or would take over a terminal, is the escape that JSON has for it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=msgspec.to_builtins)
    return neutral(text).encode()
