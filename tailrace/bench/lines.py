"""A number to JSON log lines of about 330 bytes, as a service of a streaming company writes them. No I/O."""

import random
import time
from collections.abc import Iterator

_HEAD = (
    b'{"timestamp":"%b.%06dZ","level":"%b","logger":"playback.session","event":"%b","service":"playback",'
    b'"trace_id":"%032x","span_id":"%016x","user_id":"u-%08x","device":"%b",'
)
_SHAPES = (
    ("segment served", _HEAD + b'"title_id":"tt%07d","bitrate_kbps":%d,"duration_ms":%d.%03d,"segment":%d}\n'),
    ("bitrate changed", _HEAD + b'"region":"eu-west-%d","from_kbps":%d,"to_kbps":%d.%d,"attempt":%d,"cached":true}\n'),
    ("origin timed out", _HEAD + b'"error":"no answer in %d ms","cdn":"edge-%d","retry_seconds":%d.%d,"segment":%d}\n'),
)
"""What is logged with which keys; the first is as common as both others together."""
_DEVICES = (b"tv-webos-6.2", b"tv-tizen-7.0", b"android-14", b"ios-17.4", b"web-chrome", b"web-firefox")
_LEVELS = (b"info",) * 16 + (b"debug", b"debug", b"warning", b"error")


def lines(count: int, seed: int, start: int) -> Iterator[bytes]:
    """So many different lines, each with its line feed; always the same for a seed; ``start`` is in seconds since 1970.

    The ids are random, because lines that repeat themselves would compress as no real ones do.
    """
    chance = random.Random(seed)  # noqa: S311 - test data
    bits, pick = chance.getrandbits, chance.choice
    second = b""
    for number in range(count):
        if number % 1000 == 0:
            second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start + number // 1000)).encode()
        event, form = _SHAPES[max(0, bits(2) - 1)]
        yield form % (
            second,
            number % 1000 * 1000 + bits(9),
            pick(_LEVELS),
            event.encode(),
            bits(128),
            bits(64),
            bits(32),
            pick(_DEVICES),
            bits(23),
            bits(13),
            bits(9),
            bits(9),
            number,
        )
