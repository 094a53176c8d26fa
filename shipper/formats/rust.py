"""A line of a Rust logger to ECS fields: what tracing-subscriber and env_logger write by default. No I/O."""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, text_of

_TIME = r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))"
_LEVEL = r"(?P<level>TRACE|DEBUG|INFO|WARN|ERROR)"
_TARGET = r"(?P<target>\w+(?:::\w+)*)"
_TRACING = re.compile(
    rf"{_TIME} +{_LEVEL} (?:(?P<spans>(?:[\w-]+(?:\{{[^}}]*\}})?:)+) )?{_TARGET}: (?P<text>.*)", re.DOTALL
)
_BARE = re.compile(rf"{_TIME} +{_LEVEL} {_TARGET}: (?P<text>.*)", re.DOTALL)
_ENV = re.compile(rf"\[{_TIME} {_LEVEL} +{_TARGET}\] (?P<text>.*)", re.DOTALL)


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document; spans are a label, where one of them has fields: without, none is told from a target."""
    text = text_of(line)
    found = _ENV.fullmatch(text) if text[:1] == "[" else _BARE.fullmatch(text) or _TRACING.fullmatch(text)
    if found is None:
        return False
    groups = found.groupdict()
    document.fields["message"] = groups["text"]
    fill(document, (("log.level", groups["level"]), ("log.logger", groups["target"])))
    if spans := groups.get("spans"):
        fill(document, (("spans", spans.removesuffix(":")),))
    return finish(document, line, document.times.utc(groups["time"]))
