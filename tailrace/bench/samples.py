"""A number to lines of text as nginx, a Java service and a plain logger write them. No I/O.

The same for a seed, each time. Of a hundred Java records five carry a stack trace of 6 to 29 lines.
"""

import random
import time
from collections.abc import Callable, Iterator

from tailrace.bench import lines

_METHODS = (b"GET",) * 14 + (b"POST", b"POST", b"HEAD", b"PUT")
_STATUSES = (b"200",) * 14 + (b"206", b"301", b"304", b"304", b"404", b"502")
_PATHS = (
    b"/api/v2/titles/%d",
    b"/img/%d/poster-480.webp",
    b"/play/%d/manifest.mpd?quality=hd",
    b"/search?q=tt%d&page=2",
)
_AGENTS = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    b"curl/8.5.0",
)
_LEVELS = (b"INFO ",) * 16 + (b"DEBUG", b"DEBUG", b"WARN ", b"ERROR")
_CLASSES = (b"c.e.playback.SessionService", b"com.example.playback.cdn.EdgeClient", b"o.a.k.c.consumer.KafkaConsumer")
_SAID = (b"Segment %d of tt%d served in %d ms", b"Bitrate of u-%08x is %d now, was %d", b"Retry %d of %d after %d ms")
_TRACED = 20
"""Of so many records of Java, one has a trace."""


def plain(count: int, seed: int, start: int) -> Iterator[bytes]:
    """Lines of some hundred bytes, each with a time and a level at its beginning."""
    chance = random.Random(seed)  # noqa: S311 - test data
    bits, pick = chance.getrandbits, chance.choice
    for number, clock in _clocks(count, start, "%Y-%m-%d %H:%M:%S"):
        text = pick(_SAID) % (bits(12), bits(20), bits(10))
        yield b"%b,%03d %b worker-%d: %b for %08x\n" % (
            clock,
            number % 1000,
            pick(_LEVELS).strip(),
            bits(3),
            text,
            bits(32),
        )


def nginx(count: int, seed: int, start: int) -> Iterator[bytes]:
    """Lines of an access log, combined."""
    chance = random.Random(seed)  # noqa: S311 - test data
    bits, pick = chance.getrandbits, chance.choice
    for _number, clock in _clocks(count, start, "%d/%b/%Y:%H:%M:%S +0000"):
        yield b'%d.%d.%d.%d - %b [%b] "%b %b HTTP/1.1" %b %d "%b" "%b"\n' % (
            bits(7) + 11,
            bits(8),
            bits(8),
            bits(8),
            b"u-%x" % bits(16) if bits(3) == 0 else b"-",
            clock,
            pick(_METHODS),
            pick(_PATHS) % bits(23),
            pick(_STATUSES),
            bits(18),
            b"https://example.com/browse/%d" % bits(10) if bits(1) else b"-",
            pick(_AGENTS),
        )


def java(count: int, seed: int, start: int) -> Iterator[bytes]:
    """Lines of logback's usual pattern, five records of a hundred with a trace; the last trace may end early."""
    chance = random.Random(seed)  # noqa: S311 - test data
    bits, pick = chance.getrandbits, chance.choice
    trace: list[bytes] = []
    for number, clock in _clocks(count, start, "%Y-%m-%d %H:%M:%S"):
        if trace:
            yield trace.pop()
            continue
        if chance.randrange(_TRACED) == 0:
            frames = 5 + chance.randrange(24)
            trace = [
                b"\tat com.example.playback.cdn.Edge%d.call(Edge%d.java:%d)\n" % (place >> 6, place >> 6, place)
                for place in (bits(9) for _ in range(frames))
            ]
            trace.append(b"java.io.IOException: No answer from edge-%d in %d ms\n" % (bits(5), bits(12)))
        yield b"%b.%03d [worker-%d] %b %b - %b\n" % (
            clock,
            number % 1000,
            bits(3),
            b"ERROR" if trace else pick(_LEVELS),
            pick(_CLASSES),
            pick(_SAID) % (bits(12), bits(20), bits(10)),
        )


def _clocks(count: int, start: int, form: str) -> Iterator[tuple[int, bytes]]:
    """The number of each line and the time of its second; a thousand lines a second."""
    clock = b""
    for number in range(count):
        if number % 1000 == 0:
            clock = time.strftime(form, time.gmtime(start + number // 1000)).encode()
        yield number, clock


SAMPLES: dict[str, Callable[[int, int, int], Iterator[bytes]]] = {
    "plain": plain,
    "json": lines.lines,
    "nginx": nginx,
    "java": java,
}
"""Lines by the name of their format."""
