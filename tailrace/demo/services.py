"""The passing of time to the log lines that four services of a streaming company would write. No I/O.

Each service writes as its own world does: structlog's JSON, Python's logging, a Java pattern layout, nginx's combined
format. Who watches what is made up.
"""

import io
import logging
import random
import time
from collections.abc import Callable

import orjson
import structlog

Service = Callable[[int], bytes]
"""Called with how many things happened; returns the whole lines that they left (a stack trace is many)."""

_TITLES = """the-quiet-tide harbour-lights nine-winters salt-road paper-moons the-long-platform glasshouse north-of-june
low-orbit the-understudy small-hours copper-sky""".split()
_DEVICES = ("tv", "tv", "tv", "phone", "phone", "tablet", "browser", "console")
_REGIONS = ("eu-west", "eu-west", "us-east", "us-west", "ap-south")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Roku/DVP-14.0 (14.0.0.4128)",
    "ExoPlayer/2.19.1 (Linux; Android 14)",
)


def playback(dice: random.Random) -> Service:
    """What viewers do (play, pause, seek, stop) and how the player fares: structlog, one JSON object a line."""
    out = io.BytesIO()
    log = structlog.wrap_logger(
        structlog.BytesLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=True,
    ).bind(service="playback", version="5.12.3")

    def happen(count: int) -> bytes:
        for _ in range(count):
            viewer = log.bind(
                user={"id": f"u{dice.randrange(90_000):05d}"},
                session_id=f"{dice.getrandbits(48):012x}",
                trace_id=f"{dice.getrandbits(128):032x}",
                title=dice.choice(_TITLES),
                device=dice.choice(_DEVICES),
                region=dice.choice(_REGIONS),
            )
            position = round(dice.uniform(0, 7200), 3)
            chance = dice.random()
            if chance < 0.34:
                viewer.info("play", position_seconds=position, bitrate_kbps=dice.choice((1800, 4300, 8100, 15600)))
            elif chance < 0.55:
                viewer.info("pause", position_seconds=position)
            elif chance < 0.80:
                viewer.info("seek", from_seconds=position, to_seconds=round(dice.uniform(0, 7200), 3))
            elif chance < 0.92:
                viewer.info("stop", position_seconds=position, watched_seconds=round(dice.uniform(5, 5400), 1))
            elif chance < 0.97:
                viewer.warning("rebuffering", position_seconds=position, stalled_ms=dice.randrange(200, 4000))
            elif chance < 0.995:
                viewer.debug("heartbeat", position_seconds=position, buffer_seconds=round(dice.uniform(2, 40), 2))
            else:
                try:
                    _license(dice)
                except PermissionError:
                    viewer.exception("license refused", position_seconds=position)
        return _taken(out)

    return happen


def catalogue(dice: random.Random) -> Service:
    """Look-ups in the catalogue: Python's own logging, plain text, stack traces over many lines."""
    out = io.StringIO()
    form = logging.StreamHandler(out)
    form.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(threadName)s] %(name)s: %(message)s"))
    loggers = [logging.getLogger(f"catalogue.{name}") for name in ("api", "search", "artwork")]
    for log in loggers:
        log.handlers, log.propagate = [form], False
        log.setLevel(logging.DEBUG)

    def happen(count: int) -> bytes:
        for _ in range(count):
            log, title = dice.choice(loggers), dice.choice(_TITLES)
            chance = dice.random()
            if chance < 0.80:
                log.info("GET /titles/%s 200 in %.1f ms", title, dice.expovariate(1 / 12))
            elif chance < 0.95:
                log.debug("cache %s for %s", dice.choice(("hit", "miss")), title)
            elif chance < 0.985:
                log.warning("artwork of %s is %d days old, fetching it again", title, dice.randrange(30, 400))
            else:
                try:
                    _row({"slug": title}, dice)
                except RuntimeError:
                    log.exception("could not load %s", title)
        text = out.getvalue()
        out.seek(0)
        out.truncate()
        return text.encode()

    return happen


def recommendations(dice: random.Random) -> Service:
    """Rankings: a Java service's pattern layout, with stack traces and their causes."""

    def happen(count: int) -> bytes:
        lines = []
        for _ in range(count):
            chance, thread = dice.random(), f"grpc-worker-{dice.randrange(8)}"
            profile = dice.randrange(90_000)
            if chance < 0.85:
                spent = round(dice.expovariate(1 / 18), 1)
                text = f"Ranked {dice.randrange(20, 60)} titles for profile {profile} in {spent} ms"
                lines.append(_java("INFO ", thread, "c.s.recs.Ranker", text))
            elif chance < 0.98:
                text = f"No embedding for profile {profile}, using popularity in {dice.choice(_REGIONS)}"
                lines.append(_java("WARN ", thread, "c.s.recs.Embeddings", text))
            else:
                lines.append(_java("ERROR", thread, "c.s.recs.Ranker", f"Ranking failed for profile {profile}"))
                lines += _JAVA_TRACE
        return "".join(line + "\n" for line in lines).encode()

    return happen


def edge_proxy(dice: random.Random) -> Service:
    """Requests at the edge: nginx's combined format."""

    def happen(count: int) -> bytes:
        now = time.strftime("%d/%b/%Y:%H:%M:%S %z")
        lines = []
        for _ in range(count):
            title, chance = dice.choice(_TITLES), dice.random()
            path = f"/v1/stream/{title}/seg-{dice.randrange(1800):05d}.m4s" if chance < 0.8 else f"/v1/titles/{title}"
            status = dice.choices((200, 206, 304, 404, 429, 502), (78, 12, 6, 2, 1, 1))[0]
            size = dice.randrange(90_000, 2_400_000) if status in {200, 206} else dice.randrange(0, 600)
            client = f"203.0.113.{dice.randrange(1, 255)}"
            agent = dice.choice(_AGENTS)
            lines.append(f'{client} - - [{now}] "GET {path} HTTP/2.0" {status} {size} "-" "{agent}"\n')
        return "".join(lines).encode()

    return happen


SERVICES: dict[str, Callable[[random.Random], Service]] = {
    "playback": playback,
    "catalogue": catalogue,
    "recommendations": recommendations,
    "edge-proxy": edge_proxy,
}


def _taken(out: io.BytesIO) -> bytes:
    content = out.getvalue()
    out.seek(0)
    out.truncate()
    return content


def _license(dice: random.Random) -> None:
    raise PermissionError(f"key server said no: device limit reached ({dice.randrange(4, 9)} of 4)")


def _row(row: dict[str, str], dice: random.Random) -> None:
    try:
        row["rights"]
    except KeyError as error:
        raise RuntimeError(f"no rights window for {row['slug']} in {dice.choice(_REGIONS)}") from error


def _java(level: str, thread: str, logger: str, text: str) -> str:
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return f"{stamp},{int(now * 1000) % 1000:03d} {level} [{thread}] {logger} - {text}"


_JAVA_TRACE = """\
java.lang.IllegalStateException: feature store answered late
\tat com.streaming.recs.Features.fetch(Features.java:118)
\tat com.streaming.recs.Ranker.rank(Ranker.java:64)
\tat com.streaming.recs.RankerService.handle(RankerService.java:41)
\tat java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1136)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:288)
\tat com.streaming.recs.Features.fetch(Features.java:112)
\t... 4 more""".split("\n")
