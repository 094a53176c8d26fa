"""The lines that container runtimes wrap a program's output in, to the document of what the program wrote. No I/O.

A long line comes in parts, which the multiline rules ``cri`` and ``docker`` join: a record is then several lines.
"""

import re
from collections.abc import Callable, Sequence

import orjson

from shipper import ecs
from shipper.formats import plain

Inner = Callable[[bytes, ecs.Document], bool]
Part = tuple[bytes, str, str]
"""What a program wrote, the stream it wrote to, and when, as the runtime says."""

_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT\S+) (stdout|stderr) ([FP])(?::\S*)? ?(.*)", re.DOTALL)


class Wrapped:
    """A format in a wrapper: the runtime's time counts where the line has none of its own."""

    def __init__(self, inner: Inner, unwrap: Callable[[bytes], Part | None]) -> None:
        self._inner = inner
        self._unwrap = unwrap

    def learn(self, lines: Sequence[bytes]) -> None:
        """Let the inner format, if it learns, see what is in some lines."""
        learn = getattr(self._inner, "learn", None)
        unwrapped = [part[0] for line in lines if (part := self._unwrap(line)) is not None] if learn else []
        if learn is not None and unwrapped:
            learn(unwrapped)

    def __call__(self, line: bytes, document: ecs.Document) -> bool:
        """Fill the document; False if a line of the record is not wrapped."""
        parts = [self._unwrap(one) for one in line.split(b"\n")]
        good = [part for part in parts if part is not None]
        if len(good) < len(parts) or not good:
            return False
        text = b"".join(part[0] for part in good)
        if not self._inner(text, document):
            plain.fields(text, document)
            document.flags.append("format")
        _, stream, time = good[0]
        if "@timestamp" not in document.fields:
            when = document.times.utc(time)
            if when is None:
                document.flags.append("time")
            else:
                document.fields["@timestamp"] = when
        document.label("stream", stream)
        return True


def cri(line: bytes) -> Part | None:
    """Unwrap a line as containerd and CRI-O write it: ``2026-11-24T03:57:40.123456789Z stdout F text``."""
    found = _CRI.fullmatch(line)
    return None if found is None else (found[4], found[2].decode(), found[1].decode("ascii", "replace"))


def docker(line: bytes) -> Part | None:
    r"""Unwrap a line of Docker's json-file driver: ``{"log":"text\n","stream":"stdout","time":"…"}``."""
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if type(tree) is not dict or not {"log", "time"} <= tree.keys():
        return None
    log, stream, time = tree["log"], tree.get("stream", ""), tree["time"]
    if not (type(log) is str and type(stream) is str and type(time) is str):
        return None
    return log.removesuffix("\n").encode(), stream, time


def cri_goes_on(line: bytes) -> bool:
    """Whether the next line holds more of what the program wrote in one."""
    found = _CRI.match(line)
    return found is not None and found[3] == b"P"


def docker_goes_on(line: bytes) -> bool:
    """Whether the next line holds more of what the program wrote in one."""
    return line.startswith(b'{"log":"') and b'\\n","' not in line and b'\\n"}' not in line
